"""Average pooling."""

from __future__ import annotations

from numseg import checks
from numseg.geometry import less_than_window, pads, window_counts, window_reach
from numseg.operator import Plan, Spec, operator
from numseg.ops.avg_pool2d.geometry import Geometry
from numseg.typing import Array, ArrayLike, Padding, Pair


@operator("x", linear="x")
def avg_pool2d(
    x: ArrayLike,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    ceil_rule: str = "torch",
) -> Plan[Array]:
    """Mean of each window.

    ``y[n, c, p, q] = sum over i, j of x[n, c, p*sy - top + i, q*sx - left + j] / divisor``, over
    the taps that fall on the image.

    Parameters
    ----------
    x : array, (N, C, H, W), float32 or float64
    kernel_size : int or (rows, columns)
    stride : int or (rows, columns), optional
        Defaults to ``kernel_size``.
    padding : int, (rows, columns), (top, bottom, left, right), "valid", "same" or "same_lower"
        Less than the window on each side. "same" is TensorFlow's, whose average pooling does
        not count the padding.
    ceil_mode : bool
        Round the output size up, so that the last window may reach beyond the padding; also where
        it is the only one.
    count_include_pad : bool
        Whether the divisor counts the pixels of the window on the padded image, or those on the
        image only.
    divisor_override : int, optional
        Divide by this instead.
    ceil_rule : {"torch", "caffe"}
        Which last windows ``ceil_mode`` drops: those that start after the image, or those only if
        there is padding.

    Returns
    -------
    array, (N, C, OH, OW), dtype of x

    Raises
    ------
    ArgumentError
        For a wrong rank or dtype, a stride or divisor below 1, padding that is not less than
        the window, or a window larger than the padded image.

    Notes
    -----
    With ``ceil_mode`` the last window may reach beyond the padding; those taps are never counted. A
    window without a pixel is 0.

    Gradient: each pixel of a window gets ``grad_y / divisor``.

    Source: PyTorch 2.13, ``torch.nn.functional.avg_pool2d``. The sum is in another order (columns
    of the window first), so the last bit of a mean of real numbers may differ.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> x = np.array([[[[1.0, 2.0], [3.0, 6.0]]]])
    >>> ns.avg_pool2d(x, 2)[0, 0]
    array([[3.]])
    >>> ns.avg_pool2d(x, 2, padding=1, count_include_pad=False)[0, 0]
    array([[1., 2.],
           [3., 6.]])
    """
    dtype = checks.floats(x=x)
    n, c, h, w = checks.axes("x", x, "n c h w")
    kh, kw = kernel = checks.pair("kernel_size", kernel_size, minimum=1)
    sy, sx = steps = kernel if stride is None else checks.pair("stride", stride, minimum=1)
    sides = pads(padding, (h, w), kernel, steps, (1, 1))
    less_than_window(sides, kernel)
    oh, ow = window_counts(
        (h, w), kernel, steps, sides, (1, 1), checks.flag("ceil_mode", ceil_mode), ceil_rule
    )
    include_pad = checks.flag("count_include_pad", count_include_pad)
    divisor = 0
    if divisor_override is not None:
        divisor = checks.integer("divisor_override", divisor_override, 1, checks.LARGEST)
    top, _, left, _ = sides
    return Plan(
        outputs=(Spec((n, c, oh, ow), dtype),),
        geometry=Geometry(n, c, h, w, oh, ow, kh, kw, sy, sx, *sides, include_pad, divisor),
        flops=n * c * oh * ow * kh * kw,
        reach=(
            window_reach(kh, sy, top, 1),
            window_reach(kw, sx, left, 1),
        ),
    )
