"""docs/accuracy.md: every operator is in it, and a fresh run of a few cases stays within it."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numseg as ns
from numseg.ops.registry import OPERATORS
from numseg.testing import accuracy, cases

PAGE = Path(__file__).parents[2] / "docs" / "accuracy.md"
TEXT = PAGE.read_text()
ROWS = accuracy.rows(TEXT)
FEW = 4
wide = pytest.mark.skipif(
    np.finfo(np.longdouble).nmant <= np.finfo(np.float64).nmant, reason="no float wider than 64 bit"
)
DTYPES = [np.float32, pytest.param(np.float64, marks=wide)]


def test_every_operator_is_listed_in_both_dtypes() -> None:
    listed = {(name, dtype) for name in OPERATORS for dtype in ("float32", "float64")}
    command = "python -m numseg.testing.accuracy docs/accuracy.md NAME"
    assert ROWS.keys() == listed, f"{command} measures {sorted(ROWS.keys() ^ listed)}"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("op", OPERATORS.values(), ids=lambda op: op.__name__)
def test_a_fresh_run_stays_within_the_table(op: Any, dtype: Any) -> None:
    """In terms of what is added up: where that cancels, ulps of the result only say how near to 0
    a case's result came. Hypothesis draws other cases after every change of the sources, and other
    processors fuse other products: twice the table's figure and an ulp are allowed for."""
    fresh, committed = accuracy.measure(op, dtype, FEW), ROWS[op.__name__, np.dtype(dtype).name]
    for column in ("result_terms", "gradient_terms"):
        error, most = getattr(fresh, column), getattr(committed, column)
        assert error is None or (most is not None and error <= 2 * most + 1), column


def test_half_an_ulp_is_a_rounding() -> None:
    # the kernel rounds 1 + 3 * 2**-25 up to 1 + 2**-23: 1/4 of the distance 2**-23
    assert accuracy._ulp(np.array(1.0), np.float32) == 2.0**-23
    got, exact = [np.array([1 + 2.0**-23], np.float32)], [np.array([1 + 3 * 2.0**-25])]
    assert accuracy._largest(got, exact, [np.array([4.0])], np.float32) == (0.25, 0.0625)


def test_the_definition_is_run_in_a_wider_format() -> None:
    case = cases.Case({"x": (3, 5)}, {"dim": 1})
    arguments = case.arguments("reals", np.float64)
    y, saved = ns.softmax.forward(**arguments)
    plan = saved.plan
    (exact,), (gradient,) = accuracy._defined(ns.softmax, plan, arguments, y, np.longdouble)
    assert exact.dtype == gradient.dtype == np.longdouble
    assert np.finfo(np.longdouble).nmant == 52 or (exact != y).any()
    np.testing.assert_allclose(exact.astype(float), y, rtol=1e-15)


@pytest.mark.parametrize(
    ("error", "printed"),
    [(None, "-"), (0.0, "0"), (0.501, "0.51"), (12.01, "13"), (3e5, "300000"), (2e7, "> 1e6")],
)
def test_figures_are_rounded_up(error: float | None, printed: str) -> None:
    assert accuracy._printed(error) == printed
    back = accuracy._number(printed)
    assert back == error is None or (error is not None and back is not None and back >= error)


def test_an_error_that_is_nan_does_not_hide() -> None:
    assert accuracy._printed(math.nan) == "> 1e6"
    got, exact = [np.array([np.nan])], [np.array([1.0])]
    error, _ = accuracy._largest(got, exact, exact, np.float64)
    assert accuracy._printed(error) == "> 1e6"


def test_only_named_rows_are_measured_again(tmp_path: Path) -> None:
    page = tmp_path / "accuracy.md"
    line = next(line for line in TEXT.splitlines(True) if line.startswith("| relu | float32"))
    page.write_text(TEXT.replace(line, "| relu | float32 | 9 | 9 | 9 | 9 |\n"))
    accuracy.write(page, ["relu"])
    assert accuracy.rows(page.read_text()) == ROWS


def test_a_page_says_where_all_of_its_rows_were_measured(tmp_path: Path) -> None:
    page, other = tmp_path / "accuracy.md", "Processor: another, plain; NumPy 2.\n"
    page.write_text(re.sub("Processor: .*\n(Processor: .*\n)*", other, TEXT))
    for _ in range(2):
        accuracy.write(page, ["relu"])
        found = [line for line in page.read_text().splitlines() if line.startswith("Processor")]
        assert found == [other.strip(), f"{accuracy.environment()}."]
