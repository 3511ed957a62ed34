"""gelu by its definition."""

import numpy as np

from numseg.ops.sigmoid.reference import value as sigmoid
from numseg.typing import Array


def value(x: Array, approximate: float) -> Array:
    return x * (sigmoid(_twice_u(x)[0]) if approximate else _distribution(x))


def slope(x: Array, approximate: float) -> Array:
    if approximate:
        z, z_slope = _twice_u(x)
        return sigmoid(z) + x * (sigmoid(z) * sigmoid(-z) * z_slope)
    return _distribution(x) + x * _density(x)


def _twice_u(x: Array) -> tuple[Array, Array]:
    """``2 u``, of which (1 + tanh(u)) / 2 is the sigmoid, and its derivative."""
    root = np.sqrt(8 / _pi(x))
    return root * (x + 0.044715 * x**3), root * (1 + 3 * 0.044715 * x**2)


def _density(x: Array) -> Array:
    return np.exp(-(x**2) / 2) / np.sqrt(2 * _pi(x))


def _distribution(x: Array) -> Array:
    """Phi: 1/2 + density(x) (x + x**3/3 + x**5/(3 5) + ...); in the tails, where a = abs(x) > 2, by
    Laplace's fraction, Phi(-a) = density(a) / (a + 1/(a + 2/(a + 3/(a + ...))))."""
    small = np.clip(x, -2, 2)
    term = series = small
    for k in range(1, 40):
        term = term * small**2 / (2 * k + 1)
        series = series + term
    a = fraction = np.maximum(np.abs(x), 2)
    for k in range(90, 0, -1):
        fraction = a + k / fraction
    tail = _density(a) / fraction
    return np.where(np.abs(x) > 2, np.where(x < 0, tail, 1 - tail), 0.5 + _density(x) * series)


def _pi(x: Array) -> Array:
    """In the precision of x."""
    return np.arccos(-np.ones_like(x))
