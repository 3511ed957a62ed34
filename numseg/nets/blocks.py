"""What networks are built of: operators together with their parameters.

Each block adds nodes and parameters to a :class:`~numseg.graph.Builder` under its name and gives
the value that comes out; PyTorch's names of the parameters, ``name.weight``, ``name.bias``. Where
a word names something (a start value, a normalisation, an activation), the function or operator
itself will do as well, and a pair adds arguments: ``activation=("leaky_relu", {...})``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from numseg import checks, names
from numseg.errors import ArgumentError
from numseg.graph import Builder, Value, initialiser, ones, zeros
from numseg.ops.batch_norm import batch_norm
from numseg.ops.conv2d import conv2d
from numseg.ops.conv_transpose2d import conv_transpose2d
from numseg.ops.group_norm import group_norm
from numseg.typing import Padding, Pair


def conv(
    net: Builder,
    name: str,
    x: Value,
    channels: int,
    filters: int,
    kernel: Pair = 3,
    padding: Padding = 0,
    bias: Any = None,
    *,
    stride: Pair = 1,
    dilation: Pair = 1,
    groups: int = 1,
    init: Any = "he_normal",
    norm: Any = None,
    activation: Any = None,
) -> Value:
    """A convolution, then a normalisation (``name.norm``) and an activation (``name.relu``), if
    they are named.

    Parameters
    ----------
    net, name, x
        The builder, the block's name, and the value that goes in.
    channels, filters : int
        Channels that go in and that come out.
    kernel : int or (rows, columns)
    padding, stride, dilation, groups
        Of :func:`numseg.conv2d`; padding may be "same".
    bias : bool or start value, optional
        True starts it at zero. By default there is one unless a normalisation follows, which would
        take it away again.
    init : start value of the weight
        See :func:`numseg.graph.initialiser`.
    norm : normalisation, optional
        See :func:`normalise`.
    activation : operator, optional
        See :func:`activate`.
    """
    rows, columns = checks.pair("kernel", kernel, 1)
    per_group = _per_group("channels", channels, groups)
    weight = net.param(f"{name}.weight", (filters, per_group, rows, columns), initialiser(init))
    b = _bias(
        net, name, filters, norm is None if bias is None else bias, per_group * rows * columns
    )
    y = net.add(
        conv2d, x, weight, b,
        stride=stride, padding=padding, dilation=dilation, groups=groups, name=name,
    )  # fmt: skip
    return _finished(net, name, y, filters, norm, activation)


def depthwise(
    net: Builder,
    name: str,
    x: Value,
    channels: int,
    kernel: Pair = 3,
    *,
    multiplier: int = 1,
    **others: Any,
) -> Value:
    """A convolution of each channel by itself, with ``multiplier`` filters for each; the arguments
    of :func:`conv`."""
    return conv(net, name, x, channels, multiplier * channels, kernel, groups=channels, **others)


def separable(
    net: Builder,
    name: str,
    x: Value,
    channels: int,
    filters: int,
    kernel: Pair = 3,
    padding: Padding = 0,
    *,
    stride: Pair = 1,
    dilation: Pair = 1,
    **others: Any,
) -> Value:
    """A depthwise separable convolution: ``name.depthwise``, then 1 x 1 over the channels,
    ``name.pointwise``, each with its bias, normalisation and activation (arguments of
    :func:`conv`), as in MobileNet."""
    h = depthwise(
        net, f"{name}.depthwise", x, channels, kernel,
        padding=padding, stride=stride, dilation=dilation, **others,
    )  # fmt: skip
    return conv(net, f"{name}.pointwise", h, channels, filters, 1, **others)


def conv_transpose(
    net: Builder,
    name: str,
    x: Value,
    channels: int,
    filters: int,
    kernel: Pair = 2,
    stride: Pair = 2,
    padding: Padding = 0,
    bias: Any = None,
    *,
    output_padding: Pair = 0,
    groups: int = 1,
    init: Any = "he_normal",
    trainable: bool = True,
    norm: Any = None,
    activation: Any = None,
) -> Value:
    """A transposed convolution; by default it makes each pixel 2 x 2 pixels.

    ``init="bilinear"`` makes it interpolate at first, as in FCN: ``kernel=2 * stride,
    padding=stride // 2`` for an even stride, and as many filters as channels.
    ``trainable=False`` keeps it so: the weight is a constant. The other arguments are those of
    :func:`conv` and :func:`numseg.conv_transpose2d`.
    """
    rows, columns = checks.pair("kernel", kernel, 1)
    sy, sx = checks.pair("stride", stride, 1)
    _per_group("channels", channels, groups)
    per_group = _per_group("filters", filters, groups)
    # an output pixel is reached by so many of the kernel's elements, of every channel of its group
    fan_in = channels // groups * (rows * columns / (sy * sx))
    weight = net.param(
        f"{name}.weight", (channels, per_group, rows, columns), initialiser(init, fan_in), trainable
    )
    b = _bias(net, name, filters, norm is None if bias is None else bias, fan_in)
    y = net.add(
        conv_transpose2d, x, weight, b,
        stride=stride, padding=padding, output_padding=output_padding, groups=groups, name=name,
    )  # fmt: skip
    return _finished(net, name, y, filters, norm, activation)


def normalise(net: Builder, name: str, x: Value, channels: int, norm: Any = "batch_norm") -> Value:
    """A normalisation with its scale and shift: ``"batch_norm"`` with PyTorch's four arrays,
    ``("batch_norm", {"eps": 1e-3})``, ``("group_norm", {"num_groups": 32})``, or a function
    ``f(net, name, x, channels)`` that adds one."""
    kind, arguments = norm if isinstance(norm, tuple) else (norm, {})
    if isinstance(kind, str):
        kind = NORMS[checks.choice("norm", kind, tuple(NORMS))]
    return kind(net, name, x, channels, **arguments)


def _batch_norm(net: Builder, name: str, x: Value, channels: int, **arguments: Any) -> Value:
    return net.add(
        batch_norm,
        x,
        net.param(f"{name}.running_mean", (channels,), zeros),
        net.param(f"{name}.running_var", (channels,), ones),
        net.param(f"{name}.weight", (channels,), ones),
        net.param(f"{name}.bias", (channels,), zeros),
        training=net.training,
        name=name,
        **arguments,
    )


def _group_norm(
    net: Builder, name: str, x: Value, channels: int, num_groups: int, **arguments: Any
) -> Value:
    weight = net.param(f"{name}.weight", (channels,), ones)
    bias = net.param(f"{name}.bias", (channels,), zeros)
    return net.add(group_norm, x, num_groups, weight, bias, name=name, **arguments)


NORMS: Mapping[str, Callable[..., Value]] = {"batch_norm": _batch_norm, "group_norm": _group_norm}


def activate(net: Builder, name: str, x: Value, activation: Any = "relu") -> Value:
    """An activation: an operator of one array or its name, ``"relu"``, ``"silu"``,
    ``("leaky_relu", {"negative_slope": 0.1})``."""
    kind, arguments = activation if isinstance(activation, tuple) else (activation, {})
    return net.add(names.operator("activation", kind), x, name=name, **arguments)


def _finished(
    net: Builder, name: str, y: Value, channels: int, norm: Any, activation: Any
) -> Value:
    """What follows a convolution."""
    if norm is not None:
        y = normalise(net, f"{name}.norm", y, channels, norm)
    if activation is not None:
        kind = activation[0] if isinstance(activation, tuple) else activation
        short = names.operator("activation", kind).__name__
        y = activate(net, f"{name}.{short}", y, activation)
    return y


def _bias(net: Builder, name: str, filters: int, bias: Any, fan_in: float) -> Value | None:
    """The bias, which may start anywhere."""
    if bias is False:
        return None
    return net.param(
        f"{name}.bias", (filters,), initialiser("zeros" if bias is True else bias, fan_in)
    )


def _per_group(what: str, count: int, groups: int) -> int:
    """How many of them each group has."""
    count = checks.integer(what, count, 1)
    if count % checks.integer("groups", groups, 1):
        raise ArgumentError(f"groups = {groups} does not divide {count} {what}")
    return count // groups
