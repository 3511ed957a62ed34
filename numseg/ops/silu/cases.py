"""Inputs for silu."""

from numseg.testing.pointwise import inputs

valid, invalid = inputs()
EXACT = False
roundings = 8
"""Three for the sigmoid and one for the product with x. The gradient multiplies two sigmoids, x and
grad_y, and adds 1: its parts are at most 4 / 3 of |x|."""
