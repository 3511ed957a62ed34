"""Inputs for selu."""

from numseg.testing.pointwise import inputs

valid, invalid = inputs()
EXACT = False
roundings = 4
"""Two for exp, without fused multiply-add, and one each for the product and the constant."""
