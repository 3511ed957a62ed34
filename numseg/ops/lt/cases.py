"""Inputs for lt: whole numbers, so that some are equal, and reals."""

from numseg.testing.broadcasting import inputs

valid, invalid = inputs()
EXACT = True
roundings = 0
