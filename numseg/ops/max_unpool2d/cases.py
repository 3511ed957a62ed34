"""Inputs for max_unpool2d: indices that repeat, every output size that is allowed, no planes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from numseg.geometry import INDEX_LAYOUTS, index_strides
from numseg.operator import Plan
from numseg.testing.cases import Case, Maker, refused, wrong_arrays
from numseg.typing import Array, Shape

EXACT = True


@st.composite
def valid(draw: st.DrawFn) -> Case:
    planes = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    size, kernel, stride, sides, output, usuals = [], [], [], [], [], []
    for _ in range(2):
        size.append(draw(st.integers(1, 3)))
        kernel.append(draw(st.integers(1, 3)))
        stride.append(draw(st.integers(1, 3)))
        sides += [draw(st.integers(0, kernel[-1] // 2)) for _ in range(2)]
        usual = (size[-1] - 1) * stride[-1] + kernel[-1] - sides[-2] - sides[-1]
        assume(usual + stride[-1] > 1)  # there is a size of at least 1 that is allowed
        usuals.append(usual)
        output.append(draw(st.integers(max(usual - stride[-1], 0) + 1, usual + stride[-1] - 1)))
    rule = draw(st.sampled_from(["torch", "any", "corner"]))
    plane = output
    if rule == "corner":
        assume(min(usuals) > 0)
        plane, output = usuals, [o + draw(st.integers(0, 2)) for o in usuals]
    elif rule == "any":
        plane = output = [draw(st.integers(1, 9)) for _ in range(2)]
    shape, layout = (*planes, *size), draw(st.sampled_from(INDEX_LAYOUTS))
    # where indices repeat, PyTorch's gradient is no derivative
    distinct = math.prod(plane) >= math.prod(size) and draw(st.booleans())
    after = ["last", "sum", "torch"] if distinct else ["last", "sum"]
    return Case(
        {"x": shape, "indices": indices(shape, plane, layout, distinct)},
        {
            "kernel_size": kernel,
            "stride": stride,
            "padding": sides,
            "output_size": output,
            "output_rule": rule,
            "index_layout": layout,
            "duplicates": draw(st.sampled_from(after)),
        },
    )


def indices(shape: Shape, plane: Sequence[int], layout: str, distinct: bool) -> Maker:
    """Indices into planes of a size, in any layout; some repeated unless ``distinct``."""
    n, c, h, w = shape
    rows, columns = plane

    def make(rng: np.random.Generator, _: Any) -> Array:
        image, channel, row, column = index_strides(layout, c, rows, columns)
        places = rng.permuted(np.tile(np.arange(rows * columns), (n * c, 1)), axis=1)
        if not distinct:
            places = rng.integers(0, rows * columns, (n * c, h * w))
        places = places[:, : h * w].reshape(shape)
        of_plane = np.arange(n)[:, None] * image + np.arange(c) * channel
        return of_plane[..., None, None] + places // columns * row + places % columns * column

    return make


_x, _indices = np.zeros((1, 1, 2, 2), np.float32), np.zeros((1, 1, 2, 2), np.int64)


_good = Case({"x": _x, "indices": _indices}, {"kernel_size": 2})
_bad = refused(_good)


invalid = [
    *wrong_arrays(_good),
    _bad("indices has dtype float32, expected an integer", indices=_x),
    _bad("indices has dtype bool, expected an integer", indices=_indices > 0),
    _bad("indices has shape (1, 1, 2, 1), expected (1, 1, 2, 2)", indices=_indices[..., :1]),
    _bad("indices[0, 0, 0, 0] is 16, expected an index into the 4 x 4", indices=_indices + 16),
    _bad("indices[0, 0, 0, 0] is -1, expected an index into the 4 x 4", indices=_indices - 1),
    _bad("is 15, expected an index into the 3 x 5 plane: 0 to 14", indices=_indices + 15,
         output_size=(3, 5)),
    _bad("kernel_size must be at least 1, got 0", kernel_size=0),
    _bad("stride must be at least 1, got 0", stride=0),
    _bad("padding must be at least 0, got -1", padding=-1),
    _bad("the output would have -2 rows and -2 columns", padding=3),
    _bad("indices[0, 0, 0, 0] is 16, which is no pixel of plane [0, 0], 4 x 4",
         indices=_indices + 16, index_layout="nchw"),
    _bad("output_size has 3 rows, but the plane that it has in its corner 4", output_size=3,
         output_rule="corner"),
    _bad("output_rule must be one of 'torch', 'any', 'corner', got 'onnx'", output_rule="onnx"),
    _bad("duplicates must be one of 'last', 'sum', 'torch', got 'first'", duplicates="first"),
    _bad("index_layout must be one of 'hw', 'nchw', 'ncwh', 'hwc', 'nhwc'", index_layout=0),
    _bad("output_size has 6 rows, expected more than 2 and less than 6", output_size=6),
    _bad("output_size has 2 columns, expected more than 2 and less than 6", output_size=(3, 2)),
]  # fmt: skip


def roundings(plan: Plan[Any]) -> int:
    """A pixel may add up all values of its plane."""
    return int(plan.geometry.h * plan.geometry.w) if plan.geometry.summed else 0
