"""The tangent of gaussian_filter: the filter of the motion of x, and the motion of the filter.

Both are computed by the definition, in NumPy and float64. Second derivatives there are none.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.ops.gaussian_filter import gaussian_filter, reference
from numseg.plan import Saved
from numseg.typing import Array


def jvp(saved: Saved, along: dict[str, Any]) -> Array:
    dx, df = along["x"], along["features"]
    if df is None:
        return gaussian_filter(dx, saved.features, **saved.plan.parameters)
    x, features, df = (np.asarray(a, np.float64) for a in (saved.x, saved.features, df))
    dx = None if dx is None else np.asarray(dx, np.float64)
    return reference.tangent(x, features, dx, df, saved.plan.geometry)
