"""Transposed convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from numseg import checks
from numseg.errors import ArgumentError
from numseg.geometry import pads, transposed_reach, transposed_same, transposed_size
from numseg.operator import Plan, Spec, operator
from numseg.ops.conv_transpose2d.geometry import Geometry, counts
from numseg.typing import Array, ArrayLike, Padding, Pair


@operator("x weight bias", saves="x weight", linear="x weight")
def conv_transpose2d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Pair = 1,
    padding: Padding = 0,
    output_padding: Pair = 0,
    groups: int = 1,
    dilation: Pair = 1,
    output_size: Sequence[int] | None = None,
    overlap: str = "sum",
) -> Plan[Array]:
    """Transposed convolution: the transpose of conv2d as a matrix, applied to x.

    ``y.ravel() == conv2d.matrix(y.shape, weight, ...).T @ x.ravel()``. Every input pixel stamps the
    kernel, times its value, on the output: ``y[n, first + f, p*sy - top + i*dy,
    q*sx - left + j*dx] += x[n, c, p, q] * weight[c, f, i, j]``, where ``first`` is the first output
    channel of the group that channel c belongs to. What falls outside the output is dropped;
    where stamps overlap they add up.

    Parameters
    ----------
    x : array, (N, C, H, W), float32 or float64
    weight : array, (C, F / groups, KH, KW), dtype of x
        The weight of the convolution that is transposed: input channels come first.
    bias : array, (F,), dtype of x, optional
        Added to the result; not part of the transpose.
    stride : int or (rows, columns)
    padding : int, (rows, columns), (top, bottom, left, right), "valid", "same" or "same_lower"
        What is cut off each side of the stamped image. "same" leaves ``H * sy`` rows, or
        ``output_size``, and cuts the odd one off at the bottom, "same_lower" at the top; where the
        stamps fall short of it, rows of zeros follow at the bottom.
    output_padding : int or (rows, columns)
        Rows and columns added at the bottom and right, to choose among the input sizes that a
        strided convolution maps to the same output size. Less than the stride or the dilation.
    groups : int
    dilation : int or (rows, columns)
    output_size : (rows, columns), optional
        The wanted size, in place of ``output_padding``.
    overlap : {"sum", "average"}
        Where stamps overlap they add up; or the sum is divided by their number,
        ``numseg.ops.conv_transpose2d.overlap(x.shape, weight.shape, ...)``, before the bias is
        added.

    Returns
    -------
    array, (N, F, OH, OW), dtype of x
        ``OH = sy*(H - 1) + dy*(KH - 1) + 1 + output_padding - top - bottom``, and OW alike.

    Raises
    ------
    ArgumentError
        For a wrong rank or dtype, channels that do not match, groups that do not divide, an
        ``output_padding`` too large, an ``output_size`` out of reach, or an empty result.

    Notes
    -----
    Gradient: ``grad_x`` is conv2d of ``grad_y`` with the weight, ``grad_weight`` that convolution's
    gradient of the weight with x in the place of its ``grad_y``, and ``grad_bias`` sums ``grad_y``;
    an average divides ``grad_y`` first, but for the bias. No kinks.

    Source: ``torch.nn.functional.conv_transpose2d`` of PyTorch 2.13.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> x = np.array([[[[1.0, 2.0]]]])
    >>> ns.conv_transpose2d(x, np.ones((1, 1, 1, 3)), stride=2)
    array([[[[1., 1., 3., 2., 2.]]]])
    """
    dtype = checks.floats(x=x, weight=weight, bias=bias)
    n, c, h, width = checks.axes("x", x, "n c h w")
    channels, group_filters, kh, kw = checks.axes("weight", weight, "c f/groups kh kw")
    kernel = (
        checks.integer("weight's kernel rows", kh, 1),
        checks.integer("weight's kernel columns", kw, 1),
    )
    groups = checks.integer("groups", groups, minimum=1, maximum=checks.LARGEST)
    if channels != c:
        raise ArgumentError(f"weight has {channels} input channels (its first axis), but x has {c}")
    if c % groups != 0:
        raise ArgumentError(f"groups = {groups} does not divide the {c} channels of x")
    f = group_filters * groups
    if bias is not None:
        checks.shape("bias", bias, (f,), f"one for each of the {f} output channels")
    sy, sx = steps = checks.pair("stride", stride, minimum=1)
    dy, dx = dilations = checks.pair("dilation", dilation, minimum=1)
    extra = checks.pair("output_padding", output_padding, minimum=0)
    wanted = None if output_size is None else checks.pair("output_size", output_size, minimum=1)
    if wanted is not None and extra != (0, 0):
        raise ArgumentError(f"give output_padding {extra} or output_size, not both")
    axes = _Axes((h, width), kernel, steps, dilations, extra)
    sides, (oh, ow) = _sizes(axes, padding, wanted)
    if min(oh, ow) < 1:
        raise ArgumentError(f"the result would have {oh} x {ow} pixels: padding cuts all of it off")
    top, _, left, _ = sides
    products = n * c * h * width * group_filters * kh * kw
    average = checks.choice("overlap", overlap, ("sum", "average")) == "average"
    sizes = n, f, oh, ow, c, h, width, kh, kw
    # one stamp has no step, nor has one tap: kernels need not know of those beyond the image
    moves = sy if h > 1 else 1, sx if width > 1 else 1
    spacing = dy if kh > 1 else 1, dx if kw > 1 else 1
    return Plan(
        outputs=(Spec((n, f, oh, ow), dtype),),
        geometry=Geometry(*sizes, *moves, top, left, *spacing, groups, average),
        flops=2 * products + (0 if bias is None else n * f * oh * ow),
        reach=(
            transposed_reach(kh, sy, top, dy),
            transposed_reach(kw, sx, left, dx),
        ),
    )


def overlap(x_shape: Any, weight_shape: Any, **parameters: Any) -> Array:
    """How many stamps lie on each output pixel: the pattern behind checkerboard artefacts.

    Parameters
    ----------
    x_shape, weight_shape : shape
    **parameters
        As for a call: stride, padding and so on.

    Returns
    -------
    array, (OH, OW), int64
        Of one channel: pairs of an input pixel and a tap of the kernel. The same everywhere but
        at the borders if the stride divides the kernel size (and there is no dilation).

    Examples
    --------
    >>> from numseg.ops.conv_transpose2d import overlap
    >>> overlap((1, 1, 1, 4), (1, 1, 1, 3), stride=2)
    array([[1, 1, 2, 1, 2, 1, 2, 1, 1]])
    """
    rows, columns = counts(conv_transpose2d.plan(x_shape, weight_shape, **parameters).geometry)
    return rows[:, None] * columns


class _Axes(NamedTuple):
    """Rows and columns of x, and what a call says of either."""

    size: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    output_padding: tuple[int, int]


def _sizes(
    axes: _Axes, padding: Any, wanted: tuple[int, int] | None
) -> tuple[tuple[int, int, int, int], tuple[int, int]]:
    """What is cut off each side, and the size that is left: ``wanted``, if that can be."""
    if isinstance(padding, str) and padding in ("same", "same_lower"):
        size = wanted or (axes.size[0] * axes.stride[0], axes.size[1] * axes.stride[1])
        (top, bottom), (left, right) = (
            transposed_same(i, o, k, s, d, extra, padding)
            for o, (i, k, s, d, extra) in zip(size, zip(*axes, strict=True), strict=True)
        )
        added = max(-bottom, 0), max(-right, 0)
    else:
        top, bottom, left, right = pads(padding, *axes[:4])
        full = [
            transposed_size(i, k, s, before, after, d, 0)
            for (i, k, s, d, _), before, after in zip(
                zip(*axes, strict=True), (top, left), (bottom, right), strict=True
            )
        ]
        size = wanted or (full[0] + axes.output_padding[0], full[1] + axes.output_padding[1])
        added = size[0] - full[0], size[1] - full[1]
    source = "output_padding" if wanted is None else f"output_size {wanted}"
    for name, e, s, d in zip(("rows", "columns"), added, axes.stride, axes.dilation, strict=True):
        if not 0 <= e < max(s, d):  # the convolution must map the size back to x's, as in PyTorch
            raise ArgumentError(
                f"{source} adds {e} {name}, expected at least 0 and less than the larger of "
                f"stride {s} and dilation {d}"
            )
    return (top, bottom, left, right), size
