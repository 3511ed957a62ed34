"""What networks are built of: operators together with their parameters.

Each block adds nodes and parameters to a :class:`~numseg.graph.Builder` under its name and gives
the value that comes out; PyTorch's names of the parameters, ``name.weight``, ``name.bias``. Where
a word names something (a start value, a normalisation, an activation), the function or operator
itself will do as well, and a pair adds arguments: ``activation=("leaky_relu", {...})``.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from numseg import checks, names
from numseg.errors import ArgumentError, shown
from numseg.graph import Builder, Value, initialiser, ones, zeros
from numseg.operator import Spec
from numseg.ops import dropout as dropout_
from numseg.ops.batch_norm import batch_norm
from numseg.ops.conv2d import conv2d
from numseg.ops.conv_transpose2d import conv_transpose2d
from numseg.ops.flatten import flatten
from numseg.ops.global_avg_pool2d import global_avg_pool2d
from numseg.ops.group_norm import group_norm
from numseg.ops.linear import linear as linear_
from numseg.ops.multiply import multiply
from numseg.typing import Padding, Pair


class Stage(NamedTuple):
    """What a backbone hands on: a value, and how many channels it has."""

    value: Value
    channels: int


class Step(NamedTuple):
    """A place where a backbone would halve the size, or one where it goes on."""

    stride: int
    before: int
    """The dilation of what lies before the stride, the convolution that has it included;"""
    after: int
    """and of what lies after it. They differ where the stride is gone."""


class Dilated:
    """Strides that become dilations: what is beyond ``output_stride`` has stride 1, and all after
    it is dilated by what is gone, so that it reads the same pixels of the image."""

    def __init__(self, output_stride: int) -> None:
        if output_stride not in (4, 8, 16, 32):
            raise ArgumentError(f"output_stride must be 4, 8, 16 or 32, got {shown(output_stride)}")
        self.output_stride = output_stride
        self.reached = 1
        self.dilation = 1

    def step(self, stride: int) -> Step:
        """The next place, which has this stride in the network that is not dilated."""
        before = self.dilation
        if self.reached * stride > self.output_stride:
            self.dilation *= stride
            return Step(1, before, self.dilation)
        self.reached *= stride
        return Step(stride, before, before)


def divisible(channels: float, divisor: int = 8) -> int:
    """The nearest multiple of ``divisor``, at least one, and no less than 0.9 of ``channels``.

    Source: TensorFlow's MobileNets; torchvision 0.28, ``models._utils._make_divisible``.
    """
    nearest = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return nearest if nearest >= 0.9 * channels else nearest + divisor


def image(
    net: Builder,
    channels: int,
    smallest: int = 1,
    name: str = "x",
    *,
    largest: float = math.inf,
    centred: bool = False,
) -> Value:
    """An input (N, channels, H, W), refused before any work where it has other channels, fewer
    than ``smallest`` rows or columns or more than ``largest``; and where pixels would not lie
    ``centred`` on it, if that is asked for (:meth:`numseg.graph.Builder.input`)."""
    channels = checks.integer("in_channels", channels, 1)
    check = functools.partial(_check_image, channels, smallest, largest)
    return net.input(name, check, centred=centred)


def _check_image(expected: int, smallest: int, largest: float, x: Spec) -> None:
    _, channels, *sides = checks.axes("x", x, "n c h w")
    if channels != expected:
        raise ArgumentError(f"x has {channels} channels, but this network takes {expected}")
    for axis, size in zip(("rows", "columns"), sides, strict=True):
        if size < smallest:
            raise ArgumentError(f"x has {size} {axis}, but this network takes {smallest} at least")
        if size > largest:
            raise ArgumentError(f"x has {size} {axis}, but this network takes {largest} at most")


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
    norm_name: str | None = None,
    activation_name: str | None = None,
) -> Value:
    """A convolution, then a normalisation (``name.norm``) and an activation (``name.relu``), if
    they are given.

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
    norm_name, activation_name : str, optional
        Their names, where a published network calls them something else: ``layer1.0.bn1``.
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
    return _finished(net, name, y, filters, norm, activation, norm_name, activation_name)


