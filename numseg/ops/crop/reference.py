"""crop by its definition: padding by less than nothing."""

from __future__ import annotations

from numseg.ops.pad.reference import backward, forward, matrix

__all__ = ["backward", "forward", "matrix"]
