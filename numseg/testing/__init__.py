"""Tools to test operators: numseg's, or your own."""

from numseg.testing.adjoint import AdjointReport, adjointcheck
from numseg.testing.conformance import conformance
from numseg.testing.gradients import GradientReport, gradcheck
from numseg.testing.matrices import jacobian
from numseg.testing.second_order import SecondOrderReport, second_order_check
from numseg.testing.tangents import TangentReport, jvpcheck
from numseg.testing.verdict import ConformanceReport

__all__ = [
    "AdjointReport",
    "ConformanceReport",
    "GradientReport",
    "SecondOrderReport",
    "TangentReport",
    "adjointcheck",
    "conformance",
    "gradcheck",
    "jacobian",
    "jvpcheck",
    "second_order_check",
]
