"""The tangent of dense_crf: that of each iteration, from what was saved of them. Second derivatives
there are none.

By the definition, in NumPy and float64, as gaussian_filter's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.ops.dense_crf import reference
from numseg.plan import Saved
from numseg.typing import Array


def jvp(saved: Saved, along: dict[str, Any]) -> Array:
    g = saved.plan.geometry
    features, compat = (tuple(map(_wide, arrays)) for arrays in (saved.features, saved.compat))
    df, dc = (
        tuple(map(_wide, along[name])) if along[name] is not None else None
        for name in ("features", "compat")
    )
    planes = (g.n, g.labels, g.size)
    du, dq0 = (
        np.zeros(planes) if along[name] is None else _wide(along[name]).reshape(planes)
        for name in ("unary", "q0")
    )
    y = np.empty(planes)
    for n in range(g.n):
        count = min(max(int(saved.steps[n]), 0), g.iterations)
        iterates = _wide(saved.iterates[: count + 1, n])
        start = dq0[n] if g.starts else None
        y[n] = reference.tangent(features, compat, iterates, du[n], df, dc, start, n, g)
    return y.reshape(saved.plan.outputs[0].shape)


def _wide(array: Array) -> Array:
    """In NumPy and float64."""
    return np.asarray(array, np.float64)
