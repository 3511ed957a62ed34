"""The hook by which an operator checks values: ``check(*inputs, geometry)`` in its folder."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

import numseg as ns
from numseg import faces
from numseg.errors import ArgumentError

relu = importlib.import_module("numseg.ops.relu")
relu_cpu = faces.module(ns.relu, "cpu")
X = np.array([1.0, -2.0])


def _refuse(x, g):
    raise ArgumentError(f"x is refused, of {g.size} numbers")


@pytest.mark.parametrize("op", [ns.relu, ns.relu.reference])
def test_a_check_runs_before_anything_is_allocated_and_is_named(op, monkeypatch):
    monkeypatch.setattr(relu, "check", _refuse, raising=False)
    monkeypatch.setattr(ns.operator.device.Host, "empty", lambda *_: pytest.fail("allocated"))
    for call in (op, op.forward):
        with pytest.raises(ArgumentError, match=r"^relu: x is refused, of 2 numbers$"):
            call(X)


def test_a_check_that_passes_changes_nothing(monkeypatch):
    seen = []
    monkeypatch.setattr(relu, "check", lambda x, g: seen.append(x), raising=False)
    assert ns.relu(X).tolist() == [1.0, 0.0]
    assert seen[0].tolist() == X.tolist()


def test_a_face_may_have_its_own(monkeypatch):
    monkeypatch.setattr(relu, "check", lambda x, g: pytest.fail("not asked"), raising=False)
    monkeypatch.setattr(relu_cpu, "check", _refuse, raising=False)
    with pytest.raises(ArgumentError, match="x is refused"):
        ns.relu(X)
