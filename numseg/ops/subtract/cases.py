"""Inputs for subtract."""

from numseg.ops.add import add
from numseg.testing.broadcasting import inputs, sizes_of_terms, terms

valid, invalid = inputs()
EXACT = True
roundings = terms
scales = sizes_of_terms(add)
