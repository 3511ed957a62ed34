"""Inputs for softsign."""

from numseg.testing.pointwise import inputs

valid, invalid = inputs()
EXACT = "value"
roundings = 3
"""The gradient's: half each for the sum and the quotient, twice because it is squared, and half
each for the two products. The value's are two halves."""
