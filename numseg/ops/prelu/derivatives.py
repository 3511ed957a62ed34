"""The second derivatives of prelu: along both, 1 where a slope is taken."""

import numpy as np

from numseg.typing import Array


def curvature(x: Array, weight: Array) -> tuple[float, Array, float]:
    return 0.0, np.where(x > 0, x.dtype.type(0), x.dtype.type(1)), 0.0
