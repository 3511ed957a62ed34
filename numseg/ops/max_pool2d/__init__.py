"""Max pooling with switches."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numseg import checks, geometry
from numseg.operator import Plan, Spec, operator
from numseg.typing import Array, ArrayLike, Padding, Pair


class Geometry(NamedTuple):
    n: int
    c: int
    h: int
    w: int
    oh: int
    ow: int
    kh: int
    kw: int
    sy: int
    sx: int
    pt: int
    pl: int
    dy: int
    dx: int


@operator("x", outputs="y switches", saves="switches")
def max_pool2d(
    x: ArrayLike,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    return_switches: bool = False,
) -> Plan[Array | tuple[Array, Array]]:
    """Largest value of each window, and where it stood.

    ``y[n, c, p, q] = max over i, j of x[n, c, p*sy - top + i*dy, q*sx - left + j*dx]``, over the
    taps that fall on the image: padding never wins.

    Parameters
    ----------
    x : array, (N, C, H, W), float32 or float64
    kernel_size : int or (rows, columns)
    stride : int or (rows, columns), optional
        Defaults to ``kernel_size``.
    padding : int, (rows, columns), (top, bottom, left, right), "valid" or "same"
        At most half the window's extent on each side. "same" is TensorFlow's.
    dilation : int or (rows, columns)
    ceil_mode : bool
        Round the output size up; a last window that would start in the padding after the image is
        dropped, as in PyTorch.
    return_switches : bool
        Also return the switches.

    Returns
    -------
    y : array, (N, C, OH, OW), dtype of x
    switches : array, (N, C, OH, OW), int64
        Only if asked for: the flat index ``row * W + column`` of the winner in its (H, W) plane.

    Raises
    ------
    ArgumentError
        For a wrong rank or dtype, a stride or dilation below 1, padding of more than half the
        window, or a window larger than the padded image.

    Notes
    -----
    Ties: the first maximum in row-major order wins. NaN wins over every number, and the last NaN
    keeps the switch. A window of -inf keeps its first pixel. A window without a pixel on the image
    (a dilated window may straddle a small one) gives -inf and switch -1.

    Gradient: each ``grad_y`` goes to the pixel in its switch; where windows overlap they add up, in
    row-major order of the windows. At ties this is one of the subgradients: the winner takes all.

    Source: PyTorch 2.13, ``torch.nn.functional.max_pool2d(return_indices=True)``, bit for bit.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> x = np.arange(16.0).reshape(1, 1, 4, 4)
    >>> y, switches = ns.max_pool2d(x, 2, return_switches=True)
    >>> switches[0, 0]
    array([[ 5,  7],
           [13, 15]])
    """
    dtype = checks.floats(x=x)
    n, c, h, w = checks.axes("x", x, "n c h w")
    kh, kw = kernel = checks.pair("kernel_size", kernel_size, minimum=1)
    sy, sx = steps = kernel if stride is None else checks.pair("stride", stride, minimum=1)
    dy, dx = dilations = checks.pair("dilation", dilation, minimum=1)
    sides = geometry.pads(padding, (h, w), kernel, steps, dilations)
    geometry.at_most_half(sides, (geometry.extent(kh, dy), geometry.extent(kw, dx)))
    oh, ow = geometry.window_counts(
        (h, w), kernel, steps, sides, dilations, checks.flag("ceil_mode", ceil_mode)
    )
    top, _, left, _ = sides
    shape = (n, c, oh, ow)
    return Plan(
        outputs=(Spec(shape, dtype), Spec(shape, np.dtype(np.int64))),
        geometry=Geometry(n, c, h, w, oh, ow, kh, kw, sy, sx, top, left, dy, dx),
        results=2 if checks.flag("return_switches", return_switches) else 1,
        flops=n * c * oh * ow * kh * kw,
        reach=(
            geometry.window_reach(kh, sy, top, dy),
            geometry.window_reach(kw, sx, left, dx),
        ),
    )
