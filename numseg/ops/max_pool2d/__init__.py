"""Max pooling with indices (switches, in the literature)."""

from __future__ import annotations

import math

import numpy as np

from numseg import checks
from numseg.errors import ArgumentError
from numseg.geometry import (
    extent,
    index_strides,
    less_than_window,
    pads,
    window_counts,
    window_reach,
)
from numseg.operator import Plan, Spec, operator
from numseg.ops.max_pool2d.geometry import Geometry
from numseg.typing import Array, ArrayLike, Padding, Pair


@operator("x", outputs="y indices tied", saves="indices tied")
def max_pool2d(
    x: ArrayLike,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    ceil_rule: str = "torch",
    nan: str = "propagate",
    lowest: float = -math.inf,
    ties: str = "first",
    index_layout: str = "hw",
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
    padding : int, (rows, columns), (top, bottom, left, right), "valid", "same" or "same_lower"
        Less than the window's extent on each side. "same" is TensorFlow's.
    dilation : int or (rows, columns)
    ceil_mode : bool
        Round the output size up, so that the last window may reach beyond the padding; also where
        it is the only one.
    return_indices : bool
        Also return where the largest values stood: the switches of unpooling.
    ceil_rule : {"torch", "caffe"}
        Which last windows ``ceil_mode`` drops: those that start after the image, or those only if
        there is padding.
    nan : {"propagate", "first", "drop"}
        "propagate": NaN wins over every number, and the index is that of the last one. "drop": NaN
        is no candidate. "first": nor is it, unless it is the first pixel of its window; then it
        wins.
    lowest : float
        Finite, it must be exceeded to win; a window in which nothing does has this value, and
        index -1.
    ties : {"first", "split", "all"}
        Where the gradient goes at a tie: to the first, to all in equal parts, or all of it to each.
    index_layout : {"hw", "nchw", "ncwh", "hwc", "nhwc"}
        The array that an index counts through, last axis fastest: the plane, or x transposed.

    Returns
    -------
    y : array, (N, C, OH, OW), dtype of x
    indices : array, (N, C, OH, OW), int64
        Only if asked for: the flat index of the winner, ``row * W + column`` in its (H, W) plane
        by default; -1 where there is none.

    Raises
    ------
    ArgumentError
        For a wrong rank or dtype, a stride or dilation below 1, padding that is not less
        than the window, a window larger than the padded image, or an unknown convention.

    Notes
    -----
    The first maximum in row-major order wins. A window of -inf keeps its first pixel. A window
    without a candidate (a dilated window may straddle a small image; Caffe's last window may lie
    after it) gives ``lowest`` and index -1.

    Gradient: each ``grad_y`` goes to the pixel at its index; where windows overlap they add up, in
    row-major order of the windows. At ties this is one of the subgradients, the winner takes all;
    ``ties="split"`` is another one. ``ties="all"`` is none, but what Theano computes.

    Source: PyTorch 2.13, ``torch.nn.functional.max_pool2d(return_indices=True)``, bit for bit. The
    other conventions: docs/operators/max_pool2d.md.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> x = np.arange(16.0).reshape(1, 1, 4, 4)
    >>> y, indices = ns.max_pool2d(x, 2, return_indices=True)
    >>> indices[0, 0]
    array([[ 5,  7],
           [13, 15]])
    """
    dtype = checks.floats(x=x)
    n, c, h, w = checks.axes("x", x, "n c h w")
    kh, kw = kernel = checks.pair("kernel_size", kernel_size, minimum=1)
    sy, sx = steps = kernel if stride is None else checks.pair("stride", stride, minimum=1)
    dy, dx = dilations = checks.pair("dilation", dilation, minimum=1)
    sides = pads(padding, (h, w), kernel, steps, dilations)
    less_than_window(sides, (extent(kh, dy), extent(kw, dx)))
    oh, ow = window_counts(
        (h, w), kernel, steps, sides, dilations, checks.flag("ceil_mode", ceil_mode), ceil_rule
    )
    moves = sy if oh > 1 else 1, sx if ow > 1 else 1  # one window has no step
    checks.choice("nan", nan, ("propagate", "first", "drop"))
    lowest = checks.real("lowest", lowest, finite=False)
    if math.isnan(lowest):
        raise ArgumentError("lowest must be a number, got nan")
    with np.errstate(over="ignore"):
        lowest = float(dtype.type(lowest))
    shared = checks.choice("ties", ties, ("first", "split", "all")) != "first"
    strides = index_strides(index_layout, c, h, w)
    top, _, left, _ = sides
    shape = (n, c, oh, ow)
    tied = (*shape, kh * kw) if shared else (0,)
    return Plan(
        outputs=(
            Spec(shape, dtype),
            Spec(shape, np.dtype(np.int64)),
            Spec(tied, np.dtype(np.uint8)),
        ),
        geometry=Geometry(
            *(n, c, h, w, oh, ow, kh, kw, *moves, top, left, dy, dx),
            *(nan != "propagate", nan == "first", lowest, shared, ties == "split"),
            *strides,
        ),
        results=2 if checks.flag("return_indices", return_indices) else 1,
        flops=n * c * oh * ow * kh * kw,
        reach=(
            window_reach(kh, sy, top, dy),
            window_reach(kw, sx, left, dx),
        ),
        linear=False,
    )


def places_of(indices: Array, strides: tuple[int, int, int, int], h: int, w: int) -> Array:
    """Indices (N, C, ...) as places ``row * w + column`` in their plane; -1 is none. ``strides``
    are those of :func:`numseg.geometry.index_strides`."""
    image, channel, row, column = strides
    n, c = np.ogrid[: indices.shape[0], : indices.shape[1]]
    base = np.expand_dims(n * image + c * channel, tuple(range(2, indices.ndim)))
    number, rest = np.divmod(indices - base, min(row, column))  # by rows, or by columns
    inside = (rest == 0) & (number >= 0) & (number < h * w)
    x, y = np.divmod(number, max(h, 1))
    return np.where(inside, number if column < row else y * w + x, -1)
