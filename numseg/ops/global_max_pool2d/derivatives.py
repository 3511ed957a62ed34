"""Derivatives of global_max_pool2d: adaptive_max_pool2d with one bin."""

from __future__ import annotations

from numseg.ops.adaptive_max_pool2d.derivatives import double_backward, jvp

__all__ = ["double_backward", "jvp"]
