"""The tail of the normal distribution for CPU kernels, with all its digits, in vectors.

``Phi(-a) = density(a) * ratio(a)`` for a >= 0: the factor that decays, and one that does so slowly.
A rule that multiplies by them one after the other keeps its digits as far down as the result does.
The product is within 4.5 ulps where the processor has fused multiply-add, within 5.5 elsewhere;
tests/kernels/test_elementary.py measures it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from numseg.kernels.machine.jit import rule
from numseg.kernels.pointwise.elementary import CONTRACT, decay_of_sum, product, rounded_off


@rule
def density(a):
    """``exp(-a**2 / 2)`` for a >= 0. a**2 is exact: what its rounding would lose, exp would show
    as so many times more as a**2 is large."""
    real = type(a)
    half = real(0.5)
    a = real(FARTHEST) if a > real(FARTHEST) else a
    square = product(a, a)
    return decay_of_sum(-half * square, -half * rounded_off(a, a, square))


FARTHEST = 39.0
"""From here on the density is 0, in float64 too; NaN and infinity would become of the rest of an
infinite square."""


def tail_ratio(a: Any) -> Any:
    """``Phi(-a) exp(a**2 / 2)`` for a >= 0: 1 / 2 at 0, ``1 / (a sqrt(2 pi))`` far from it."""
    from scipy.special import erfcx  # in CUDA's simulator alone

    return type(a)(erfcx(a * math.sqrt(0.5)) / 2)


def _tail_ratio_for(real, coefficients):
    """``(a + 2) ratio(a)`` is a polynomial of ``t = (a - 2) / (a + 2)``, from -1 to 1.

    That is the form of Shepherd and Laframboise (1981). The coefficients are those of the series in
    Chebyshev polynomials of t, cut where its terms are below the precision, computed with 60
    digits. Even and odd powers are added up apart: LLVM unrolls two short loops, not a long one.
    """
    even, odd = (
        tuple(map(real, coefficients[k % 2 :: 2]))
        for k in (len(coefficients) - 1, len(coefficients))
    )
    none, two, largest = real(0), real(2), np.finfo(real).max

    def vector_tail_ratio(a):
        a = largest if a > largest else a
        inverse = real(1) / (a + two)
        t = (a - two) * inverse
        square = t * t
        evens, odds = none, none
        for coefficient in even:
            evens = evens * square + coefficient
        for coefficient in odd:
            odds = odds * square + coefficient
        return (odds * t + evens) * inverse

    return vector_tail_ratio


_TAIL_RATIO = {
    types.float32: _tail_ratio_for(
        np.float32,
        [1.4659112e-05, -5.463641e-05, -0.00018689323, 0.00010549089, 0.0008707496, 0.00084725756,
         -0.001965234, -0.0067430823, -0.00046737594, 0.036720626, 0.028797228, -0.33140454,
         0.672408],
    ),
    types.float64: _tail_ratio_for(
        np.float64,
        [-1.225990189062947e-08, 2.7942601164593745e-09, 1.2080900328926457e-07,
         3.482843145710003e-08, -4.7290101865137627e-07, -3.5690247229575965e-07,
         8.10512832807411e-07, 1.0764256945706846e-06, -1.10459039705952e-07,
         -7.480088987384639e-07, -1.0489340798115277e-06, -2.545794764584414e-06,
         -3.0159615936173065e-06, 1.818592954905797e-06, 1.2631784965925652e-05,
         2.1777850335842567e-05, 9.665522431654283e-06, -4.607239997175175e-05,
         -0.00012854896918491275, -0.00011569011236332855, 0.00020699137109651534,
         0.0008271986670868993, 0.0007851181844219148, -0.0019511241426084598,
         -0.006724907079383466, -0.0004695968350221542, 0.03671836096894748, 0.02879736034537148,
         -0.3314044423887812, 0.6724080048926824],
    ),
}  # fmt: skip


@overload(tail_ratio, jit_options=CONTRACT)
def _choose_tail_ratio(a):
    return _TAIL_RATIO.get(a)
