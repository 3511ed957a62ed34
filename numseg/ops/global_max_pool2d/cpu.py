"""global_max_pool2d on the CPU: adaptive_max_pool2d with one bin."""

from __future__ import annotations

from numseg.ops.adaptive_max_pool2d.cpu import backward, forward

__all__ = ["backward", "forward"]
