"""Deformable convolution."""

from __future__ import annotations

from numseg import checks
from numseg.errors import ArgumentError
from numseg.geometry import pads, window_counts
from numseg.operator import Plan, Spec, operator
from numseg.ops.deform_conv2d.geometry import Geometry
from numseg.typing import Array, ArrayLike, Padding, Pair


@operator(
    "x offset weight bias mask",
    saves="x offset weight mask",
    linear="x weight bias mask",
    finite="weight mask grad_y",
)
def deform_conv2d(
    x: ArrayLike,
    offset: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    mask: ArrayLike | None = None,
    boundary: str = "torchvision",
) -> Plan[Array]:
    """Deformable convolution: each tap, at each output pixel, reads where its offset sends it.

    With ``row = p*sy - top + i*dy + offset[n, 2*t, p, q]`` and ``column = q*sx - left + j*dx +
    offset[n, 2*t + 1, p, q]`` for the tap t = (i, j)::

        y[n, f, p, q] = bias[f] + sum over c, i, j of
            weight[f, c, i, j] * mask[n, t, p, q] * x[n, first + c] at (row, column)

    where the image between pixels is interpolated bilinearly, and ``first`` is the first channel
    of the group that filter f belongs to. Without a mask this is DCN v1, with one v2.

    Parameters
    ----------
    x : array, (N, C, H, W), float32 or float64
    offset : array, (N, G * KH * KW * 2, OH, OW), dtype of x
        In pixels, rows before columns, of each tap, in each of G offset groups: channels of x are
        split into as many runs, and each run has offsets (and a mask) of its own.
    weight : array, (F, C / groups, KH, KW), dtype of x
        F filters. How many groups there are is what its shape says.
    bias : array, (F,), dtype of x, optional
    stride : int or (rows, columns)
    padding : int, (rows, columns), (top, bottom, left, right), "valid", "same" or "same_lower"
        As for :func:`numseg.conv2d`.
    dilation : int or (rows, columns)
    mask : array, (N, G * KH * KW, OH, OW), dtype of x, optional
        What a sample is multiplied by.
    boundary : {"torchvision", "mmcv", "mxnet"}
        "torchvision": pixels outside the image are zeros, so a sample fades out within one pixel
        of the border. "mmcv": the same values; the derivative by an offset at exactly -1 is 0
        instead of that to the right. "mxnet": a sample before 0, or at H (or W) and beyond, is 0;
        from H - 1 on it is pixel H - 1.

    Returns
    -------
    array, (N, F, OH, OW), dtype of x
        Of conv2d's size.

    Raises
    ------
    ArgumentError
        For a wrong rank, dtype or boundary, a stride or dilation below 1, shapes of x, weight,
        offset, mask and bias that do not belong together, or a window larger than the padded image.

    Notes
    -----
    Gradient: a sample's gradient, ``sum over f of weight * grad_y``, goes to the four pixels by
    their weights, to the mask times the sample, and to the offset times the slope of the
    interpolation.

    Kinks: on a pixel the interpolation has two slopes. The gradient by an offset takes the one
    to the right (and below), "mmcv" at exactly -1 none. With "mxnet" the value jumps at 0 and at
    H; jumps have no part in the gradient.

    Places are sums in float64, which are exact for float32 offsets. A place that is NaN gives NaN;
    an infinite one lies outside. A pixel whose weight is 0 is read nevertheless (NaN stays NaN); a
    sample outside reads nothing.

    Source: torchvision 0.28, ``ops.deform_conv2d`` (Dai et al., Deformable Convolutional Networks,
    2017; Zhu et al., Deformable ConvNets v2, 2019); mmcv; MXNet ``DeformableConvolution``.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> x = np.arange(16.0).reshape(1, 1, 4, 4)  # value 4 * row + column
    >>> offset = np.zeros((1, 2, 4, 4))
    >>> offset[:, 1] = 0.5  # half a pixel to the right
    >>> ns.deform_conv2d(x, offset, np.ones((1, 1, 1, 1)))[0, 0, 0]
    array([0.5, 1.5, 2.5, 1.5])
    """
    dtype = checks.floats(x=x, offset=offset, weight=weight, bias=bias, mask=mask)
    n, c, h, width = checks.axes("x", x, "n c h w")
    f, group_channels, kh, kw = checks.axes("weight", weight, "f c/groups kh kw")
    kernel = (
        checks.integer("weight's kernel rows", kh, 1),
        checks.integer("weight's kernel columns", kw, 1),
    )
    groups = _groups(c, f, group_channels)
    if bias is not None:
        checks.shape("bias", bias, (f,), f"one for each of the {f} filters of weight")
    sy, sx = steps = checks.pair("stride", stride, minimum=1)
    dy, dx = dilations = checks.pair("dilation", dilation, minimum=1)
    sides = pads(padding, (h, width), kernel, steps, dilations)
    oh, ow = window_counts((h, width), kernel, steps, sides, dilations)
    offset_groups = _offset_groups(c, checks.axes("offset", offset, "n g*kh*kw*2 oh ow")[1], kernel)
    taps = offset_groups * kh * kw
    checks.shape("offset", offset, (n, 2 * taps, oh, ow), "a row and a column for each tap")
    if mask is not None:
        checks.shape("mask", mask, (n, taps, oh, ow), "a factor for each tap of offset")
    checks.choice("boundary", boundary, ("torchvision", "mmcv", "mxnet"))
    top, _, left, _ = sides
    samples = n * c * kh * kw * oh * ow
    products = n * f * oh * ow * group_channels * kh * kw
    return Plan(
        outputs=(Spec((n, f, oh, ow), dtype),),
        geometry=Geometry(
            *(n, c, h, width, f, oh, ow, kh, kw, sy, sx, top, left, dy, dx),
            groups=groups,
            offset_groups=offset_groups,
            masked=mask is not None,
            clamped=boundary == "mxnet",
            flat_start=boundary == "mmcv",
        ),
        flops=2 * products + 7 * samples + (0 if bias is None else n * f * oh * ow),
        reach=None,
    )


def _groups(c: int, f: int, group_channels: int) -> int:
    """As many as the weight's channels go into x's."""
    groups = c // group_channels if group_channels else 1
    if groups * group_channels != c or groups == 0:
        raise ArgumentError(
            f"weight takes {group_channels} channels per group, so x must have a multiple of "
            f"{group_channels} channels, but x has {c}"
        )
    if f % groups != 0:
        raise ArgumentError(
            f"weight takes {group_channels} of the {c} channels of x, so there are {groups} "
            f"groups, which do not divide its {f} filters"
        )
    return groups


def _offset_groups(c: int, channels: int, kernel: tuple[int, int]) -> int:
    """As many as the channels of offset suffice for."""
    each = 2 * kernel[0] * kernel[1]
    groups = channels // each
    if groups * each != channels or groups == 0:
        raise ArgumentError(
            f"offset has {channels} channels, expected a multiple of {each}: a row and a column "
            f"for each of the {kernel[0]} x {kernel[1]} taps of weight"
        )
    if c % groups != 0:
        raise ArgumentError(
            f"offset has {channels} channels, so there are {groups} offset groups, which do not "
            f"divide the {c} channels of x"
        )
    return groups
