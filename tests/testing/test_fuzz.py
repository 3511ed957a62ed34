"""A short run of numseg.testing.fuzz; the long one is ``python -m numseg.testing.fuzz``."""

from __future__ import annotations

from unittest import mock

import numpy as np

import numseg as ns
from numseg.ops.registry import OPERATORS
from numseg.testing import fuzz

OPS = list(OPERATORS.values())


def test_a_short_run_finds_nothing():
    assert list(fuzz.findings(OPS, 4 * len(OPS), seed=0)) == []


def test_a_call_is_known_by_its_number():
    one, two = (fuzz.call(ns.relu, np.random.default_rng([3, 5])) for _ in range(2))
    assert repr(one) == repr(two)


def _patched(forward):
    """relu, with another forward."""
    from numseg import faces

    return mock.patch.object(faces.module(ns.relu, "cpu"), "forward", forward)


def _said(forward) -> set[str]:
    with _patched(forward):
        return {said for _, _, said in fuzz.findings([ns.relu], 12, seed=0)}


def test_it_finds_what_it_looks_for():
    from numseg.kernels.machine.threads import get_num_threads

    def raises(x, y, g):
        raise KeyError("x")

    def warns(x, y, g):
        y[...] = np.log(np.zeros(1))[0]

    def threads(x, y, g):
        y[...] = get_num_threads()

    def beyond(x, y, g):
        np.lib.stride_tricks.as_strided(y.reshape(-1), (y.size + 2**13,))[...] = 0

    assert "raises KeyError('x')" in _said(raises)
    assert "warns: divide by zero encountered in log" in _said(warns)
    assert "has other bits for another number of threads" in _said(threads)
    if fuzz.possible():
        assert any("SIGSEGV" in said for said in _said(beyond))
