"""Convolution."""

from __future__ import annotations

from numseg import checks
from numseg.errors import ArgumentError
from numseg.geometry import pads, window_counts, window_reach
from numseg.operator import Plan, Spec, operator
from numseg.ops.add import add
from numseg.ops.batch_norm import batch_norm
from numseg.ops.clip import clip
from numseg.ops.conv2d.geometry import TILES, Geometry
from numseg.ops.hard_sigmoid import hard_sigmoid
from numseg.ops.hard_swish import hard_swish
from numseg.ops.relu import relu
from numseg.ops.sigmoid import sigmoid
from numseg.ops.silu import silu
from numseg.typing import Array, ArrayLike, Padding, Pair

ACTIVATIONS = relu, hard_swish, silu, sigmoid, hard_sigmoid, clip


@operator(
    "x weight bias",
    saves="x weight",
    linear="x weight",
    epilogue=(batch_norm, add, ACTIVATIONS),
)
def conv2d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
    algorithm: str = "direct",
) -> Plan[Array]:
    """Two-dimensional convolution (cross-correlation, as in every deep-learning framework).

    ``y[n, f, p, q] = bias[f] + sum over c, i, j of weight[f, c, i, j] *
    x[n, first + c, p*sy - top + i*dy, q*sx - left + j*dx]``, where x counts as zero outside the
    image, and ``first`` is the first channel of the group that filter f belongs to.

    Parameters
    ----------
    x : array, (N, C, H, W), float32 or float64
    weight : array, (F, C / groups, KH, KW), dtype of x
        F filters.
    bias : array, (F,), dtype of x, optional
    stride : int or (rows, columns)
    padding : int, (rows, columns), (top, bottom, left, right), "valid", "same" or "same_lower"
        "same" is TensorFlow's: an output of ``ceil(size / stride)``, the odd pixel of padding goes
        to the bottom and to the right. It holds for any stride; PyTorch's is the case of stride 1.
        "same_lower" puts the odd pixel at the top and left (ONNX ``SAME_LOWER``).
    dilation : int or (rows, columns)
    groups : int
        Filters and channels are split into as many runs, and each run of filters sees its own run
        of channels. ``groups=C`` is a depthwise convolution.
    algorithm : {"direct", "winograd2", "winograd4"}
        How the CPU computes the result and ``grad_x``: the same sums, rounded in another way. Of
        Winograd's, by tiles of 2 x 2 or of 4 x 4 outputs, the second is the faster and the less
        exact; both take 3 x 3 kernels of stride 1 and dilation 1.

    Returns
    -------
    array, (N, F, OH, OW), dtype of x
        ``OH = floor((H + top + bottom - dy*(KH - 1) - 1) / sy) + 1``, and OW alike.

    Raises
    ------
    ArgumentError
        For a wrong rank or dtype, a stride or dilation below 1, channels of x and weight that do
        not match, groups that divide neither, a window larger than the padded image, or a kernel
        that the algorithm does not take.
    DeviceError
        For an algorithm other than "direct" on CUDA.

    Notes
    -----
    Gradient: ``grad_x`` is the transposed convolution of ``grad_y`` with the weight,
    ``grad_weight[f, c, i, j]`` sums ``grad_y[n, f, p, q] * x[n, first + c, p*sy - top + i*dy,
    q*sx - left + j*dx]``, and ``grad_bias`` sums ``grad_y``. There are no kinks.

    NaN and infinity in x reach the outputs whose windows they fall in, and no others.

    With "winograd2" or "winograd4" an error is at most ``(channels of a group + 28) / 2 * eps *
    growth`` times the sum over c of ``max |weight[f, c]| * max |x[c]|``, where the second maximum
    is over the pixels of a tile, and growth is 64 or 544; the definition has 9. Typical errors are
    those of "direct", or two to five times as large. An infinity or a NaN may make NaN of all
    outputs of the tiles that read it. ``grad_weight`` and ``grad_bias`` are always direct.

    Source: ``torch.nn.functional.conv2d`` of PyTorch 2.13; ``tf.nn.conv2d`` for "same"; ONNX
    ``Conv`` for "same_lower".

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> x = np.arange(16.0).reshape(1, 1, 4, 4)
    >>> edges = np.array([[[[-1.0, 0.0, 1.0]]]])
    >>> ns.conv2d(x, edges, padding=(0, 1), stride=2)
    array([[[[1., 2.],
             [9., 2.]]]])
    """
    dtype = checks.floats(x=x, weight=weight, bias=bias)
    n, c, h, width = checks.axes("x", x, "n c h w")
    f, group_channels, kh, kw = checks.axes("weight", weight, "f c/groups kh kw")
    kernel = (
        checks.integer("weight's kernel rows", kh, 1),
        checks.integer("weight's kernel columns", kw, 1),
    )
    groups = checks.integer("groups", groups, minimum=1, maximum=checks.LARGEST)
    _check_groups(c, f, group_channels, groups)
    if bias is not None:
        checks.shape("bias", bias, (f,), f"one for each of the {f} filters of weight")
    steps = checks.pair("stride", stride, minimum=1)
    dilations = checks.pair("dilation", dilation, minimum=1)
    sides = pads(padding, (h, width), kernel, steps, dilations)
    oh, ow = window_counts((h, width), kernel, steps, sides, dilations)
    # one window has no step, nor has one tap: kernels need not know of those beyond the image
    sy, sx = (s if o > 1 else 1 for s, o in zip(steps, (oh, ow), strict=True))
    dy, dx = (d if k > 1 else 1 for d, k in zip(dilations, kernel, strict=True))
    tile = TILES[checks.choice("algorithm", algorithm, tuple(TILES))]
    if tile:
        _check_winograd(algorithm, kernel, steps, dilations)
    top, _, left, _ = sides
    products = n * f * oh * ow * group_channels * kh * kw
    return Plan(
        outputs=(Spec((n, f, oh, ow), dtype),),
        geometry=Geometry(
            n, c, h, width, f, oh, ow, kh, kw, sy, sx, top, left, dy, dx, groups, tile
        ),
        flops=2 * products + (0 if bias is None else n * f * oh * ow),
        reach=(
            window_reach(kh, steps[0], top, dilations[0]),
            window_reach(kw, steps[1], left, dilations[1]),
        ),
        grid=max(tile, 1),
    )


def _check_winograd(
    algorithm: str, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]
) -> None:
    if kernel != (3, 3) or stride != (1, 1) or dilation != (1, 1):
        raise ArgumentError(
            f"algorithm {algorithm!r} takes kernel (3, 3), stride (1, 1), dilation (1, 1), got "
            f"kernel {kernel}, stride {stride}, dilation {dilation}"
        )


def _check_groups(c: int, f: int, group_channels: int, groups: int) -> None:
    if group_channels * groups != c:
        raise ArgumentError(
            f"weight takes {group_channels} channels per group, so x must have "
            f"{group_channels * groups} channels in {groups} group{'s' if groups > 1 else ''}, "
            f"but x has {c}"
        )
    if f % groups != 0:
        raise ArgumentError(f"groups = {groups} does not divide the {f} filters of weight")
