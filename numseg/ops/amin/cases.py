"""Inputs for amin: those of amax."""

from numseg.ops.amax.cases import EXACT, invalid, roundings, valid

__all__ = ["EXACT", "invalid", "roundings", "valid"]
