"""Inputs for exp."""

from numseg.testing.pointwise import inputs

valid, invalid = inputs()
EXACT = False
roundings = 3
"""Two for exp, without fused multiply-add, and one for the product with grad_y."""
