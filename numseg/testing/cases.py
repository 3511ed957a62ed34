"""Cases: one call of an operator, without the values, so that a test can choose those.

Every operator's ``cases.py`` states

``valid``
    a Hypothesis strategy of :class:`Case` (or a ``@st.composite`` function without arguments); it
    must reach an empty array, and every parameter that changes what is computed,
``invalid``
    a list of :class:`Invalid`,
``EXACT``
    True if integer-valued inputs give the reference's bits, "value" if that holds for the results
    but not for the gradients, "cpu" where kernels on the CPU compute float32 in float64 and those
    on CUDA do not, else False; or a function of the plan that says so,
``roundings``
    the bound on the error on real inputs, for the value and every gradient, in units of
    ``eps * scale``: a number, or a function of the plan. For an operator that is linear
    in each floating-point input the scale is the reference on absolute values; else it is the
    largest of ``|result|``, for a gradient also of the result for ``|grad_y|``, and 1,
``cuda_roundings`` (optional)
    the same where CUDA kernels round more often,
``SCALE = "result"`` (optional)
    takes that second scale for a linear operator too: one whose weights are computed, and so may
    be off by an eps however small they are,
``scales(plan, arguments, grad_y)`` (optional)
    scales of its own for a call: a list of the results', a list of the gradients'; or None.
"""

from __future__ import annotations

import dataclasses
import importlib
import math
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from numseg.device import Device, Host
from numseg.operator import Operator, Plan
from numseg.typing import Array, Shape

Maker = Callable[[np.random.Generator, Any], Array]
"""Makes an array that ordinary numbers will not do for (indices, class labels): (rng, dtype)."""


@dataclasses.dataclass(frozen=True)
class Case:
    """One call. ``arrays`` maps each array argument to a shape, a :data:`Maker`, a finished array,
    None, or a list of shapes for an argument that is a sequence of arrays."""

    arrays: dict[str, Any]
    params: dict[str, Any] = dataclasses.field(default_factory=dict)

    def arguments(self, kind: str, dtype: Any, seed: Any = 0) -> dict[str, Any]:
        """The call's keyword arguments, with values of one of the :data:`KINDS`. Instead of a seed
        it may be something that chooses as a ``Generator`` does."""
        rng = np.random.default_rng(seed) if isinstance(seed, (int, list)) else seed
        made = {name: _make(entry, kind, dtype, rng) for name, entry in self.arrays.items()}
        return made | self.params


@dataclasses.dataclass(frozen=True)
class Invalid:
    """A call that must fail with an ArgumentError whose message contains ``message``."""

    case: Case
    message: str


def refused(good: Case) -> Callable[..., Invalid]:
    """Makes an :class:`Invalid` of a refusal's words, and of what differs from a good call."""

    def bad(message: str, **changed: Any) -> Invalid:
        arrays = {name: changed.pop(name, entry) for name, entry in good.arrays.items()}
        return Invalid(Case(arrays, {**good.params, **changed}), message)

    return bad


def wrong_arrays(good: Case, rank: bool = True) -> list[Invalid]:
    """The refusals of dtypes and, if it is fixed, of x's rank that follow from a good call."""
    bad, arrays = refused(good), good.arguments("reals", np.float32)
    x, floats = arrays["x"], {n: a for n, a in arrays.items() if n in good.arrays and n != "x"}
    found = [bad("x has dtype int32, expected float32 or float64", x=x.astype(np.int32))]
    if rank:
        found.append(bad(f"x has shape {x.shape[1:]}, expected {x.ndim} axes", x=x[0]))
    return found + [
        bad(f"{name} has dtype float64, but x has float32", **{name: array.astype(np.float64)})
        for name, array in floats.items()
        if getattr(array, "dtype", None) == np.float32
    ]


def _make(entry: Any, kind: str, dtype: Any, rng: np.random.Generator) -> Any:
    if callable(entry):
        return entry(rng, dtype)
    if isinstance(entry, list) and all(isinstance(part, tuple) for part in entry):
        return [_make(part, kind, dtype, rng) for part in entry]
    if isinstance(entry, tuple):
        return KINDS[kind](entry, dtype, rng)
    return entry


def integers(shape: Shape, dtype: Any, rng: np.random.Generator) -> Array:
    """Small integers as floats: sums and products of them are exact, so equality is of bits."""
    return rng.integers(-4, 5, shape).astype(dtype)


