"""Bins of a fixed number, where all have one size, are windows of a pooling that slides."""

from __future__ import annotations

from typing import Any

from numseg.operator import Operator
from numseg.ops.avg_pool2d import avg_pool2d


def pooling(window: tuple[int, int]) -> tuple[Operator[..., Any], dict[str, Any]]:
    """What makes of each window of an image what bins of this size make: an operator and its
    arguments."""
    return avg_pool2d, {"kernel_size": window, "stride": 1}
