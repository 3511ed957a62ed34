"""Power-average pooling."""

from __future__ import annotations

from numseg import checks
from numseg.geometry import less_than_window, pads, window_counts, window_reach
from numseg.operator import Plan, Spec, operator
from numseg.ops.lp_pool2d.geometry import Geometry
from numseg.typing import Array, ArrayLike, Padding, Pair


@operator("x", saves="x")
def lp_pool2d(
    x: ArrayLike,
    norm_type: float,
    kernel_size: Pair,
    stride: Pair | None = None,
    ceil_mode: bool = False,
    *,
    padding: Padding = 0,
    absolute: bool = False,
    scaled: bool = True,
) -> Plan[Array]:
    """The p-norm of each window: ``y = (sum of x**p)**(1/p)`` with ``p = norm_type``.

    Parameters
    ----------
    x : array, (N, C, H, W), float32 or float64
    norm_type : float
        Positive. 1 is a sum, 2 the Euclidean norm; the larger, the nearer to the maximum.
    kernel_size : int or (rows, columns)
    stride : int or (rows, columns), optional
        Defaults to ``kernel_size``.
    ceil_mode : bool
        Round the output size up, so that the last window may reach beyond the padding; also where
        it is the only one.
    padding : int, (rows, columns), (top, bottom, left, right), "valid", "same" or "same_lower"
        Zeros, less than the window on each side.
    absolute : bool
        Of ``abs(x)``, which is a norm (ONNX). If False, of x (PyTorch): where p is odd, numbers of
        both signs cancel, and y is NaN where the sum is negative; where it is no integer, y is NaN
        where x is negative.
    scaled : bool
        Multiply the sum of a window that reaches beyond the padding by what it lacks, ``kernel
        pixels / pixels within the padded image`` (PyTorch). If False, leave it as it is (ONNX).

    Returns
    -------
    array, (N, C, OH, OW), dtype of x

    Raises
    ------
    ArgumentError
        For a wrong rank or dtype, a norm_type that is not positive, a stride below 1, padding that
        is not less than the window, or a window larger than the padded image.

    Notes
    -----
    All arithmetic is in float64: float32 results are rounded once, and powers that float32 could
    not hold do no harm.

    Gradient: each number of a window gets ``grad_y * y**(1 - p) * x**(p - 1)`` (and what the window
    is scaled by). Where the sum is 0, a kink unless p is 1, it gets 0.

    Source: ``torch.nn.functional.lp_pool2d`` of PyTorch 2.13; ONNX 18 ``LpPool``.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.lp_pool2d(np.array([[[[3.0, 4.0], [5.0, 12.0]]]]), 2, (1, 2))[0, 0]
    array([[ 5.],
           [13.]])
    """
    dtype = checks.floats(x=x)
    n, c, h, w = checks.axes("x", x, "n c h w")
    p = checks.positive("norm_type", norm_type)
    kh, kw = kernel = checks.pair("kernel_size", kernel_size, minimum=1)
    sy, sx = steps = kernel if stride is None else checks.pair("stride", stride, minimum=1)
    sides = pads(padding, (h, w), kernel, steps, (1, 1))
    less_than_window(sides, kernel)
    ceil = checks.flag("ceil_mode", ceil_mode)
    oh, ow = window_counts((h, w), kernel, steps, sides, (1, 1), ceil, "torch")
    flags = checks.flag("absolute", absolute), checks.flag("scaled", scaled)
    top, _, left, _ = sides
    return Plan(
        outputs=(Spec((n, c, oh, ow), dtype),),
        geometry=Geometry(n, c, h, w, oh, ow, kh, kw, sy, sx, *sides, p, *flags),
        flops=2 * n * c * oh * ow * kh * kw,
        reach=(window_reach(kh, sy, top, 1), window_reach(kw, sx, left, 1)),
    )
