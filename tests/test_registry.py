"""The generated list of operators is what the folders say."""

from __future__ import annotations

import importlib.util

import numseg as ns
from numseg.ops import __main__ as generator
from numseg.ops.registry import OPERATORS


def test_the_registry_names_every_folder() -> None:
    assert generator.REGISTRY.read_text() == generator.text(), "run: python -m numseg.ops"


def test_the_front_door_has_every_operator() -> None:
    assert {name: getattr(ns, name) for name in OPERATORS} == OPERATORS
    assert all(op.__name__ == name for name, op in OPERATORS.items())


def test_every_operator_has_a_twin() -> None:
    """Kernels for CUDA, of a folder's own or of a family, or a composite of operators that do."""
    missing = [
        name
        for name, op in OPERATORS.items()
        if not op.facts.family
        and not any(
            importlib.util.find_spec(f"{folder}.{face}")
            for folder in op.folders
            for face in ("cuda", "composite")
        )
    ]
    assert missing == [], "add cuda.py"
