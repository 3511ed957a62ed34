"""A linear layer on windows of an image is a convolution with the same weights."""

from __future__ import annotations

from typing import Any

from numseg.operator import Operator, Spec
from numseg.ops.conv2d import conv2d
from numseg.typing import Shape


def convolution(
    window: tuple[int, int], spacing: tuple[int, int], *, weight: Spec, **others: Any
) -> tuple[Operator[..., Any], dict[str, Shape], dict[str, Any]]:
    """What it is where each x is a window of an image, channels first: an operator, the shapes in
    which that takes arrays of ours, and its other arguments. Pixels are ``spacing`` apart."""
    outputs, inputs = weight.shape
    rows, columns = window
    shape = outputs, inputs // (rows * columns), rows, columns
    return conv2d, {"weight": shape}, {"dilation": spacing}
