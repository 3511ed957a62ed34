"""How far every operator is from its definition, in units in the last place.

``python -m numseg.testing.accuracy docs/accuracy.md`` measures all operators and writes the table;
with names after the file only their rows are measured, the others stay.

The definition is ``reference.py``, run on the very numbers that the kernels got, with the geometry
of their call, in a wider format: float64 for float32, and NumPy's longdouble (80 bits on x86, 11
more than float64) for float64. Reference modules ask NumPy for float64 only where they allocate
without a dtype; that is where :func:`_extended` steps in. What they round to float64 by name
(coordinates of samples) is part of the definition and stays.
"""

from __future__ import annotations

import contextlib
import functools
import math
import platform
import re
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np

from numseg import faces
from numseg.kernels.machine.target import TARGET
from numseg.operator import Operator
from numseg.ops.registry import OPERATORS
from numseg.plan import Plan, Spec, each, flat
from numseg.testing import cases, contract
from numseg.typing import Array

Op = Operator[..., Any]
COUNT = 60
"""Cases of each operator."""

WIDER: dict[Any, Any] = {np.float32: np.float64, np.float64: np.longdouble}


class Row(NamedTuple):
    """Of one operator and dtype: the largest errors; None where there is nothing to measure."""

    result: float | None
    result_terms: float | None
    gradient: float | None
    gradient_terms: float | None


def measure(op: Op, dtype: Any, first: int = COUNT) -> Row:
    """The largest errors over the first of the :data:`COUNT` cases."""
    found = [_errors(op, case, dtype, seed) for seed, case in enumerate(_cases(op)[:first])]
    columns = zip(*found, strict=True)
    return Row(*(max((e for e in c if e is not None), default=None) for c in columns))


@functools.cache
def _cases(op: Op) -> list[cases.Case]:
    return cases.drawn(op, COUNT, full=True)


@np.errstate(all="ignore")
def _errors(op: Op, case: cases.Case, dtype: Any, seed: int) -> Row:
    arguments = case.arguments("reals", dtype, seed)
    shape = op.plan(**arguments).outputs[0].shape
    grad_y = cases.reals(shape, dtype, np.random.default_rng([seed, 1]))
    got = contract.observe(op, arguments, grad_y, fences=False)
    results, gradients = _defined(op, got.plan, arguments, grad_y, WIDER[dtype])

    wide = {n: each(v, _double) if n in op.inputs else v for n, v in arguments.items()}
    by_definition = contract.observe(op.reference, wide, _double(grad_y), fences=False)
    scale = contract.scales(op, wide, grad_y, by_definition)
    return Row(
        *_largest(got.results, results, scale.results, dtype),
        *_largest(got.gradients, gradients, scale.gradients, dtype),
    )


def _largest(got: Any, exact: Any, scale: Any, dtype: Any) -> tuple[float | None, float | None]:
    """The largest error in ulps of the exact number, and in ulps of the scale."""
    of_result, of_terms = [], []
    for a, b, s in zip(got, exact, scale, strict=True):
        if a is not None and a.dtype.kind == "f" and a.size:
            error = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0, np.abs(a - b))
            of_result.append(np.max(error / _ulp(b, dtype)))
            of_terms.append(np.max(error / _ulp(np.maximum(s, np.abs(b)), dtype)))
    return tuple(float(max(e)) if e else None for e in (of_result, of_terms))  # type: ignore[return-value]


def _ulp(number: Array, dtype: Any) -> Array:
    """The distance from a number's size to the next float above; a normal number's at least."""
    return np.spacing(np.maximum(np.abs(number), np.finfo(dtype).tiny).astype(dtype))


# -- the definition, in a wider format ------------------------------------------------------------


def _defined(
    op: Op, plan: Plan[Any], arguments: dict[str, Any], grad_y: Array, kind: Any
) -> tuple[list[Array], list[Any]]:
    """Results and gradients (one for each array) by the definition, from numbers made ``kind``."""

    def wide(array: Array) -> Array:
        return array.astype(kind) if array.dtype.kind == "f" else array

    def shaped(result: Any, spec: Any) -> Any:
        if spec is None:
            return None
        if isinstance(spec, Spec):
            return np.asarray(result).reshape(spec.shape)
        parts = result if isinstance(result, (list, tuple)) else [result] * len(spec)
        return tuple(shaped(*pair) for pair in zip(parts, spec, strict=True))

    face = faces.module(op, "reference")
    known = {n: each(arguments.get(n), wide) for n in op.inputs}
    given = dict(zip(op.inputs, plan.inputs, strict=True))
    with _extended(kind):
        outputs = _tuple(face.forward(*known.values(), plan.geometry))
        outputs = tuple(shaped(*pair) for pair in zip(outputs, plan.outputs, strict=True))
        known |= dict(zip(op.outputs, outputs, strict=True))
        saved = [known[n] for n in op.saves]
        gradients: tuple[Any, ...] = ()
        if op.differentiable:
            gradients = _tuple(face.backward(*saved, wide(grad_y), plan.geometry))
    by_array = [
        part
        for name, gradient in zip(op.differentiable, gradients, strict=True)
        for part in flat(shaped(gradient, given[name])) or [None]
    ]
    results = list(outputs[: plan.results])
    for array in contract.arrays([results, by_array]):
        if array.dtype.kind == "f" and array.dtype != kind:
            raise TypeError(f"{op.__name__}: its definition drops to {array.dtype}")
    return results, by_array


