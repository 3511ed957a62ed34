"""exp, log and their like: how many ulps they are off, at the ends of their ranges, in any loop."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from decimal import Decimal, localcontext

import numba
import numpy as np
import pytest
from numba.core.registry import cpu_target

from numseg.kernels.pointwise import elementary, normal

FUSED = (
    "+fma" in cpu_target.target_context.codegen().magic_tuple()[2]
    or platform.machine() in ("arm64", "aarch64")
)  # fmt: skip
ULPS = 1.0 if FUSED else 2.0
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


compiled_like_a_kernel = numba.njit(error_model="numpy", fastmath={"contract"})


@compiled_like_a_kernel
def _exp(start, stop, x, y):
    for i in range(start, stop):
        y[i] = elementary.exp(x[i])


@compiled_like_a_kernel
def _log(start, stop, x, y):
    for i in range(start, stop):
        y[i] = elementary.log(x[i])


@compiled_like_a_kernel
def _log_of_normal(start, stop, x, y):
    for i in range(start, stop):
        y[i] = elementary.log_of_normal(x[i])


@compiled_like_a_kernel
def _decay(start, stop, x, y):
    for i in range(start, stop):
        y[i] = elementary.decay(x[i])


@compiled_like_a_kernel
def _expm1(start, stop, x, y):
    for i in range(start, stop):
        y[i] = elementary.expm1(x[i])


@compiled_like_a_kernel
def _log1p(start, stop, x, y):
    for i in range(start, stop):
        y[i] = elementary.log1p(x[i])


@compiled_like_a_kernel
def _tanh(start, stop, x, y):
    for i in range(start, stop):
        y[i] = elementary.tanh(x[i])


@compiled_like_a_kernel
def _density(start, stop, x, y):
    for i in range(start, stop):
        y[i] = normal.density(x[i])


@compiled_like_a_kernel
def _tail(start, stop, x, y):
    for i in range(start, stop):
        y[i] = normal.tail_ratio(x[i]) * normal.density(x[i])


def _run(compiled, x):
    y = np.empty_like(x)
    compiled(0, len(x), x, y)
    return y


def _errors(y, x, definition):
    """abs(y - definition(x)) in units of the spacing of numbers there, by 40 decimal digits."""
    errors = []
    with localcontext() as context:
        context.prec = 40
        for value, argument in zip(y, x, strict=True):
            exact = definition(Decimal(float(argument)))
            spacing = Decimal(float(np.spacing(x.dtype.type(abs(exact)))))
            errors.append(float(abs(Decimal(float(value)) - exact) / spacing))
    return max(errors)


@DTYPES
def test_exp_is_within_its_bound(dtype):
    info = np.finfo(dtype)
    rng = np.random.default_rng(1)
    whole = rng.uniform(np.log(info.tiny) + 1, np.log(info.max) - 1e-3, 1500)
    near_zero = rng.uniform(-1, 1, 1500) * 2.0 ** rng.integers(-30, 1, 1500)
    halves = np.log(2) * (rng.integers(-100, 100, 500) + 0.5)  # where k changes
    x = np.concatenate([whole, near_zero, halves]).astype(dtype)
    x = x[(x > np.log(info.tiny)) & (x < np.log(info.max))]
    assert _errors(_run(_exp, x), x, Decimal.exp) <= ULPS


@DTYPES
def test_log_is_within_its_bound(dtype):
    info = np.finfo(dtype)
    rng = np.random.default_rng(2)
    whole = 2.0 ** rng.uniform(info.minexp, info.maxexp, 1500)
    near_one = 1 + rng.uniform(-0.5, 1, 1500) * 2.0 ** rng.integers(-20, 1, 1500)
    turns = np.sqrt(0.5) * 2.0 ** rng.integers(-3, 4, 500) * (1 + rng.uniform(-1e-5, 1e-5, 500))
    x = np.concatenate([whole, near_one, turns]).astype(dtype)
    x = x[np.isfinite(x) & (x >= info.tiny)]
    assert _errors(_run(_log, x), x, Decimal.ln) <= ULPS


@DTYPES
def test_log_of_subnormal_numbers_is_within_its_bound(dtype):
    info = np.finfo(dtype)
    x = 2.0 ** np.random.default_rng(5).uniform(info.minexp - info.nmant, info.minexp, 500)
    x = np.append(x.astype(dtype), info.smallest_subnormal)
    assert _errors(_run(_log, x), x, Decimal.ln) <= ULPS


def _expm1_exactly(x):
    return x.exp() - 1


@DTYPES
def test_expm1_is_within_its_bound(dtype):
    rng = np.random.default_rng(6)
    whole = -rng.uniform(0, 60, 1500)
    near_zero = -(2.0 ** rng.uniform(-30, 0, 1500))
    halves = np.log(2) * (rng.integers(-60, 0, 500) + 0.5) * (1 + rng.uniform(-1e-5, 1e-5, 500))
    x = np.concatenate([whole, near_zero, halves]).astype(dtype)
    assert _errors(_run(_expm1, x), x, _expm1_exactly) <= ULPS


@DTYPES
def test_log1p_is_within_its_bound(dtype):
    rng = np.random.default_rng(7)
    x = np.append(rng.uniform(0, 1, 1500), 2.0 ** rng.uniform(-30, 0, 1500)).astype(dtype)
    assert _errors(_run(_log1p, x), x, lambda e: (1 + e).ln()) <= 2


@DTYPES
def test_tanh_is_within_its_bound(dtype):
    rng = np.random.default_rng(8)
    x = np.append(rng.uniform(-1, 1, 3000), 2.0 ** rng.uniform(-30, 5, 1500)).astype(dtype)
    assert _errors(_run(_tanh, x), x, lambda x: 1 - 2 / ((2 * x).exp() + 1)) <= 2


@DTYPES
def test_the_density_is_within_its_bound(dtype):
    """Far from 0, where x**2 has rounded, too."""
    x = np.random.default_rng(9).uniform(0, 13 if dtype == np.float32 else 37, 3000).astype(dtype)
    assert _errors(_run(_density, x), x, lambda x: (-x * x / 2).exp()) <= ULPS + 0.25


def _tail_exactly(a):
    """Phi(-a): from its series, 1/2 less a sum of positive terms; far from 0 by Laplace's fraction,
    ``density(a) / (a + 1 / (a + 2 / (a + 3 / (a + ...))))``."""
    pi = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")
    density = (-a * a / 2).exp() / (2 * pi).sqrt()
    if a > 4:
        rest = a
        for k in range(400, 0, -1):
            rest = a + k / rest
        return density / rest
    term = total = a
    for k in range(1, 150):
        term *= a * a / (2 * k + 1)
        total += term
    return Decimal("0.5") - density * total


@DTYPES
def test_the_normal_distributions_tail_is_within_its_bound(dtype):
    """Relative to itself, down to the smallest normal number."""
    x = np.random.default_rng(10).uniform(0, 12.9 if dtype == np.float32 else 37, 2000)
    x = np.append(x, np.random.default_rng(11).uniform(0, 2, 1000)).astype(dtype)
    assert _errors(_run(_tail, x), x, _tail_exactly) <= ULPS + 3.5


def test_every_thousandth_single_precision_number():
    """A sweep that misses no exponent; float64 is exact enough to be the judge here."""
    x = np.arange(0, 2**32, 997, dtype=np.uint32).view(np.float32)
    small = x[np.abs(x) < 80]
    exact = np.exp(small.astype(np.float64))
    spacing = np.spacing(exact.astype(np.float32)).astype(np.float64)
    assert np.max(np.abs(_run(_exp, small) - exact) / spacing) <= ULPS
    normal = x[(x >= np.finfo(np.float32).tiny) & (x < np.inf)]
    exact = np.log(normal.astype(np.float64))
    spacing = np.spacing(np.abs(exact).astype(np.float32)).astype(np.float64)
    assert np.max(np.abs(_run(_log, normal) - exact) / spacing) <= ULPS


@DTYPES
def test_the_ends_of_exp(dtype):
    info = np.finfo(dtype)
    inf, nan = np.inf, np.nan
    x = np.array([0, -0.0, inf, -inf, nan, np.log(info.max) + 1, 1e30, -1e30], dtype)
    np.testing.assert_array_equal(_run(_exp, x), [1, 1, inf, 0, nan, inf, inf, 0])
    # halfway through the subnormal numbers the error is half their spacing plus the fraction's
    k = info.minexp - info.nmant // 2
    (y,) = _run(_exp, np.array([k * np.log(2)], dtype))
    assert abs(y / 2.0**k - 1) < 4 * abs(k) * info.eps + 2.0 ** -(info.nmant // 2)
    below = (info.minexp - info.nmant - 1.1) * np.log(2)
    np.testing.assert_array_equal(_run(_exp, np.array([below], dtype)), [0])


@DTYPES
def test_decay_is_exp_to_the_bit(dtype):
    """Down to 0 through the subnormal numbers."""
    lowest = np.log(float(np.finfo(dtype).smallest_subnormal))
    x = np.random.default_rng(4).uniform(1.1 * lowest, 0, 100_000).astype(dtype)
    x[:5] = 0, -0.0, -np.inf, np.nan, -1e30
    np.testing.assert_array_equal(_run(_decay, x), _run(_exp, x))


@DTYPES
def test_log_of_normal_is_log_to_the_bit(dtype):
    info = np.finfo(dtype)
    x = 2.0 ** np.random.default_rng(12).uniform(info.minexp, info.maxexp, 100_000)
    x = np.append(x.astype(dtype), np.array([0, -0.0, -1, np.inf, np.nan, info.tiny], dtype))
    np.testing.assert_array_equal(_run(_log_of_normal, x), _run(_log, x))


@DTYPES
def test_the_ends_of_log(dtype):
    info = np.finfo(dtype)
    inf, nan = np.inf, np.nan
    x = np.array([1, 0, -0.0, inf, -inf, nan, -1], dtype)
    np.testing.assert_array_equal(_run(_log, x), [0, -inf, -inf, inf, nan, nan, nan])
    edges = np.array([info.max, info.tiny])
    np.testing.assert_allclose(_run(_log, edges), np.log(edges), rtol=info.eps)


@DTYPES
def test_the_ends_of_expm1_and_log1p(dtype):
    x = np.array([0, -0.0, -np.inf, -1e30, np.nan], dtype)
    np.testing.assert_array_equal(_run(_expm1, x), [0, 0, -1, -1, np.nan])
    np.testing.assert_array_equal(_run(_log1p, x[[0, 4]]), [0, np.nan])
    tiny = np.array([1e-30, np.finfo(dtype).smallest_subnormal], dtype)
    np.testing.assert_array_equal(_run(_expm1, -tiny), -tiny)
    np.testing.assert_array_equal(_run(_log1p, tiny), tiny)


@DTYPES
def test_the_ends_of_tanh(dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    x = np.array([0, -0.0, np.inf, -np.inf, np.nan, 1e30, -1e30, tiny, -1e-30], dtype)
    y = _run(_tanh, x)
    np.testing.assert_array_equal(y, [0, 0, 1, -1, np.nan, 1, -1, tiny, dtype(-1e-30)])
    assert list(np.signbit(y[:2])) == [False, True]


@DTYPES
def test_the_ends_of_the_normal_distribution(dtype):
    x = np.array([0, -0.0, np.inf, 1e30, np.nan], dtype)
    np.testing.assert_array_equal(_run(_density, x), [1, 1, 0, 0, np.nan])
    np.testing.assert_array_equal(_run(_tail, x), [0.5, 0.5, 0, 0, np.nan])


TAKES = {_exp: 1, _decay: -1, _log: 1, _expm1: -1, _tanh: 1, _density: 1, _tail: 1}
"""Functions, and the sign of the numbers they take."""


@DTYPES
@pytest.mark.parametrize("compiled", TAKES, ids=lambda compiled: compiled.__name__)
def test_a_number_gives_the_same_bits_wherever_it_stands(compiled, dtype):
    """In the body of a vectorised loop and in the remainder: else threads would change results."""
    x = np.random.default_rng(3).uniform(0.01, 50, 1021).astype(dtype)
    x *= TAKES[compiled]
    together, alone = _run(compiled, x), np.empty_like(x)
    for i in range(len(x)):
        compiled(i, i + 1, x, alone)
    np.testing.assert_array_equal(together, alone)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names a processor")
@pytest.mark.skipif(not FUSED, reason="that is this processor")
def test_bounds_hold_without_fused_multiply_add():
    plain = {"NUMBA_CPU_NAME": "nehalem", "NUMBA_CPU_FEATURES": ""}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__],
        capture_output=True,
        text=True,
        env={**os.environ, **plain},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 skipped" in done.stdout  # this test: the others knew
