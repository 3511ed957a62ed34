"""crop on the CPU: padding by less than nothing."""

from __future__ import annotations

from numseg.ops.pad.cpu import backward, forward

__all__ = ["backward", "forward"]
