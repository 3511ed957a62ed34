"""im2col: the windows of an image as columns."""

from __future__ import annotations

from numseg import checks
from numseg.geometry import pads, window_counts
from numseg.operator import Plan, Spec, operator
from numseg.ops.im2col.geometry import Geometry
from numseg.typing import Array, ArrayLike, Padding, Pair


@operator("x", linear="x")
def im2col(
    x: ArrayLike,
    kernel_size: Pair,
    dilation: Pair = 1,
    padding: Padding = 0,
    stride: Pair = 1,
) -> Plan[Array]:
    """The windows of an image as columns of a matrix.

    ``y[n, (c*KH + i)*KW + j, p*OW + q] = x[n, c, p*sy - top + i*dy, q*sx - left + j*dx]``, zero
    outside the image. ``conv2d(x, weight)`` is ``weight.reshape(F, -1) @ im2col(x, (KH, KW))``;
    numseg's convolution never builds it.

    Parameters
    ----------
    x : array, (N, C, H, W), float32 or float64
    kernel_size : int or (rows, columns)
    dilation : int or (rows, columns)
    padding : int, (rows, columns), (top, bottom, left, right), "valid", "same" or "same_lower"
        "same" is TensorFlow's.
    stride : int or (rows, columns)

    Returns
    -------
    array, (N, C * KH * KW, OH * OW), dtype of x

    Raises
    ------
    ArgumentError
        For a wrong rank or dtype, a kernel, stride or dilation below 1, or a window larger than
        the padded image.

    Notes
    -----
    Gradient: ``grad_x`` is :data:`~numseg.col2im` of ``grad_y``; each pixel adds up its copies in
    the order of the taps (i, j). No kinks.

    Source: ``torch.nn.functional.unfold`` of PyTorch 2.13; Caffe's ``im2col``.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.im2col(np.arange(6.0).reshape(1, 1, 2, 3), 2)
    array([[[0., 1.],
            [1., 2.],
            [3., 4.],
            [4., 5.]]])
    """
    dtype = checks.floats(x=x)
    n, c, h, w = checks.axes("x", x, "n c h w")
    g = window_geometry(n, c, (h, w), kernel_size, stride, padding, dilation)
    return Plan(outputs=(Spec((n, c * g.kh * g.kw, g.oh * g.ow), dtype),), geometry=g, reach=None)


def window_geometry(
    n: int,
    c: int,
    size: tuple[int, int],
    kernel_size: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
) -> Geometry:
    """The checked geometry of the windows over an image of ``size``; col2im's too."""
    kernel = checks.pair("kernel_size", kernel_size, minimum=1)
    steps = checks.pair("stride", stride, minimum=1)
    dilations = checks.pair("dilation", dilation, minimum=1)
    sides = pads(padding, size, kernel, steps, dilations)
    counts = window_counts(size, kernel, steps, sides, dilations)
    top, _, left, _ = sides
    return Geometry(n, c, *size, *counts, *kernel, *steps, top, left, *dilations)
