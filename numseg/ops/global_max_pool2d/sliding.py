"""It slides as adaptive_max_pool2d does."""

from __future__ import annotations

from numseg.ops.adaptive_max_pool2d.sliding import pooling

__all__ = ["pooling"]
