"""Inputs for mean."""

from __future__ import annotations

from typing import Any

from numseg.operator import Plan
from numseg.ops.sum import cases as of_sum

EXACT = False  # a mean is a quotient

valid = of_sum.over_axes()

invalid = of_sum.refusals()


def roundings(plan: Plan[Any]) -> int:
    return of_sum.roundings(plan)


def cuda_roundings(plan: Plan[Any]) -> int:
    return of_sum.cuda_roundings(plan) + 1
