"""Inputs for sigmoid."""

from numseg.testing.pointwise import inputs

valid, invalid = inputs()
EXACT = False
roundings = 3
"""One for exp, and less than one in all for the sum, the quotient and the rounding of y; the
gradient's factors add three halves."""
