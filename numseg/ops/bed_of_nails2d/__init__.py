"""Bed-of-nails upsampling."""

from __future__ import annotations

from fractions import Fraction

from numseg import checks
from numseg.geometry import Reach
from numseg.operator import Plan, Spec, operator
from numseg.ops.bed_of_nails2d.geometry import Geometry
from numseg.typing import Array, ArrayLike, Pair


@operator("x", linear="x")
def bed_of_nails2d(x: ArrayLike, stride: Pair) -> Plan[Array]:
    """Each pixel in the top left corner of a cell of zeros.

    ``y[n, c, p*sy, q*sx] = x[n, c, p, q]``; every other pixel is 0.

    Parameters
    ----------
    x : array, (N, C, H, W), float32 or float64
    stride : int or (rows, columns)
        Size of the cells.

    Returns
    -------
    array, (N, C, H * sy, W * sx), dtype of x

    Raises
    ------
    ArgumentError
        For a wrong rank or dtype, or a stride below 1.

    Notes
    -----
    Gradient: ``grad_y`` at the nails. It is ``conv_transpose2d`` with a kernel that is one 1 in a
    cell of zeros, and the transpose of taking every ``stride``-th pixel.

    Source: Zeiler and Fergus 2014, "Visualizing and understanding convolutional networks"; the name
    is from Dumoulin and Visin 2016, "A guide to convolution arithmetic", by way of CS231n.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.bed_of_nails2d(np.array([[[[1.0, 2.0]]]]), 2)[0, 0]
    array([[1., 0., 2., 0.],
           [0., 0., 0., 0.]])
    """
    dtype = checks.floats(x=x)
    n, c, h, w = checks.axes("x", x, "n c h w")
    sy, sx = checks.pair("stride", stride, minimum=1)
    # a nail reads its own pixel, and what is between the nails reads nothing
    reach = Reach(Fraction(1, sy)), Reach(Fraction(1, sx))
    return Plan(
        outputs=(Spec((n, c, h * sy, w * sx), dtype),),
        geometry=Geometry(n, c, h, w, sy, sx),
        reach=reach,
    )
