"""exp and log: how many ulps they are off, at the ends of their ranges, and in any loop."""

from __future__ import annotations

import platform
from decimal import Decimal, localcontext

import numba
import numpy as np
import pytest
from llvmlite import binding

from numseg.kernels.pointwise import elementary

FUSED = binding.get_host_cpu_features().get("fma", platform.machine() in ("arm64", "aarch64"))
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
def _decay(start, stop, x, y):
    for i in range(start, stop):
        y[i] = elementary.decay(x[i])


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
def test_the_ends_of_log(dtype):
    info = np.finfo(dtype)
    inf, nan = np.inf, np.nan
    x = np.array([1, 0, -0.0, inf, -inf, nan, -1], dtype)
    np.testing.assert_array_equal(_run(_log, x), [0, -inf, -inf, inf, nan, nan, nan])
    edges = np.array([info.max, info.tiny])
    np.testing.assert_allclose(_run(_log, edges), np.log(edges), rtol=info.eps)


@DTYPES
@pytest.mark.parametrize("compiled", [_exp, _decay, _log], ids=["exp", "decay", "log"])
def test_a_number_gives_the_same_bits_wherever_it_stands(compiled, dtype):
    """In the body of a vectorised loop and in the remainder: else threads would change results."""
    x = np.random.default_rng(3).uniform(0.01, 50, 1021).astype(dtype)
    x *= -1 if compiled is _decay else 1
    together, alone = _run(compiled, x), np.empty_like(x)
    for i in range(len(x)):
        compiled(i, i + 1, x, alone)
    np.testing.assert_array_equal(together, alone)
