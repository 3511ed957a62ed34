"""Inputs for mish."""

from numseg.testing.pointwise import inputs

valid, invalid = inputs()
EXACT = False
roundings = 8
"""Two for exp, without fused multiply-add, and one each for the other operations."""
