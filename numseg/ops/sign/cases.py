"""Inputs for sign."""

from numseg.testing.pointwise import inputs

valid, invalid = inputs()
EXACT = True
roundings = 0
