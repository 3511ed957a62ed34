"""Its weights lie as conv2d's do."""

from numseg.ops.conv2d.folding import scaled

__all__ = ["scaled"]
