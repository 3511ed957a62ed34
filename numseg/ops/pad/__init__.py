"""Constant padding, which may also crop."""

from __future__ import annotations

from typing import NamedTuple

from numseg import checks, geometry
from numseg.errors import ArgumentError
from numseg.operator import Plan, Spec, operator
from numseg.typing import Array, ArrayLike, Sides


class Geometry(NamedTuple):
    planes: int
    h: int
    w: int
    oh: int
    ow: int
    pt: int
    pl: int
    value: float


@operator("x", linear="x")
def pad(x: ArrayLike, padding: Sides, value: float = 0.0) -> Plan[Array]:
    """Rows and columns of a constant around an image; a negative side crops it.

    ``y[n, c, p, q] = x[n, c, p - top, q - left]`` where that is on the image, else ``value``.

    Parameters
    ----------
    x : array, (N, C, H, W), float32 or float64
    padding : int, (rows, columns), (top, bottom, left, right) or ((top, bottom), (left, right))
        Rows first, as everywhere in numseg. PyTorch's ``F.pad`` takes the last axis first:
        (left, right, top, bottom).
    value : float
        Infinity and NaN are allowed.

    Returns
    -------
    array, (N, C, top + H + bottom, left + W + right), dtype of x

    Raises
    ------
    ArgumentError
        For a wrong rank or dtype, or if cropping leaves less than nothing.

    Notes
    -----
    Gradient: ``grad_y`` where the image is; 0 for pixels cropped away. ``pad.matrix`` leaves out
    ``value``, which is added to the product.

    Source: PyTorch 2.13, ``torch.nn.functional.pad(mode="constant")``, bit for bit but for the
    order of the sides. A side may crop the image wholly and the other pad it again; PyTorch refuses
    that.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> x = np.array([[[[1.0, 2.0, 3.0]]]])
    >>> ns.pad(x, (1, 0, 2, -1))[0, 0]
    array([[0., 0., 0., 0.],
           [0., 0., 1., 2.]])
    """
    dtype = checks.floats(x=x)
    n, c, h, w = checks.axes("x", x, "n c h w")
    top, bottom, left, right = geometry.sides("padding", padding, minimum=None)
    oh, ow = top + h + bottom, left + w + right
    if oh < 0 or ow < 0:
        raise ArgumentError(
            f"padding (top {top}, bottom {bottom}, left {left}, right {right}) crops more than x "
            f"has: {h} rows, {w} columns"
        )
    number = checks.real("value", value, finite=False)
    return Plan(
        outputs=(Spec((n, c, oh, ow), dtype),),
        geometry=Geometry(n * c, h, w, oh, ow, top, left, number),
        reach=geometry.shifted(-top, -left),
    )
