"""What l2_norm divides by, and how that depends on the norm."""

from numseg.kernels.machine.jit import rule
from numseg.kernels.pointwise.elementary import sqrt

MAX, INSIDE = 0, 1


@rule
def inverse(norm, eps, eps_rule):
    """1 / d; 0 where d is 0."""
    real = type(norm)
    if eps_rule == MAX:
        d = eps if norm < eps else norm
    else:
        d = sqrt(norm * norm + eps) if eps_rule == INSIDE else norm + eps
    return real(0) if d == 0 else real(1) / d


@rule
def pull(norm, eps, eps_rule):
    """-1 / norm times the derivative of 1 / d along the norm; 0 where d does not depend on it."""
    real = type(norm)
    if norm == 0 or (eps_rule == MAX and norm < eps):
        return real(0)
    over_d = inverse(norm, eps, eps_rule)
    return over_d * over_d * (over_d if eps_rule == INSIDE else real(1) / norm)
