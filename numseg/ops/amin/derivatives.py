"""Derivatives of amin: those of amax."""

from numseg.ops.amax.derivatives import double_backward, jvp

__all__ = ["double_backward", "jvp"]
