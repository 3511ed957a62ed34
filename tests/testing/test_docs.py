"""The examples of the testing kit, in its page and in its docstrings, run."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"
MODULES = ["adjoint", "gradients", "matrices", "second_order", "strategies", "tangents"]


def test_the_page_on_testing() -> None:
    text = PAGE.read_text(encoding="utf-8")
    test = doctest.DocTestParser().get_doctest(text, {}, PAGE.name, str(PAGE), 0)
    said: list[str] = []
    assert len(test.examples) > 30
    assert doctest.DocTestRunner(verbose=False).run(test, out=said.append).failed == 0, "".join(
        said
    )


@pytest.mark.parametrize("module", MODULES)
def test_docstrings(module: str) -> None:
    found = doctest.testmod(importlib.import_module(f"numseg.testing.{module}"))
    assert found.attempted > 0
    assert found.failed == 0
