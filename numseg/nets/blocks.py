"""What networks are built of: operators together with their parameters."""

from __future__ import annotations

import functools

from numseg.graph import Builder, Value, he_normal, ones, zeros
from numseg.ops.batch_norm import batch_norm
from numseg.ops.conv2d import conv2d
from numseg.ops.conv_transpose2d import conv_transpose2d
from numseg.typing import Padding


def conv(
    net: Builder,
    name: str,
    x: Value,
    channels: int,
    filters: int,
    kernel: int,
    padding: Padding = 0,
    bias: bool = True,
) -> Value:
    """A convolution with ``name.weight`` and ``name.bias``."""
    weight = net.param(f"{name}.weight", (filters, channels, kernel, kernel), he_normal)
    b = net.param(f"{name}.bias", (filters,), zeros) if bias else None
    return net.add(conv2d, x, weight, b, padding=padding, name=name)


def up_conv(net: Builder, name: str, x: Value, channels: int, filters: int) -> Value:
    """A transposed convolution that doubles rows and columns: each pixel becomes 2 x 2 pixels."""
    init = functools.partial(he_normal, fan_in=channels)  # the 2 x 2 pixels do not overlap
    weight = net.param(f"{name}.weight", (channels, filters, 2, 2), init)
    bias = net.param(f"{name}.bias", (filters,), zeros)
    return net.add(conv_transpose2d, x, weight, bias, stride=2, name=name)


def norm(net: Builder, name: str, x: Value, channels: int) -> Value:
    """Batch normalisation with PyTorch's four arrays."""
    return net.add(
        batch_norm,
        x,
        net.param(f"{name}.running_mean", (channels,), zeros),
        net.param(f"{name}.running_var", (channels,), ones),
        net.param(f"{name}.weight", (channels,), ones),
        net.param(f"{name}.bias", (channels,), zeros),
        training=net.training,
        name=name,
    )
