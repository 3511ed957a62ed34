"""Inputs for tanh."""

from numseg.testing.pointwise import inputs

valid, invalid = inputs()
EXACT = False
roundings = 4
"""Two for the value; in the gradient one for exp, and less than three for the rest."""
