"""Inputs for elu."""

from numseg.testing.pointwise import inputs

valid, invalid = inputs(*({"alpha": alpha} for alpha in (1.0, 0.2, 0.0, -0.5, 3.0)))
EXACT = False
roundings = 4
"""Two for exp, without fused multiply-add, and one each for the product and alpha; where alpha is
3, y is measured by what is as large."""
