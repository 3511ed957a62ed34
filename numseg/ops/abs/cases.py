"""Inputs for abs."""

from numseg.testing.pointwise import inputs

valid, invalid = inputs()
EXACT = True
roundings = 0
