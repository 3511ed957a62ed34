"""Inputs for hard_sigmoid: both ends of the line are reached with the steeper slopes, and are no
numbers that the cases are made of, so a finite difference steps over none."""

from numseg.testing.pointwise import inputs

LINES = (1 / 6, 0.5), (0.2, 0.5), (1.4142, 0.517), (-0.3, 0.25), (0.0, 2.0)

valid, invalid = inputs(*({"alpha": alpha, "beta": beta} for alpha, beta in LINES))
EXACT = "cpu"
roundings = 2
"""One, of a number below 1, or of a product with alpha; on CUDA also those of alpha and beta."""
