"""The second derivative of celu."""

from numseg.ops.elu.derivatives import curvature as elu_curvature
from numseg.typing import Array


def curvature(x: Array, alpha: float) -> Array:
    return elu_curvature(x / alpha, 1 / alpha)
