"""The generated list of operators is what the folders say."""

from __future__ import annotations

import numseg as ns
from numseg.ops import __main__ as generator
from numseg.ops.registry import OPERATORS


def test_the_registry_names_every_folder() -> None:
    assert generator.REGISTRY.read_text() == generator.text(), "run: python -m numseg.ops"


def test_the_front_door_has_every_operator() -> None:
    assert {name: getattr(ns, name) for name in OPERATORS} == OPERATORS
    assert all(op.__name__ == name for name, op in OPERATORS.items())