def conv_norm_act(
    net: Builder,
    name: str,
    x: Value,
    channels: int,
    filters: int,
    kernel: int = 3,
    *,
    stride: int = 1,
    dilation: int = 1,
    norm: Any = "batch_norm",
    activation: Any = "relu",
    **others: Any,
) -> Value:
    """A convolution, its normalisation and its activation as a sequence, ``name.0``, ``name.1``
    and ``name.2``. It is padded, so that at stride 1 the size stays.

    Arguments are those of :func:`conv`. Source: torchvision 0.28, ``ops.Conv2dNormActivation``.
    """
    return conv(
        net, f"{name}.0", x, channels, filters, kernel, (kernel - 1) // 2 * dilation,
        stride=stride, dilation=dilation, norm=norm, norm_name=f"{name}.1",
        activation=activation, activation_name=f"{name}.2", **others,
    )  # fmt: skip


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
    norm_name: str | None = None,
    activation_name: str | None = None,
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
    return _finished(net, name, y, filters, norm, activation, norm_name, activation_name)


def linear(
    net: Builder,
    name: str,
    x: Value,
    inputs: int,
    outputs: int,
    bias: Any = True,
    *,
    init: Any = "he_normal",
    activation: Any = None,
    activation_name: str | None = None,
) -> Value:
    """A linear layer of the last axis, and an activation if it is given; the arguments of
    :func:`conv`."""
    weight = net.param(f"{name}.weight", (outputs, inputs), initialiser(init))
    b = _bias(net, name, outputs, bias, inputs)
    y = net.add(linear_, x, weight, b, name=name)
    return _finished(net, name, y, outputs, None, activation, None, activation_name)


def dropout(net: Builder, name: str, x: Value, p: float = 0.5) -> Value:
    """Dropout in training, with a seed of its own in each step; x itself where p is 0."""
    p = checks.real("dropout", p)
    if not 0 <= p < 1:
        raise ArgumentError(f"dropout must lie in [0, 1), got {p}")
    if p == 0:
        return x
    return net.add(dropout_.dropout, x, p, seed=net.seed, training=net.training, name=name)


def means(net: Builder, x: Value, name: str = "avgpool") -> Value:
    """The mean of each channel, (N, C): what a classifier's last layer reads."""
    h = net.add(global_avg_pool2d, x, name=name)
    return net.add(flatten, h, name=f"{name}.flatten")


def squeeze_excitation(
    net: Builder,
    name: str,
    x: Value,
    channels: int,
    squeezed: int,
    *,
    activation: Any = "relu",
    scale_activation: Any = "sigmoid",
    init: Any = "he_normal",
) -> Value:
    """Each channel times a number that the means of all channels decide: ``name.avgpool``, 1 x 1
    convolutions ``name.fc1`` down to ``squeezed`` channels and ``name.fc2`` up again.

    Source: Hu, Shen and Sun, "Squeeze-and-Excitation Networks", 2017; torchvision 0.28,
    ``ops.SqueezeExcitation``, which has convolutions for the paper's linear layers.
    """
    h = net.add(global_avg_pool2d, x, name=f"{name}.avgpool")
    h = conv(
        net, f"{name}.fc1", h, channels, squeezed, 1, init=init,
        activation=activation, activation_name=f"{name}.activation",
    )  # fmt: skip
    h = conv(
        net, f"{name}.fc2", h, squeezed, channels, 1, init=init,
        activation=scale_activation, activation_name=f"{name}.scale_activation",
    )  # fmt: skip
    return net.add(multiply, x, h, name=f"{name}.scale")


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
    net: Builder,
    name: str,
    y: Value,
    channels: int,
    norm: Any,
    activation: Any,
    norm_name: str | None = None,
    activation_name: str | None = None,
) -> Value:
    """What follows a convolution."""
    if norm is not None:
        y = normalise(net, norm_name or f"{name}.norm", y, channels, norm)
    if activation is not None:
        kind = activation[0] if isinstance(activation, tuple) else activation
        short = names.operator("activation", kind).__name__
        y = activate(net, activation_name or f"{name}.{short}", y, activation)
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
