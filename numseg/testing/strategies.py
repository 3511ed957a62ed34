"""Hypothesis strategies for the calls of every operator: ``strategies.conv2d()`` and so on.

For each operator of numseg there is a function here by its name. It returns a strategy of
dictionaries of keyword arguments, which reach the corners: axes of size 1 and 0, kernels larger
than the image, strides and dilations beyond it, boxes outside and inside out, ties, repeated
indices and, if they are asked for, NaN and infinities. Examples shrink to small, round numbers.

>>> from hypothesis import given, settings
>>> import numseg as ns
>>> from numseg.testing import strategies
>>> @settings(max_examples=10, database=None)
... @given(strategies.relu(values="integers", empty=False))
... def test_relu_has_no_negative_numbers(arguments):
...     assert ns.relu(**arguments).min() >= 0
>>> test_relu_has_no_negative_numbers()

``strategies.invalid.conv2d()`` draws calls that must be refused, and the words of the refusal.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from numseg import checks
from numseg.forks import cached_property
from numseg.operator import Operator
from numseg.ops.registry import OPERATORS
from numseg.testing import cases
from numseg.testing.cases import Case

Calls = st.SearchStrategy[dict[str, Any]]
"""A strategy of keyword arguments."""


def calls(
    op: Operator[..., Any],
    *,
    dtype: Any = None,
    values: str | Collection[str] = ("integers", "reals"),
    empty: bool = True,
    max_size: int | None = None,
) -> Calls:
    """Valid calls of an operator, as dictionaries of keyword arguments.

    ``strategies.conv2d(...)`` is ``strategies.calls(numseg.conv2d, ...)``.

    Parameters
    ----------
    op : Operator
        One that has a module ``cases``.
    dtype : dtype, optional
        Of arrays of floats: float32, float64, or either by default.
    values : str or collection of str
        Of arrays of floats. "integers": small ones, many of them equal. "reals": distinct, none
        near another or near 0, so that most kinks are far away. "special": NaN, infinities, -0,
        the largest and smallest numbers, among integers. Boxes, labels and indices have values of
        their own.
    empty : bool
        May an array have no elements?
    max_size : int, optional
        Of how many numbers an array may be. Larger calls are drawn and thrown away, so choose it
        generously.

    Returns
    -------
    strategy
        Of dictionaries; ``op(**arguments)`` takes each of them.
    """
    kinds = [values] if isinstance(values, str) else list(values)
    for kind in kinds:
        checks.choice("values", kind, tuple(cases.KINDS))
    dtypes = [np.float32, np.float64] if dtype is None else [np.dtype(dtype).type]
    limit = np.inf if max_size is None else checks.integer("max_size", max_size, minimum=0)

    def wanted(case: Case) -> bool:
        return (empty or not cases.is_empty(case)) and (limit == np.inf or _size(case) <= limit)

    @st.composite
    def drawn(draw: st.DrawFn) -> dict[str, Any]:
        case = draw(cases.strategy(op).filter(wanted))
        kind = draw(st.sampled_from(kinds))
        return case.arguments(kind, draw(st.sampled_from(dtypes)), Drawn(draw))

    return drawn()


class Refused(dict[str, Any]):
    """The arguments of a call that must be refused, and words of the error."""

    message: str = ""


class _Invalid:
    """``invalid.conv2d()``: calls that must be refused."""

    def calls(self, op: Operator[..., Any]) -> st.SearchStrategy[Refused]:
        """Calls that must end in an ArgumentError; ``.message`` is part of what it must say."""

        def refused(bad: cases.Invalid) -> Refused:
            arguments = Refused(bad.case.arguments("reals", np.float32))
            arguments.message = bad.message
            return arguments

        return st.sampled_from(cases.of(op).invalid).map(refused)

    def __getattr__(self, name: str) -> Callable[[], st.SearchStrategy[Refused]]:
        return _named(self.calls, name)

    def __dir__(self) -> list[str]:
        return sorted([*super().__dir__(), *OPERATORS])


invalid = _Invalid()


class Drawn:
    """What chooses values in the place of a random generator: Hypothesis, so that they shrink."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def integers(self, low: Any, high: Any = None, size: Any = None, **rest: Any) -> Any:
        low, high = (0, low) if high is None else (low, high)
        if rest or np.ndim(low) or np.ndim(high):
            return self._generator.integers(low, high, size, **rest)
        numbers = st.integers(int(low), int(high) - 1)
        if size is None:
            return self._draw(numbers)
        if np.prod(size, dtype=int) == 0:
            return np.zeros(size, np.int64)
        return self._draw(hnp.arrays(np.int64, size, elements=numbers))

    def choice(self, options: Any, size: Any = None, **rest: Any) -> Any:
        if rest or np.ndim(options) != 1:
            return self._generator.choice(options, size, **rest)
        return np.asarray(options)[self.integers(0, len(options), size)]

    @cached_property
    def _generator(self) -> np.random.Generator:
        return np.random.default_rng(self._draw(st.integers(0, 2**32 - 1)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._generator, name)


def _size(case: Case) -> int:
    """Of the largest array of a call."""
    values = case.arguments("integers", np.float32).values()
    parts = (part for v in values for part in (v if isinstance(v, list) else [v]))
    return max((part.size for part in parts if isinstance(part, np.ndarray)), default=0)


def _named(make: Callable[..., Any], name: str) -> Callable[..., Any]:
    """``make`` for the operator of that name."""
    op = OPERATORS.get(name)
    if op is None:
        raise AttributeError(f"there is no strategy {name!r}: numseg has no such operator")

    def strategy(**options: Any) -> Any:
        return make(op, **options)

    strategy.__name__, strategy.__doc__ = name, make.__doc__
    return strategy


def __getattr__(name: str) -> Callable[..., Calls]:
    return _named(calls, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *OPERATORS])
