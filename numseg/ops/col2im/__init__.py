"""col2im: windows added up to an image."""

from __future__ import annotations

from numseg import checks
from numseg.errors import ArgumentError
from numseg.operator import Plan, Spec, operator
from numseg.ops.im2col import window_geometry
from numseg.typing import Array, ArrayLike, Padding, Pair


@operator("x", linear="x")
def col2im(
    x: ArrayLike,
    output_size: Pair,
    kernel_size: Pair,
    dilation: Pair = 1,
    padding: Padding = 0,
    stride: Pair = 1,
) -> Plan[Array]:
    """The transpose of im2col: every column is put back as a window, and overlaps add up.

    Not the inverse of im2col: a pixel that k windows cover comes back k times as large.

    Parameters
    ----------
    x : array, (N, C * KH * KW, OH * OW), float32 or float64
        Columns, as :data:`~numseg.im2col` with the same parameters makes them.
    output_size : int or (rows, columns)
        Size (H, W) of the image.
    kernel_size : int or (rows, columns)
    dilation : int or (rows, columns)
    padding : int, (rows, columns), (top, bottom, left, right), "valid", "same" or "same_lower"
        "same" is TensorFlow's.
    stride : int or (rows, columns)

    Returns
    -------
    array, (N, C, H, W), dtype of x

    Raises
    ------
    ArgumentError
        For a wrong rank or dtype, rows that the kernel's size does not divide, or another number
        of columns than there are windows.

    Notes
    -----
    Gradient: ``grad_x`` is :data:`~numseg.im2col` of ``grad_y``. No kinks.

    A pixel adds up its copies in the order of the taps (i, j).

    Source: ``torch.nn.functional.fold`` of PyTorch 2.13; Caffe's ``col2im``.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> columns = ns.im2col(np.ones((1, 1, 1, 4)), (1, 2))
    >>> ns.col2im(columns, (1, 4), (1, 2))
    array([[[[1., 2., 2., 1.]]]])
    """
    dtype = checks.floats(x=x)
    n, rows, columns = checks.axes("x", x, "n c*kh*kw oh*ow")
    kh, kw = checks.pair("kernel_size", kernel_size, minimum=1)
    if rows % (kh * kw) != 0:
        raise ArgumentError(f"x has {rows} rows, which a kernel of {kh} x {kw} does not divide")
    size = checks.pair("output_size", output_size, minimum=0)
    g = window_geometry(n, rows // (kh * kw), size, kernel_size, stride, padding, dilation)
    if columns != g.oh * g.ow:
        raise ArgumentError(
            f"x has {columns} columns, but an image of {g.h} x {g.w} has {g.oh} x {g.ow} windows"
        )
    return Plan(
        outputs=(Spec((n, g.c, g.h, g.w), dtype),),
        geometry=g,
        flops=n * rows * columns,
        reach=None,
    )