def _tuple(result: Any) -> tuple[Any, ...]:
    return result if isinstance(result, tuple) else (result,)


def _double(array: Any) -> Any:
    return array.astype(np.float64) if array.dtype.kind == "f" else array


class _Numpy:
    """NumPy, but what is allocated without a dtype, or as Python's float, is ``kind``."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind

    def __getattr__(self, name: str) -> Any:
        if name not in ("zeros", "ones", "empty", "full", "array"):
            return getattr(np, name)
        make, place = getattr(np, name), 2 if name == "full" else 1

        def allocate(*args: Any, **named: Any) -> Any:
            made = make(*args, **named)
            asked = args[place] if len(args) > place else named.get("dtype")
            plain = asked in (None, float) and made.dtype == np.float64
            return made.astype(self.kind) if plain else made

        return allocate


@contextlib.contextmanager
def _extended(kind: Any) -> Iterator[None]:
    """All reference modules allocate numbers of this kind."""
    modules = [
        m
        for n, m in sys.modules.items()
        if n.startswith("numseg.ops.") and n.endswith(".reference") and hasattr(m, "np")
    ]
    for module in modules:
        module.np = _Numpy(kind)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for module in modules:
            module.np = np  # type: ignore[attr-defined]


# -- the page -------------------------------------------------------------------------------------

PAGE = """# Accuracy

The largest error of every operator against its definition, in units in the last place (ulp).
`python -m numseg.testing.accuracy docs/accuracy.md [operator ...]` writes this page.

Measured: {count} generated cases of each operator, none empty, with numbers from -1 to 1, but for
what a case makes itself, such as boxes.
{environments}

- The **error** is the distance to the definition (`reference.py`) on the same numbers, computed in
  float64 for float32 and in 80-bit floats for float64. So half an ulp is what rounding the exact
  result costs, and 0 says that nothing was rounded.
- **result**, **gradient**: in ulps of the exact number itself, `spacing(|exact|)`. Where terms
  cancel, the exact number is smaller than they are, or 0, and its ulps with it: large figures in
  these columns are cancellation. What is above 10**6 is not told apart.
- **of terms**: in ulps of what the terms add up to without cancellation. That is the definition on
  absolute values where the operator is linear, else the largest of |exact|, of the result for
  |grad_y|, and 1. The tests of every operator bound these errors for all cases.
- The largest over all results of an operator that are floats, and over all its gradients; a dash
  where there is none. Errors of `backward` include those of the `forward` before it.

| operator | dtype | result | result, of terms | gradient | gradient, of terms |
|---|---|---|---|---|---|
"""
MOST = 1e6


def environment() -> str:
    """What figures depend on besides the sources: who computes, and who draws cases."""
    return (
        f"Processor: {platform.machine()}, {TARGET.name}; "
        f"NumPy {np.__version__}, Numba {numba.__version__}, Hypothesis {version('hypothesis')}"
    )


def rows(page: str) -> dict[tuple[str, str], Row]:
    """The table of a page."""
    found = {}
    for line in page.splitlines():
        parts = [part.strip() for part in line.strip("|").split("|")]
        if len(parts) == 6 and parts[1] in ("float32", "float64"):
            found[parts[0], parts[1]] = Row(*map(_number, parts[2:]))
    return found


def write(page: Path, names: list[str]) -> None:
    """Measure the named operators, or all, and write the page. Where others were measured stays."""
    before = page.read_text() if names and page.exists() else ""
    found, where = rows(before), re.findall(r"^(Processor: .*)$", before, re.MULTILINE)
    where = list(dict.fromkeys([*where, f"{environment()}."]))
    for name in names or OPERATORS:
        for dtype in WIDER:
            found[name, np.dtype(dtype).name] = measure(OPERATORS[name], dtype)
            print(name, np.dtype(dtype).name, *found[name, np.dtype(dtype).name], flush=True)
    lines = [
        f"| {name} | {dtype} | {' | '.join(map(_printed, found[name, dtype]))} |\n"
        for name, dtype in sorted(found)
        if name in OPERATORS
    ]
    head = PAGE.format(count=COUNT, environments="\n".join(where))
    page.write_text(head + "".join(lines))


def _printed(error: float | None) -> str:
    """Two digits, rounded up."""
    if error is None:
        return "-"
    if not error <= MOST:
        return "> 1e6"
    if error == 0:
        return "0"
    unit = 10.0 ** (math.floor(math.log10(error)) - 1)
    up = math.ceil(error / unit) * unit
    return f"{up:.0f}" if up >= 10 else f"{up:.2g}"


def _number(printed: str) -> float | None:
    if printed == "-":
        return None
    return math.inf if printed.startswith(">") else float(printed)


if __name__ == "__main__":
    write(Path(sys.argv[1]), sys.argv[2:])
