"""Inputs for mean_field_step: those of dense_crf."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from numseg.ops.dense_crf import cases
from numseg.testing.cases import Case, refused

EXACT = False


@st.composite
def valid(draw: st.DrawFn) -> Case:
    arrays, parameters = draw(cases.terms())
    return Case({"q": arrays.pop("q0"), **arrays}, parameters)


_q = np.zeros((2, 3, 2, 2), np.float32)
_features = [np.zeros((1, 2, 2, 2), np.float32), np.zeros((2, 5, 2, 2), np.float32)]
_compat = [np.ones((), np.float32), np.ones((3, 3), np.float32)]
_good = Case({"q": _q, "unary": _q, "features": _features, "compat": _compat})
_bad = refused(_good)

invalid = [
    *cases.wrong(_bad),
    _bad("unary has dtype int32, expected float32 or float64", unary=_q.astype(np.int32)),
    _bad("q has dtype float64, but unary has float32", q=_q.astype(np.float64)),
    _bad("q has shape (2, 2, 2, 2), expected (2, 3, 2, 2) (the shape of unary)", q=_q[:, :2]),
]

roundings = cases.roundings
