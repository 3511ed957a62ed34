"""Crop at an offset."""

from __future__ import annotations

from numseg import checks
from numseg.errors import ArgumentError
from numseg.geometry import shifted
from numseg.operator import Plan, Spec, operator
from numseg.ops.pad import pad
from numseg.ops.pad.geometry import Geometry
from numseg.typing import Array, ArrayLike, Pair


@operator("x", linear="x", like=pad)
def crop(x: ArrayLike, size: Pair, offset: Pair = 0) -> Plan[Array]:
    """A part of an image: ``y[n, c, p, q] = x[n, c, p + top, q + left]``.

    Parameters
    ----------
    x : array, (N, C, H, W), float32 or float64
    size : int or (rows, columns)
    offset : int or (rows, columns)
        ``top`` and ``left``. ``Graph.crop_offset`` derives them from a network, as FCN needs it.

    Returns
    -------
    array, (N, C, rows, columns), dtype of x

    Raises
    ------
    ArgumentError
        For a wrong rank or dtype, or a crop that is not on the image.

    Notes
    -----
    Gradient: ``grad_y`` where the crop is, 0 around it.

    Source: Caffe's ``Crop`` layer with ``axis: 2``, of which FCN (Long, Shelhamer, Darrell 2015)
    is made; ``torchvision.transforms.functional.crop``, which pads with zeros outside the image.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.crop(np.arange(25.0).reshape(1, 1, 5, 5), (1, 2), offset=(1, 3))[0, 0]
    array([[8., 9.]])
    """
    dtype = checks.floats(x=x)
    n, c, h, w = checks.axes("x", x, "n c h w")
    rows, columns = checks.pair("size", size, minimum=0)
    top, left = checks.pair("offset", offset, minimum=0)
    if top + rows > h or left + columns > w:
        raise ArgumentError(
            f"the crop ends at row {top + rows} and column {left + columns}, but x has {h} rows "
            f"and {w} columns"
        )
    return Plan(
        outputs=(Spec((n, c, rows, columns), dtype),),
        geometry=Geometry(n * c, h, w, rows, columns, -top, -left, 0.0, 0),
        reach=shifted(top, left),
    )
