"""Inputs for leaky_relu."""

from numseg.testing.pointwise import inputs

valid, invalid = inputs(*({"negative_slope": s} for s in (0.01, 0.2, 0.0, 1.0, -0.5, 3.0)))
EXACT = "cpu"
roundings = 3
"""One, of a product: up to 3 times the factor it is measured by."""
