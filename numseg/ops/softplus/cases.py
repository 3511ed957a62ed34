"""Inputs for softplus: thresholds far away, and where all numbers are above or below."""

from numseg.testing.cases import Case, refused
from numseg.testing.pointwise import inputs

valid, invalid = inputs(
    {"beta": 1.0, "threshold": 20.0},
    {"beta": 0.5, "threshold": 1000.0},
    {"beta": 3.0, "threshold": 20.0},
    {"beta": 2.0, "threshold": -9.0},
)
bad = refused(Case({"x": (3,)}))
invalid += [bad("beta must be positive", beta=beta) for beta in (0.0, -1.0)]
EXACT = False
roundings = 5
"""Two for exp, without fused multiply-add, two for log1p, and one for the quotient or the sum."""
