"""What l2_norm divides by, and how that depends on the norm."""

import math

from numseg.kernels.machine.jit import rule

MAX, INSIDE = 0, 1


@rule
def inverse(norm, eps, eps_rule):
    """1 / d; 0 where d is 0."""
    if eps_rule == MAX:
        d = eps if norm < eps else norm
    else:
        d = math.sqrt(norm * norm + eps) if eps_rule == INSIDE else norm + eps
    return 0.0 if d == 0.0 else 1 / d


@rule
def pull(norm, eps, eps_rule):
    """-1 / norm times the derivative of 1 / d along the norm; 0 where d does not depend on it."""
    if norm == 0.0 or (eps_rule == MAX and norm < eps):
        return 0.0
    over_d = inverse(norm, eps, eps_rule)
    return over_d * over_d * (over_d if eps_rule == INSIDE else 1 / norm)
