"""Inputs for multiply."""

from numseg.testing.broadcasting import inputs, terms

valid, invalid = inputs()
EXACT = True
roundings = terms
