"""Crop and resize."""

from __future__ import annotations

from numseg import checks
from numseg.errors import ArgumentError
from numseg.operator import Plan, Spec, operator
from numseg.ops.crop_and_resize.geometry import Geometry, check
from numseg.typing import Array, ArrayLike, Pair

__all__ = ["check", "crop_and_resize"]


@operator(
    "x boxes box_indices",
    saves="x boxes box_indices",
    differentiable="x boxes",
    linear="x",
    integers="box_indices",
    examines="boxes",
)
def crop_and_resize(
    x: ArrayLike,
    boxes: ArrayLike,
    box_indices: ArrayLike,
    crop_size: Pair,
    method: str = "bilinear",
    extrapolation_value: float = 0.0,
    on_pixels: str = "right",
    arithmetic: str | None = None,
) -> Plan[Array]:
    """Crops of images, each sampled at the corners of an even grid in its box.

    Box k = (y1, x1, y2, x2) is given in shares of the image: 0 is the first row, 1 the last. Along
    the rows, columns alike::

        place[p] = y1 * (H - 1) + p * (y2 - y1) * (H - 1) / (OH - 1)      OH > 1
        place[0] = (y1 + y2) / 2 * (H - 1)                                OH = 1
        y[k, c, p, q] = x[box_indices[k], c] at (place[p], place[q])

    A place before 0 or after H - 1 is outside of the image: there, y is ``extrapolation_value``.

    Parameters
    ----------
    x : array, (N, C, H, W), float32 or float64
    boxes : array, (K, 4), dtype of x
        y1, x1, y2, x2. Inverted, a box is mirrored.
    box_indices : array, (K,), integers
        Of each box, the image.
    crop_size : int or (rows, columns)
        OH and OW.
    method : {"bilinear", "nearest"}
        Between four pixels, or the nearest one, halves up.
    extrapolation_value : float
        What is outside.
    on_pixels : {"right", "zero"}
        The derivative by the place where a sample lies on a pixel: that to the right (on the last
        pixel, to the left), or 0, as in TensorFlow. "zero" does not read the next pixel there,
        "right" does, with weight 0: infinity times 0 is NaN.
    arithmetic : {"float32", "float64"}, optional
        In which places are computed; by default the dtype of x. TensorFlow's is float32.

    Returns
    -------
    array, (K, C, OH, OW), dtype of x

    Raises
    ------
    ArgumentError
        For a wrong rank or dtype, a crop_size below 1, an index that is not that of an image, an
        image without pixels, or a coordinate that is not finite or, times H - 1 or W - 1, beyond
        2**24.

    Notes
    -----
    Gradient: for x, each ``grad_y`` goes to the pixels by the weights they had; a pixel adds up its
    boxes in their order. For boxes, the derivative of the samples along their motion; 0 outside and
    for "nearest", which is piecewise constant. The jump at the border has no part in it.

    Source: TensorFlow 2, ``tf.image.crop_and_resize``, with ``on_pixels="zero"`` in float32; its
    images are (N, H, W, C). TensorFlow's gradient for the boxes of a crop whose samples lie on
    pixels, of a whole image in its own size for one, is 0, though the value changes with them.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> x = np.arange(16.0).reshape(1, 1, 4, 4)  # value 4 * row + column
    >>> ns.crop_and_resize(x, np.array([[0, 0, 1, 0.5]]), np.array([0]), (3, 2))
    array([[[[ 0. ,  1.5],
             [ 6. ,  7.5],
             [12. , 13.5]]]])
    """
    dtype = checks.floats(x=x, boxes=boxes)
    n, c, h, w = checks.axes("x", x, "n c h w")
    k = checks.axes("boxes", boxes, "k 4")[0]
    checks.shape("boxes", boxes, (k, 4), "y1, x1, y2, x2")
    checks.integers(box_indices=box_indices)
    checks.shape("box_indices", box_indices, (k,), "one of each box")
    oh, ow = checks.pair("crop_size", crop_size, minimum=1)
    if k > 0 and h * w == 0:
        raise ArgumentError(f"x has shape {tuple(x.shape)}: {k} boxes of images without pixels")
    if arithmetic is None:
        arithmetic = dtype.name
    geometry = Geometry(
        *(n, c, h, w, k, oh, ow),
        outside=checks.real("extrapolation_value", extrapolation_value, finite=False),
        nearest=checks.choice("method", method, ("bilinear", "nearest")) == "nearest",
        right=checks.choice("on_pixels", on_pixels, ("right", "zero")) == "right",
        single=checks.choice("arithmetic", arithmetic, ("float32", "float64")) == "float32",
    )
    return Plan(
        outputs=(Spec((k, c, oh, ow), dtype),),
        geometry=geometry,
        flops=8 * k * c * oh * ow,
        reach=None,
    )
