"""Inputs for argmax and argmin: every axis, from both ends, none at all, ties among integers."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.testing.cases import Case, refused, shapes, wrong_arrays

EXACT = True
roundings = 0


@st.composite
def valid(draw: st.DrawFn) -> Case:
    wide = st.sampled_from([(3, 600), (2, 3, 600)])
    shape = draw(shapes(min_axes=0, max_axes=4, max_size=3) | wide)
    dim = draw(st.sampled_from([None, *range(-len(shape), len(shape))]))
    if dim is None:
        shape = tuple(max(size, 1) for size in shape)
    else:
        shape = tuple(max(n, int(d == dim % len(shape))) for d, n in enumerate(shape))
    params: dict[str, Any] = {"dim": dim, "keepdim": draw(st.booleans())}
    return Case({"x": shape}, params | {"select_last_index": draw(st.booleans())})


_good = Case({"x": np.zeros((2, 3, 4), np.float32)}, {"dim": 1})
_bad = refused(_good)

invalid = [
    *wrong_arrays(_good, rank=False),
    _bad("dim is 3, but x has 3 axes: (2, 3, 4)", dim=3),
    _bad("dim must be an integer, got (1,)", dim=(1,)),
    _bad("x has no numbers along axis 1: (2, 0, 4)", x=np.zeros((2, 0, 4), np.float32)),
    _bad("x has no numbers: (2, 0)", x=np.zeros((2, 0), np.float32), dim=None),
    _bad("keepdim must be True or False, got 1", keepdim=1),
    _bad("select_last_index must be True or False, got 1", select_last_index=1),
]
