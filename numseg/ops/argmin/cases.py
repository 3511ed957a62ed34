"""Inputs for argmin: those of argmax."""

from numseg.ops.argmax.cases import EXACT, invalid, roundings, valid

__all__ = ["EXACT", "invalid", "roundings", "valid"]
