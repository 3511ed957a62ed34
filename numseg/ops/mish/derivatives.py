"""The second derivative of mish."""

from numseg.ops.sigmoid import sigmoid
from numseg.ops.softplus import softplus
from numseg.ops.tanh import tanh
from numseg.typing import Array


def curvature(x: Array) -> Array:
    s, t = sigmoid(x), tanh(softplus(x, threshold=1000.0))
    return (1 - t * t) * s * (2 + x * (1 - s - 2 * s * t))
