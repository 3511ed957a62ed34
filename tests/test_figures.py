"""docs/figures.py: every picture can be redrawn, to the same bytes, and lies in docs/images."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"

pytest.importorskip("matplotlib")
_spec = importlib.util.spec_from_file_location("figures", DOCS / "figures.py")
assert _spec is not None
assert _spec.loader is not None
figures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(figures)


@pytest.mark.parametrize("name", sorted(figures.FIGURES))
def test_redrawing_changes_nothing(name, tmp_path):
    assert (figures.IMAGES / f"{name}.svg").is_file()
    if name in figures.TRAINED and figures.weights_of(name) is None:
        pytest.skip(f"needs $NUMSEG_MODELS/{figures.TRAINED[name]}")
    first = figures.save(name, tmp_path).read_bytes()
    assert figures.save(name, tmp_path).read_bytes() == first


def test_every_picture_has_its_function():
    assert {path.stem for path in figures.IMAGES.glob("*.svg")} == set(figures.FIGURES)
