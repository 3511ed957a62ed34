"""Operators of two arrays against PyTorch's: values and gradients, for shapes of every kind."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

torch = pytest.importorskip("torch")

PAIRS = [
    ((), ()), ((3,), ()), ((), (3,)), ((1,), (1, 1)), ((2, 3), (3,)), ((3,), (2, 3)),
    ((2, 3), (2, 1)), ((2, 1), (1, 3)), ((4, 1, 5), (3, 1)), ((2, 3, 4, 5), (3, 1, 1)),
    ((2, 3, 4, 5), (2, 3, 1, 1)), ((2, 3, 4, 5), (2, 1, 4, 1)), ((1, 3, 1, 5), (2, 1, 4, 1)),
    ((2, 1, 3, 1, 2, 1), (1, 2, 1, 3, 1, 2)), ((2, 3, 2, 3, 2), (1, 3, 1, 3, 1)),
    ((3, 600), (600,)), ((3, 600), (3, 1)), ((2, 3, 9000), (3, 1)), ((40, 2, 1100), (1, 1100)),
    ((2, 0), (1,)), ((1, 3), (0, 1)), ((0,), (0,)),
]  # fmt: skip
NAMES = ["add", "subtract", "multiply", "divide", "maximum", "minimum"]


def both(name, x, other, grad):
    ours, saved = getattr(ns, name).forward(x, other)
    grads = getattr(ns, name).backward(saved, grad)
    leaves = [torch.tensor(a, requires_grad=True) for a in (x, other)]
    theirs = getattr(torch, name)(*leaves)
    theirs.backward(torch.tensor(grad))
    return [ours, *grads], [theirs.detach().numpy(), *(leaf.grad.numpy() for leaf in leaves)]


names = pytest.mark.parametrize("name", NAMES)
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
pairs = pytest.mark.parametrize("shapes", PAIRS, ids=str)


@names
@dtypes
@pairs
def test_on_powers_of_two_to_the_bit(name, dtype, shapes):
    rng = np.random.default_rng(5)
    full = np.broadcast_shapes(*shapes)
    x, other, grad = (
        (rng.choice([-1.0, 1], shape) * rng.choice([0.5, 1, 2], shape)).astype(dtype)
        for shape in (*shapes, full)
    )
    for a, b in zip(*both(name, x, other, grad), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


@names
@dtypes
@pairs
def test_on_reals(name, dtype, shapes):
    rng = np.random.default_rng(7)
    x, other = (rng.uniform(0.5, 2, shape).astype(dtype) for shape in shapes)
    x *= rng.choice([-1, 1], x.shape)
    grad = rng.standard_normal(np.broadcast_shapes(*shapes)).astype(dtype)
    ours, theirs = both(name, x, other, grad)
    np.testing.assert_array_equal(ours[0], theirs[0])
    sizes, _ = both(name, *(np.abs(a).astype(np.float64) for a in (x, other, grad)))
    for a, b, size in zip(ours, theirs, sizes, strict=True):
        terms = max(1, grad.size // max(a.size, 1))
        near = 4 * np.sqrt(terms) * np.finfo(dtype).eps
        np.testing.assert_allclose(a, b, rtol=0, atol=near * np.abs(size).max(initial=0))


@pytest.mark.parametrize("name", ["maximum", "minimum"])
@dtypes
def test_ties_and_nan(name, dtype):
    numbers = np.array([1, 2, 0, -0.0, np.nan, np.inf, -np.inf], dtype)
    x, other = np.repeat(numbers, 7), np.tile(numbers, 7)
    ours, theirs = both(name, x, other, np.arange(1, 50).astype(dtype))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)  # 0 is -0.0: whose sign it is, torch leaves open


@dtypes
def test_division_by_zero_and_far_out(dtype):
    limits = np.finfo(dtype)
    numbers = np.array([0, -0.0, 1, -3, np.inf, np.nan, limits.max, limits.tiny], dtype)
    x, other = np.repeat(numbers, 8), np.tile(numbers, 8)
    ours, theirs = both("divide", x, other, np.ones(64, dtype))
    for a, b in zip(ours[:2], theirs[:2], strict=True):
        np.testing.assert_array_equal(a, b)
    with np.errstate(all="ignore"):
        exact = (-(x.astype(np.longdouble) / other) / other).astype(dtype)
    np.testing.assert_array_equal(np.isnan(ours[2]), np.isnan(exact))
    np.testing.assert_allclose(ours[2], exact, rtol=4 * limits.eps)


@dtypes
@pytest.mark.parametrize(
    ("shape", "slopes"),
    [((), ()), ((), (1,)), ((5,), (1,)), ((4, 3), (3,)), ((2, 3, 4, 5), (3,)), ((2, 3, 4, 5), (1,)),
     ((2, 3, 2, 2, 2), (3,)), ((2, 1, 4), (1,)), ((0, 3, 2), (3,)), ((3, 2, 9000), (2,))],
)  # fmt: skip
def test_prelu(dtype, shape, slopes):
    rng = np.random.default_rng(9)
    x = rng.integers(-3, 4, shape).astype(dtype) / 2
    weight = rng.integers(-3, 4, slopes).astype(dtype) / 4
    grad = rng.integers(-3, 4, shape).astype(dtype)
    y, saved = ns.prelu.forward(x, weight)
    leaves = [torch.tensor(a, requires_grad=True) for a in (x, weight)]
    theirs = torch.nn.functional.prelu(*leaves)
    theirs.backward(torch.tensor(grad))
    np.testing.assert_array_equal(y, theirs.detach().numpy())
    for ours, leaf in zip(ns.prelu.backward(saved, grad), leaves, strict=True):
        assert ours.shape == leaf.shape
        np.testing.assert_array_equal(ours, leaf.grad.numpy())


@dtypes
@pairs
def test_comparisons_and_choices(dtype, shapes):
    rng = np.random.default_rng(9)
    numbers = np.array([1, 2, 0, -0.0, np.nan, np.inf, -np.inf], dtype)
    x, other = (rng.choice(numbers, shape).reshape(shape) for shape in shapes)
    leaves = [torch.tensor(a, requires_grad=True) for a in (x, other)]
    for name in ("eq", "lt", "gt"):
        found = getattr(ns, name)(x, other)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, getattr(torch, name)(*leaves).numpy())
        theirs = torch.where(getattr(torch, name)(*leaves), *leaves)
        ours, saved = ns.where.forward(found, x, other)
        np.testing.assert_array_equal(ours, theirs.detach().numpy())
        grad = rng.integers(-4, 5, ours.shape).astype(dtype)
        expected = torch.autograd.grad(theirs, leaves, torch.tensor(grad))
        for a, b in zip(ns.where.backward(saved, grad), expected, strict=True):
            np.testing.assert_array_equal(a, b.numpy())
