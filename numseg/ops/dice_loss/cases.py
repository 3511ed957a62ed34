"""Inputs for dice_loss: labels and masks, every activation, ignored pixels, empty axes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, refused, wrong_arrays
from numseg.typing import Array

EXACT = False


@st.composite
def valid(draw: st.DrawFn) -> Case:
    n, c, *rest = draw(st.lists(st.integers(0, 3), min_size=2, max_size=4))
    activation = draw(st.sampled_from(["softmax", "sigmoid", "none"]))
    with_labels, ignored = draw(st.booleans()), None
    if with_labels:
        ignored = draw(st.sampled_from([None, 0, 100]))
        ignored = 100 if c == 0 and n * math.prod(rest) > 0 else ignored
    kind = draw(st.sampled_from([np.uint8, np.int16, np.int64]))

    def probabilities(rng: np.random.Generator, dtype: Any) -> Array:
        return rng.uniform(0.05, 0.95, (n, c, *rest)).astype(dtype)

    def labels(rng: np.random.Generator, dtype: Any) -> Array:
        array = rng.integers(0, max(c, 1), (n, *rest))
        if ignored is not None:
            array[rng.random(array.shape) < (0.3 if c else 2.0)] = ignored
        return array.astype(kind)

    empty = n * c * math.prod(rest) == 0
    x: Any = probabilities if activation == "none" else (n, c, *rest)
    smooth = draw(st.sampled_from([(1e-5, 1e-5), (1, 1), (0, 0.5), (0, 0)]))
    if ignored is not None or empty:
        smooth = draw(st.sampled_from([(1e-5, 1e-5), (1, 1), (0, 0.5)]))  # not 0 / 0
    params = {
        "activation": activation,
        "squared": draw(st.booleans()),
        "smooth_nr": smooth[0],
        "smooth_dr": smooth[1],
        "batch": draw(st.booleans()),
        "micro": draw(st.booleans()),
        "ignore_index": ignored,
        "reduction": draw(st.sampled_from(["mean", "sum", "none"])),
        "empty": draw(st.sampled_from(["zero", "nan"])),
    }
    return Case({"x": x, "target": labels if with_labels else probabilities}, params)


_x, _t = np.zeros((2, 3, 2, 2), np.float32), np.zeros((2, 2, 2), np.uint8)


_good = Case({"x": _x, "target": _t})
_bad = refused(_good)


invalid = [
    *wrong_arrays(_good, rank=False),
    _bad("x has shape (2,), expected at least 2 axes (n, c, ...)", x=_x[:, 0, 0, 0]),
    _bad("target has shape (2, 1, 2, 2), expected (2, 2, 2)", target=_t[:, None]),
    _bad("target has shape (2, 2, 2), expected (2, 3, 2, 2)", target=_t.astype(np.float32)),
    _bad("target has the label 3 in 8 places, expected labels in [0, 3)", target=_t + 3),
    _bad("the label 255 in 8 places", target=_t + 255, ignore_index=254),
    _bad("ignore_index is 255, but target has masks, not labels", target=_x, ignore_index=255),
    _bad("ignore_index must be an integer, got 1.5", ignore_index=1.5),
    _bad("activation must be one of 'none', 'sigmoid', 'softmax', got 'relu'", activation="relu"),
    _bad("smooth_nr must lie in [0, inf], got -1.0", smooth_nr=-1),
    _bad("smooth_dr must lie in [0, inf], got nan", smooth_dr=float("nan")),
    _bad("squared must be True or False, got 1", squared=1),
    _bad("micro must be True or False, got None", micro=None),
    _bad("batch must be True or False, got 'no'", batch="no"),
    _bad("reduction must be one of 'mean', 'sum', 'none', got 'batch_size'",
         reduction="batch_size"),
]  # fmt: skip


def roundings(plan: Plan[Any]) -> int:
    """Less than 8 for p, and for the gradient as many for each of its factors, of numbers of at
    most 8; in float64 one for each number of a sum."""
    g = plan.geometry
    return 128 if plan.outputs[0].dtype == np.float32 else 256 + int(g.n * g.c * g.size)
