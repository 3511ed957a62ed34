"""Tools to test operators: numseg's, or your own."""

from numseg.testing.adjoint import AdjointReport, adjointcheck
from numseg.testing.gradients import GradientReport, gradcheck

__all__ = ["AdjointReport", "GradientReport", "adjointcheck", "gradcheck"]
