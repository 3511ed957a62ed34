"""RoI Align."""

from __future__ import annotations

from numseg import checks
from numseg.operator import Plan, Spec, operator
from numseg.ops.roi_align.geometry import LIMIT, Geometry, check
from numseg.typing import Array, ArrayLike, Pair

__all__ = ["check", "roi_align"]


MOST_SAMPLES = 1024
"""Largest sampling_ratio."""


@operator("x boxes", saves="x boxes", linear="x", examines="boxes", fixed={"boxes": (..., 0)})
def roi_align(
    x: ArrayLike,
    boxes: ArrayLike,
    output_size: Pair,
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = False,
    mode: str = "avg",
    arithmetic: str | None = None,
    outside: str = "zero",
) -> Plan[Array]:
    """Features of regions: each box is cut into bins, each bin averages bilinear samples.

    For box k = (n, x1, y1, x2, y2), with ``start = y1 * spatial_scale - 0.5 * aligned`` and ``size
    = (y2 - y1) * spatial_scale`` along the rows (unless aligned, at least 1), and columns alike::

        place[p, i] = start + (p + (i + 0.5) / g) * size / OH       for i < g
        y[k, c, p, q] = mean over i, j of x[n, c] at (place[p, i], place[q, j])

    A sample before -1 or after H (or W) counts as 0; one between -1 and 0, or after H - 1, as the
    pixel at that border.

    Parameters
    ----------
    x : array, (N, C, H, W), float32 or float64
    boxes : array, (K, 5), dtype of x
        Index of the image, x1, y1, x2, y2. A box may leave the image, be empty or inverted.
    output_size : int or (rows, columns)
        OH and OW, the bins.
    spatial_scale : float
        What the boxes' coordinates are multiplied by.
    sampling_ratio : int
        g, the samples of a bin along each axis. Zero or less: adaptive, ``ceil(size / OH)`` along
        the rows and ``ceil(size / OW)`` along the columns; none at all in an empty or inverted box.
    aligned : bool
        Pixel centers lie at half-integer coordinates, as in detectron2. False is the older
        convention, in which a box is half a pixel off and at least one pixel large.
    mode : {"avg", "max", "max_corners"}
        "max": the largest sample. "max_corners": the largest product of a pixel and its bilinear
        weight, which is what ONNX calls max.
    arithmetic : {"float32", "float64"}, optional
        In which coordinates are computed; by default the dtype of x, as in torchvision. Where
        rounding carries a sample over a pixel, or changes g, the two differ.
    outside : {"zero", "clamp"}
        "clamp": a sample outside counts as the pixel at the border, however far away it is.

    Returns
    -------
    array, (K, C, OH, OW), dtype of x

    Raises
    ------
    ArgumentError
        For a wrong rank or dtype, an output_size below 1, a sampling_ratio above 1024, an index
        that is not that of an image, or a coordinate that is not finite or, scaled, beyond 2**24.

    Notes
    -----
    Gradient: for x, each ``grad_y`` goes to the pixels by the weights they had; a pixel adds up
    its RoIs in their order. For boxes, the derivative of the samples along their motion with the
    coordinates; the index gets 0. With adaptive sampling g is piecewise constant and has no
    derivative.

    Kinks, in the coordinates: where a sample lies on a pixel, the derivative is that to the right
    (that of the pixels after it); where it is clamped or outside, and on both outer borders -1 and
    H, it is 0; where the size is exactly 1 and not aligned, it is that of larger boxes. In "max",
    the first of equal samples, row by row, takes all; NaN wins over every number.

    A pixel whose weight is 0 is read nevertheless (NaN stays NaN); a sample outside reads nothing.
    A bin without samples is 0.

    Source: torchvision 0.28, ``ops.roi_align`` (He et al., Mask R-CNN, 2017); ONNX ``RoiAlign``
    for "max_corners"; mmcv for "max".

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> x = np.arange(16.0).reshape(1, 1, 4, 4)  # value 4 * row + column
    >>> boxes = np.array([[0, 0.5, 0.5, 2.5, 2.5]])
    >>> ns.roi_align(x, boxes, 2, aligned=True)
    array([[[[2.5, 3.5],
             [6.5, 7.5]]]])
    """
    dtype = checks.floats(x=x, boxes=boxes)
    n, c, h, w = checks.axes("x", x, "n c h w")
    k = checks.axes("boxes", boxes, "k 5")[0]
    checks.shape("boxes", boxes, (k, 5), "index of the image, x1, y1, x2, y2")
    oh, ow = checks.pair("output_size", output_size, minimum=1)
    ratio = checks.integer("sampling_ratio", sampling_ratio, maximum=MOST_SAMPLES)
    checks.choice("mode", mode, ("avg", "max", "max_corners"))
    if arithmetic is None:
        arithmetic = dtype.name
    geometry = Geometry(
        *(n, c, h, w, k, oh, ow),
        scale=checks.real("spatial_scale", spatial_scale, 0, LIMIT),
        ratio=max(ratio, 0),
        aligned=checks.flag("aligned", aligned),
        single=checks.choice("arithmetic", arithmetic, ("float32", "float64")) == "float32",
        maximum=mode != "avg",
        corners=mode == "max_corners",
        clamp=checks.choice("outside", outside, ("zero", "clamp")) == "clamp",
    )
    return Plan(
        outputs=(Spec((k, c, oh, ow), dtype),),
        geometry=geometry,
        flops=8 * k * c * oh * ow * max(ratio, 1) ** 2,
        reach=None,
        linear=mode == "avg",
    )
