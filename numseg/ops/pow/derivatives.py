"""The second derivatives of pow."""

import numpy as np

from numseg.typing import Array


def curvature(x: Array, other: Array) -> tuple[Array, Array, Array]:
    log = np.log(x)
    return (
        other * (other - 1) * np.power(x, other - 2),
        np.power(x, other - 1) * (1 + other * log),
        np.power(x, other) * log**2,
    )
