"""Inputs for celu."""

from numseg.testing.cases import Case, refused
from numseg.testing.pointwise import inputs

valid, invalid = inputs(*({"alpha": alpha} for alpha in (1.0, 0.5, 3.0)))
bad = refused(Case({"x": (3,)}))
invalid += [bad("alpha must be positive", alpha=alpha) for alpha in (0.0, -1.0)]
EXACT = False
roundings = 5
"""As elu's, and one for the quotient, which exp shows as often as its size says."""
