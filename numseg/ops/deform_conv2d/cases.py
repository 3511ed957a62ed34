"""Inputs for deform_conv2d: samples on the image, across its border, outside and far away.

Offsets are odd multiples of an eighth, so that all arithmetic is exact and no sample comes near a
pixel, where the derivative has a kink; tests/ops/test_deform_conv2d.py has those.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.geometry import extent
from numseg.operator import Plan
from numseg.testing.cases import Case, refused, wrong_arrays
from numseg.typing import Array, Shape

EXACT = True

_small = st.integers(0, 2)
_pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@st.composite
def valid(draw: st.DrawFn) -> Case:
    kernel, stride, dilation = draw(_pairs), draw(_pairs), draw(_pairs)
    groups, offset_groups = draw(st.sampled_from([(1, 1), (2, 1), (1, 3), (2, 4), (3, 3), (6, 2)]))
    filters = groups * draw(st.integers(0, 3))
    channels = np.lcm(groups, offset_groups) * draw(st.sampled_from([0, 1, 2]))
    groups = groups if channels else 1
    spans = [extent(k, d) for k, d in zip(kernel, dilation, strict=True)]
    sides = draw(st.tuples(_small, _small, _small, _small))
    fits = [max(s - sides[2 * a] - sides[2 * a + 1], 0) for a, s in enumerate(spans)]
    size = [fit + draw(st.integers(0, 4)) for fit in fits]
    n = draw(_small)
    outputs = [
        (i + sides[2 * a] + sides[2 * a + 1] - spans[a]) // stride[a] + 1
        for a, i in enumerate(size)
    ]
    taps = offset_groups * kernel[0] * kernel[1]
    reach = draw(st.sampled_from([0, 1, 4, 1000]))

    def offset(rng: np.random.Generator, dtype: Any) -> Array:
        return _offset(rng, (n, 2 * taps, *outputs), reach).astype(dtype)

    arrays = {
        "x": (n, int(channels), *size),
        "offset": offset,
        "weight": (filters, int(channels) // groups, *kernel),
        "bias": draw(st.sampled_from([None, (filters,)])),
        "mask": draw(st.sampled_from([None, (n, taps, *outputs)])),
    }
    params = {
        "stride": stride,
        "padding": sides,
        "dilation": dilation,
        "boundary": draw(st.sampled_from(["torchvision", "torchvision", "mmcv", "mxnet"])),
    }
    return Case(arrays, params)


def _offset(rng: np.random.Generator, shape: Shape, reach: int) -> Array:
    return rng.integers(-reach, reach + 1, shape) + rng.choice([0.125, 0.375, 0.5, 0.875], shape)


_good = Case(
    {
        "x": (1, 4, 5, 5),
        "offset": (1, 36, 3, 3),
        "weight": (6, 2, 3, 3),
        "bias": None,
        "mask": None,
    }
)
_bad = refused(_good)


invalid = [
    *wrong_arrays(_good),
    _bad("weight has shape (6, 4, 3), expected 4 axes", weight=(6, 4, 3)),
    _bad("weight's kernel rows must be at least 1, got 0", weight=(6, 4, 0, 3)),
    _bad("offset has shape (36, 3, 3), expected 4 axes", offset=(36, 3, 3)),
    _bad("so x must have a multiple of 3 channels, but x has 4", weight=(6, 3, 3, 3)),
    _bad("so x must have a multiple of 8 channels, but x has 4", weight=(6, 8, 3, 3)),
    _bad("so there are 4 groups, which do not divide its 6 filters", weight=(6, 1, 3, 3)),
    _bad("offset has 35 channels, expected a multiple of 18", offset=(1, 35, 3, 3)),
    _bad("offset has 0 channels, expected a multiple of 18", offset=(1, 0, 3, 3)),
    _bad("there are 3 offset groups, which do not divide the 4", offset=(1, 54, 3, 3)),
    _bad("offset has shape (1, 36, 5, 5), expected (1, 36, 3, 3)", offset=(1, 36, 5, 5)),
    _bad("offset has shape (2, 36, 3, 3), expected (1, 36, 3, 3)", offset=(2, 36, 3, 3)),
    _bad("mask has shape (1, 9, 3, 3), expected (1, 18, 3, 3)", mask=(1, 9, 3, 3)),
    _bad("bias has shape (4,), expected (6,) (one for each of the 6 filters of weight)", bias=(4,)),
    _bad("stride must be at least 1, got -1", stride=-1),
    _bad("dilation[1] must be at least 1, got 0", dilation=(1, 0)),
    _bad("padding[2] must be at least 0, got -1", padding=(0, 0, -1, 0)),
    _bad("the window spans 7 rows (kernel 3, dilation 3), but x has 5 rows", dilation=3),
    _bad("boundary must be one of 'torchvision', 'mmcv', 'mxnet', got 'zeros'", boundary="zeros"),
]


def roundings(plan: Plan[Any]) -> int:
    """Each of the sums rounds once a term, and each sample a few times: the terms of an output, of
    a sample's gradient and from there of an offset's, of a weight's."""
    g = plan.geometry
    channels, filters = g.c // g.groups, g.f // g.groups
    a_sample = filters + 8
    of_offset = a_sample * max(g.c // g.offset_groups, 1)
    of_pixel = a_sample * g.kh * g.kw * g.oh * g.ow
    return int(max(channels * g.kh * g.kw + 8, of_offset, of_pixel, g.n * g.oh * g.ow + 8))
