"""Tools to test operators: numseg's, or your own."""

from numseg.testing.adjoint import AdjointReport, adjointcheck
from numseg.testing.conformance import conformance
from numseg.testing.gradients import GradientReport, gradcheck
from numseg.testing.verdict import ConformanceReport

__all__ = [
    "AdjointReport",
    "ConformanceReport",
    "GradientReport",
    "adjointcheck",
    "conformance",
    "gradcheck",
]