def reals(shape: Shape, dtype: Any, rng: np.random.Generator) -> Array:
    """Distinct numbers in (-1, 1), none of them near zero and no two near each other: no ties and
    no kinks within a finite difference."""
    size = math.prod(shape)
    grid = (2 * np.arange(size) + 1 - size) / max(size, 1)
    grid = np.where(np.abs(grid) < 1e-9, 0.5 / max(size, 1), grid)
    grid += rng.uniform(0.05, 0.25) / max(size, 1)
    return rng.permutation(grid).reshape(shape).astype(dtype)


def special(shape: Shape, dtype: Any, rng: np.random.Generator) -> Array:
    """NaN, infinities, both zeros, the largest and the smallest numbers, among small integers."""
    limits = np.finfo(dtype)
    odd = [np.nan, np.inf, -np.inf, -0.0, limits.max, -limits.max, limits.smallest_subnormal]
    numbers = np.array([0, 1, -1, 2, *odd], dtype)
    return numbers[rng.integers(0, numbers.size, shape)]


KINDS = {"integers": integers, "reals": reals, "special": special}
"""Values that arrays of floats can have."""


def shapes(min_axes: int, max_axes: int, max_size: int = 4) -> st.SearchStrategy[Shape]:
    """Shapes, empty axes included."""
    return st.lists(st.integers(0, max_size), min_size=min_axes, max_size=max_axes).map(tuple)


FAR = 1009
"""A stride or a dilation beyond every image of the cases."""


def strides(most: int) -> st.SearchStrategy[tuple[int, int]]:
    """Steps between windows up to ``most``; now and then one beyond the image."""
    one = st.integers(1, most)
    return st.tuples(one, one) | st.sampled_from([(FAR, 1), (1, FAR), (FAR, FAR)])


@st.composite
def dilations(draw: st.DrawFn, kernel: tuple[int, int], most: int) -> tuple[int, int]:
    """Steps between taps up to ``most``; where there is but one tap, any step will do."""
    rows, columns = (st.integers(1, most) | st.just(FAR if k == 1 else 1) for k in kernel)
    return draw(rows), draw(columns)


def fits(
    spans: Sequence[int], stride: Sequence[int], padding: Sequence[int], ceil: bool
) -> list[int]:
    """The fewest rows and columns that windows of these spans take: with ``ceil`` the first may
    reach as far beyond the padding as the last."""
    found = []
    for axis, (span, step) in enumerate(zip(spans, stride, strict=True)):
        before, after = padding[2 * axis : 2 * axis + 2]
        fewest = max(span - before - after, 0)
        beyond = max(span - before - after - (step - 1), 0 if before else 1)
        found.append(min(fewest, beyond) if ceil else fewest)
    return found


def of(op: Operator[Any, Any]) -> ModuleType:
    """The module ``cases`` of an operator."""
    return importlib.import_module(f"{op.__module__}.cases")


def exact(op: Operator[Any, Any], plan: Plan[Any], where: Device = Host) -> bool | str:
    """What an operator states as ``EXACT`` of a call on a device."""
    stated = of(op).EXACT
    said = stated(plan) if callable(stated) else stated
    return where is Host if said == "cpu" else said


def roundings(op: Operator[Any, Any], plan: Plan[Any], where: Device = Host) -> float:
    """What an operator states as ``roundings`` of a call on a device."""
    stated = of(op).roundings
    if where is not Host:
        stated = getattr(of(op), "cuda_roundings", stated)
    return float(stated(plan) if callable(stated) else stated)


def strategy(op: Operator[Any, Any]) -> st.SearchStrategy[Case]:
    """The strategy of an operator's valid calls."""
    valid = of(op).valid
    return valid if isinstance(valid, st.SearchStrategy) else valid()


def is_empty(case: Case) -> bool:
    """Has one of its arrays no elements?"""
    values = case.arguments("integers", np.float32).values()
    parts = (part for v in values for part in (v if isinstance(v, list) else [v]))
    return any(isinstance(part, np.ndarray) and part.size == 0 for part in parts)


def drawn(op: Operator[Any, Any], count: int, full: bool = False) -> list[Case]:
    """``count`` valid calls, the same ones every time; ``full``: none with an empty array."""
    source = strategy(op)
    source = source.filter(lambda case: not is_empty(case)) if full else source
    cases: list[Case] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(source)
    def collect(case: Case) -> None:
        cases.append(case)

    collect()
    return cases
