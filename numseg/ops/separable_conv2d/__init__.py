"""Depthwise-separable convolution."""

from __future__ import annotations

from numseg import checks
from numseg.errors import ArgumentError
from numseg.geometry import pads, window_counts, window_reach
from numseg.operator import Plan, Spec, operator
from numseg.ops.separable_conv2d.geometry import Geometry
from numseg.typing import Array, ArrayLike, Padding, Pair


@operator(
    "x depthwise_weight pointwise_weight bias depthwise_bias",
    saves="x depthwise_weight pointwise_weight depthwise_bias",
    linear="x depthwise_weight pointwise_weight bias depthwise_bias",
)
def separable_conv2d(
    x: ArrayLike,
    depthwise_weight: ArrayLike,
    pointwise_weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    depthwise_bias: ArrayLike | None = None,
) -> Plan[Array]:
    """Depthwise-separable convolution: each channel by its own filters, then all of them mixed.

    ``z = conv2d(x, depthwise_weight, depthwise_bias, stride, padding, dilation, groups=C)`` and
    ``y = conv2d(z, pointwise_weight, bias)``, with nothing in between.

    Parameters
    ----------
    x : array, (N, C, H, W), float32 or float64
    depthwise_weight : array, (C * M, 1, KH, KW), dtype of x
        M filters for each channel (the depth multiplier): those of channel c are ``c * M`` and the
        next ones.
    pointwise_weight : array, (F, C * M, 1, 1), dtype of x
    bias : array, (F,), dtype of x, optional
    stride : int or (rows, columns)
        This, the padding and the dilation are the depthwise convolution's.
    padding : int, (rows, columns), (top, bottom, left, right), "valid", "same" or "same_lower"
        As for :func:`numseg.conv2d`.
    dilation : int or (rows, columns)
    depthwise_bias : array, (C * M,), dtype of x, optional
        Added before the channels are mixed. The pixels of z that lie on padding get it too.

    Returns
    -------
    array, (N, F, OH, OW), dtype of x
        Of conv2d's size.

    Raises
    ------
    ArgumentError
        For a wrong rank or dtype, a stride or dilation below 1, filters of depthwise_weight that
        are no multiple of x's channels, a pointwise_weight or a bias that does not fit, or a window
        larger than the padded image.

    Notes
    -----
    Gradient: ``grad_z`` is pointwise's transposed convolution of ``grad_y``; from there on, and for
    the weights, it is conv2d's. z is not kept: where the gradient of pointwise_weight is wanted,
    backward computes it again, which costs ``KH * KW / F`` of the forward pass. There are no kinks.

    z is rounded to the dtype of x.

    Source: Chollet, Xception (2017); Howard et al., MobileNets (2017); Keras ``SeparableConv2D``;
    two ``torch.nn.functional.conv2d`` of PyTorch 2.13.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> x = np.arange(8.0).reshape(1, 2, 2, 2)
    >>> rows = np.ones((2, 1, 1, 2))  # the sum of both columns, in each channel
    >>> difference = np.array([-1.0, 1.0]).reshape(1, 2, 1, 1)
    >>> ns.separable_conv2d(x, rows, difference)
    array([[[[8.],
             [8.]]]])
    """
    dtype = checks.floats(
        x=x,
        depthwise_weight=depthwise_weight,
        pointwise_weight=pointwise_weight,
        bias=bias,
        depthwise_bias=depthwise_bias,
    )
    n, c, h, width = checks.axes("x", x, "n c h w")
    channels, _, kh, kw = checks.axes("depthwise_weight", depthwise_weight, "c*m 1 kh kw")
    checks.shape(
        "depthwise_weight", depthwise_weight, (channels, 1, kh, kw), "a filter sees one channel"
    )
    if channels % max(c, 1) != 0 or (c == 0 < channels):
        raise ArgumentError(
            f"depthwise_weight has {channels} filters, expected a multiple of the {c} channels of x"
        )
    kernel = (
        checks.integer("depthwise_weight's kernel rows", kh, 1),
        checks.integer("depthwise_weight's kernel columns", kw, 1),
    )
    f = checks.axes("pointwise_weight", pointwise_weight, "f c*m 1 1")[0]
    reason = f"for the {channels} filters of depthwise_weight"
    checks.shape("pointwise_weight", pointwise_weight, (f, channels, 1, 1), reason)
    if bias is not None:
        checks.shape("bias", bias, (f,), f"one for each of the {f} filters of pointwise_weight")
    if depthwise_bias is not None:
        checks.shape("depthwise_bias", depthwise_bias, (channels,), reason)
    sy, sx = steps = checks.pair("stride", stride, minimum=1)
    dy, dx = dilations = checks.pair("dilation", dilation, minimum=1)
    sides = pads(padding, (h, width), kernel, steps, dilations)
    oh, ow = window_counts((h, width), kernel, steps, sides, dilations)
    top, _, left, _ = sides
    pixels = n * oh * ow
    added = (0 if bias is None else f) + (0 if depthwise_bias is None else channels)
    return Plan(
        outputs=(Spec((n, f, oh, ow), dtype),),
        geometry=Geometry(
            *(n, c, h, width),
            channels // max(c, 1),
            *(f, oh, ow, kh, kw, sy, sx, top, left, dy, dx),
        ),
        flops=pixels * (2 * channels * (kh * kw + f) + added),
        reach=(
            window_reach(kh, sy, top, dy),
            window_reach(kw, sx, left, dx),
        ),
    )
