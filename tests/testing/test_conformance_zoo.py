"""conformance of implementations with one mistake each: named rightly, or not named."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numseg as ns
from numseg.testing import conformance, isolated

_spec = importlib.util.spec_from_file_location("zoo", Path(__file__).with_name("zoo.py"))
assert _spec is not None
assert _spec.loader is not None
zoo = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(zoo)


@pytest.mark.parametrize("animal", zoo.ZOO, ids=lambda a: a.function.__name__)
def test_a_mistake_is_named_rightly_or_not_at_all(animal: Any) -> None:
    if animal.options.get("isolate") and not isolated.Isolated.possible():
        pytest.skip("this system has no forks")
    report = conformance(animal.function, animal.operator, cases=60, **animal.options)
    assert not report
    said = [words for deviation in report.deviations for words in deviation.looks_like]
    if animal.name is None:
        assert said == []
        assert not report.explained
    else:
        assert said, str(report)
        assert animal.name in said[0]


def test_the_convention_is_named_beside_the_mistake() -> None:
    """Swapped boxes were called "nearest: torchvision, deterministic, on CUDA"."""
    for function, name in (
        (zoo.align_xy, "torchvision aligned=False"),
        (zoo.align_half_pixel, "torchvision aligned=False"),
        (zoo.align_floor, "torchvision aligned=False"),
    ):
        report = conformance(function, ns.roi_align, cases=60, **zoo.FINITE)
        assert name in report.named, str(report)
        assert f"nearest is {name}" in report.verdict()
        assert "convention: aligned=False, mode='avg'" in str(report)


def test_no_convention_is_nearest_where_most_calls_differ() -> None:
    def theirs(x, boxes, output_size):
        return np.cos(ns.roi_align(x, boxes, output_size))

    report = conformance(theirs, ns.roi_align, cases=40, **zoo.FINITE)
    assert report.verdict().startswith("deviates from every convention; of ")
