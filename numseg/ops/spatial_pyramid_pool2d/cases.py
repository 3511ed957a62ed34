"""Inputs for spatial_pyramid_pool2d: levels that divide the image or not, and Caffe's padding."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, refused, wrong_arrays

EXACT = False  # a mean is a quotient


@st.composite
def valid(draw: st.DrawFn) -> Case:
    h, w = draw(st.tuples(st.integers(1, 7), st.integers(1, 12)))
    maximum, caffe = draw(st.booleans()), draw(st.booleans())
    count = st.integers(1, 4).filter(lambda n: not caffe or (_fits(h, n) and _fits(w, n)))
    params = {
        "levels": draw(st.lists(count, min_size=1, max_size=3)),
        "mode": "max" if maximum else "avg",
        "bins": "caffe" if caffe else "adaptive",
        "return_indices": maximum and draw(st.booleans()),
    }
    return Case({"x": (draw(st.integers(0, 2)), draw(st.integers(0, 2)), h, w)}, params)


def _fits(size: int, n: int) -> bool:
    k = -(-size // n)
    return (k * n - size + 1) // 2 < k


_x = np.zeros((1, 1, 5, 7), np.float32)


_good = Case({"x": _x})
_bad = refused(_good)


invalid = [
    *wrong_arrays(_good),
    _bad("x has shape (1, 1, 0, 7), expected an image with pixels", x=_x[:, :, :0]),
    _bad("levels must be a sequence of at least one integer, got ()", levels=()),
    _bad("levels must be a sequence of at least one integer, got 2", levels=2),
    _bad("levels[1] must be at least 1, got 0", levels=(1, 0)),
    _bad("mode must be one of 'max', 'avg', got 'sum'", mode="sum"),
    _bad("bins must be one of 'adaptive', 'caffe', got 'torch'", bins="torch"),
    _bad("levels has 4, but Caffe's bins of 2 pixels would be padded by 2 on an axis of 5",
         levels=(4,), bins="caffe"),
    _bad("return_indices is True, but mode is 'avg'", mode="avg", return_indices=True),
    _bad("return_indices must be True or False, got 1", return_indices=1),
]  # fmt: skip


def roundings(plan: Plan[Any]) -> int:
    """A mean adds up a bin; a pixel adds up the bins of all levels."""
    g = plan.geometry
    return int(g.h + g.w + 1 + sum(n * n for n in g.levels))
