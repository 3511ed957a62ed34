"""RoI Pool."""

from __future__ import annotations

import numpy as np

from numseg import checks
from numseg.errors import ArgumentError
from numseg.operator import Plan, Spec, operator
from numseg.ops.roi_align.geometry import LIMIT, check
from numseg.ops.roi_pool.geometry import Geometry
from numseg.typing import Array, ArrayLike, Pair

__all__ = ["check", "roi_pool"]


@operator(
    "x boxes",
    outputs="y indices",
    saves="boxes indices",
    differentiable="x",
    examines="boxes",
    skippable="indices",
)
def roi_pool(
    x: ArrayLike,
    boxes: ArrayLike,
    output_size: Pair,
    spatial_scale: float = 1.0,
    return_indices: bool = False,
    arithmetic: str | None = None,
    rounding: str = "half_away",
) -> Plan[Array | tuple[Array, Array]]:
    """Features of regions: each box is rounded to pixels and cut into bins, each bin's maximum.

    Box k = (n, x1, y1, x2, y2) has the rows from ``low = round(y1 * spatial_scale)`` to ``high =
    round(y2 * spatial_scale)``, both included, ``size = max(high - low + 1, 1)`` of them; bin p
    has those from ``low + floor(p * size / OH)`` up to, not including,
    ``low + ceil((p + 1) * size / OH)``, as far as they are on the image. Columns alike.

    Parameters
    ----------
    x : array, (N, C, H, W), float32 or float64
    boxes : array, (K, 5), dtype of x
        Index of the image, x1, y1, x2, y2. A box may leave the image, be empty or inverted.
    output_size : int or (rows, columns)
        OH and OW, the bins.
    spatial_scale : float
        What the boxes' coordinates are multiplied by.
    return_indices : bool
        Also return the indices.
    arithmetic : {"float32", "float64", "exact"}, optional
        In which the products and quotients are computed; by default the dtype of x, as in
        torchvision. "exact" divides integers, and multiplies by the scale in float64.
    rounding : {"half_away", "half_even", "none"}
        How coordinates become pixels: to the nearest, halves away from zero (C, torchvision) or to
        the even one (Python, Chainer on the CPU). "none" keeps them, as mmcv does: a box then goes
        from ``low = y1 * spatial_scale`` up to ``(y2 + 1) * spatial_scale``, has the difference for
        its size, and no pixels at all if that is not positive.

    Returns
    -------
    y : array, (K, C, OH, OW), dtype of x
    indices : array, (K, C, OH, OW), int64
        Only if asked for: the flat index ``row * W + column`` of the winner in its (H, W) plane, -1
        where there is none.

    Raises
    ------
    ArgumentError
        For a wrong rank or dtype, an output_size below 1, an index that is not that of an image,
        or a coordinate that is not finite or, scaled, beyond 2**24 pixels.

    Notes
    -----
    A bin without pixels gives 0 and index -1. A pixel wins only
    if it is larger than all before it, in row-major order, and than -3.4028235e38, the lowest
    float32 (in either dtype): the first maximum wins, NaN never does, and a bin of NaN and -inf
    gives that number and index -1.

    In floating point ``(p + 1) * size / OH`` may come out above the integer that it is: a box of 57
    rows in 7 bins gets a 58th in float32. "exact" has no such cases.

    Gradient: for x, each ``grad_y`` goes to the pixel at its index; a pixel adds up its RoIs in
    their order. The result is piecewise constant in boxes, which have no gradient.

    Source: torchvision 0.28, ``ops.roi_pool`` (Girshick, Fast R-CNN, 2015), bit for bit; Caffe's
    ``ROIPooling`` likewise.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> x = np.arange(16.0).reshape(1, 1, 4, 4)
    >>> boxes = np.array([[0, 0.5, 0.0, 2.5, 3.0]])  # columns 1 to 3, rows 0 to 3
    >>> y, indices = ns.roi_pool(x, boxes, 2, return_indices=True)
    >>> y
    array([[[[ 6.,  7.],
             [14., 15.]]]])
    """
    dtype = checks.floats(x=x, boxes=boxes)
    n, c, h, w = checks.axes("x", x, "n c h w")
    k = checks.axes("boxes", boxes, "k 5")[0]
    checks.shape("boxes", boxes, (k, 5), "index of the image, x1, y1, x2, y2")
    oh, ow = checks.pair("output_size", output_size, minimum=1)
    scale = checks.real("spatial_scale", spatial_scale, 0, LIMIT)
    if arithmetic is None:
        arithmetic = dtype.name
    checks.choice("arithmetic", arithmetic, ("float32", "float64", "exact"))
    checks.choice("rounding", rounding, ("half_away", "half_even", "none"))
    exact, single = arithmetic == "exact", arithmetic == "float32"
    if exact and rounding == "none":
        raise ArgumentError("arithmetic 'exact' divides whole pixels, but rounding is 'none'")
    rounded = rounding != "none", rounding == "half_even"
    shape = (k, c, oh, ow)
    return Plan(
        outputs=(Spec(shape, dtype), Spec(shape, np.dtype(np.int64))),
        geometry=Geometry(n, c, h, w, k, oh, ow, scale, exact, single, *rounded),
        results=2 if checks.flag("return_indices", return_indices) else 1,
        flops=k * c * oh * ow,
        reach=None,
    )
