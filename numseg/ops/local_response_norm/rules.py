"""A scale to the power of -beta."""

from numseg.kernels.machine.jit import rule
from numseg.kernels.pointwise.elementary import exp, log, sqrt

USUAL = 0.75
"""Everybody's beta: two square roots take less time than a logarithm and an exponential."""


@rule
def usual_power(s):
    root = sqrt(s)
    return type(s)(1) / (root * sqrt(root))


@rule
def any_power(s, beta):
    return exp(type(s)(-beta) * log(s)) if beta != type(beta)(0) else type(s)(1)


@rule
def power(s, beta):
    return usual_power(s) if beta == type(beta)(USUAL) else any_power(s, beta)
