"""The second derivative of selu."""

from numseg.ops.elu.derivatives import curvature as elu_curvature
from numseg.typing import Array


def curvature(x: Array, alpha: float, scale: float) -> Array:
    return scale * elu_curvature(x, alpha)
