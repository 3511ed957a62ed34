"""The contract, as checks that every operator must pass.

Each check takes an operator and what it needs of its ``cases.py``, and raises
:class:`ContractError` with the first broken promise. It knows no operator by name. While a check
runs, outputs are allocated full of NaN between fences, and inputs lie between fences too: a kernel
that leaves a number unwritten, counts on zeros, or leaves its arrays, is noticed.
"""

from __future__ import annotations

import contextlib
import doctest
import functools
import inspect
import itertools
import pickle
import pydoc
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, cast, get_args, get_type_hints
from unittest import mock

import numpy as np

from numseg import faces
from numseg.device import Device, Host
from numseg.errors import ArgumentError
from numseg.kernels.machine import threads as parallel
from numseg.operator import Operator, Plan, Spec
from numseg.plan import flat
from numseg.testing import cases
from numseg.testing.adjoint import adjointcheck
from numseg.testing.cases import Case, Invalid
from numseg.testing.gradients import gradcheck
from numseg.testing.second_order import second_order_check
from numseg.testing.subject import change
from numseg.testing.tangents import jvpcheck
from numseg.typing import Array

Op = Operator[..., Any]


class ContractError(AssertionError):
    """An operator breaks a promise."""


class Observed(NamedTuple):
    """All that one forward and one backward gave, on the CPU."""

    results: tuple[Array, ...]
    gradients: tuple[Array | None, ...]
    kept: tuple[Any, ...]
    """What was saved between the two."""
    plan: Plan[Any]


def of_gradients(check: Callable[..., None]) -> Callable[..., None]:
    """A check of derivatives. An operator that has none refuses them."""

    @functools.wraps(check)
    def checked(op: Op, case: Case, *args: Any, **kwargs: Any) -> None:
        if op.differentiable:
            return check(op, case, *args, **kwargs)
        arguments = case.arguments("reals", np.float64)
        y, saved = op.forward(**arguments)
        for name, call in (
            ("backward", lambda: op.backward(saved, y)),
            ("jvp", lambda: op.jvp(**arguments, tangents={})),
            ("double_backward", lambda: op.double_backward(saved, y, {})),
        ):
            _demand_refusal(call, f"{op.__name__}.{name}: {op.__name__} has no {name}")
        return None

    return checked


# -- the checks -----------------------------------------------------------------------------------


def check_values(op: Op, case: Case, dtype: Any, seed: int, where: Device = Host) -> None:
    """Results and gradients are the definition's: to the bit on integers if the operator is EXACT,
    within ``roundings * eps * scale`` otherwise."""
    for kind in ("integers", "reals"):
        arguments = case.arguments(kind, dtype, seed)
        grad_y = _grad_y(op, arguments, kind, dtype, seed)
        got = observe(op, arguments, grad_y, where)
        exact = cases.exact(op, got.plan, where)
        wide = _map_floats(lambda a: a.astype(np.float64), arguments)
        wanted = observe(op.reference, wide, grad_y.astype(np.float64))
        bounds = _bounds(op, wide, grad_y, wanted, cases.roundings(op, wanted.plan, where), dtype)
        for number, (a, b) in enumerate(zip(got.results, wanted.results, strict=True)):
            name = f"{op.__name__}: {op.outputs[number]} on {kind} ({np.dtype(dtype)})"
            if kind == "integers" and exact:
                _same_bits(name, a, b.astype(a.dtype))
            else:
                _near(name, a, b, bounds.results[number])
        for number, (ga, gb) in enumerate(zip(got.gradients, wanted.gradients, strict=True)):
            name = f"{op.__name__}: gradient {number} on {kind} ({np.dtype(dtype)})"
            if ga is None or gb is None:
                _demand(ga is gb, f"{name} is {_absent(ga)}, by definition {_absent(gb)}")
            elif kind == "integers" and exact is True:
                _same_bits(name, ga, gb.astype(ga.dtype))
            else:
                _near(name, ga, gb, bounds.gradients[number])


def check_not_finite(op: Op, case: Case, dtype: Any, seed: int, where: Device = Host) -> None:
    """An infinity or a NaN in any array, or in ``grad_y``, reaches what it reaches by definition,
    and is there what it is by definition."""
    arguments = case.arguments("integers", dtype, seed)
    arguments["grad_y"] = _grad_y(op, arguments, "integers", dtype, seed)
    names = [n for n in (*op.inputs, "grad_y") if any(map(_holds_floats, arrays(arguments.get(n))))]
    for number, (name, value) in enumerate(itertools.product(names, (np.inf, -np.inf, np.nan))):
        rng = np.random.default_rng([seed, number])
        spoiled = {n: _map(np.copy, v) for n, v in arguments.items()}
        into = rng.choice([i for i, a in enumerate(arrays(spoiled[name])) if _holds_floats(a)])
        array = arrays(spoiled[name])[into]
        array.reshape(-1)[rng.integers(array.size)] = value
        what = f"{op.__name__}, {value} in {name}: "
        wide = _map_floats(lambda a: a.astype(np.float64), spoiled)
        try:
            got = observe(op, spoiled, spoiled.pop("grad_y"), where)
        except ArgumentError:
            continue  # one that looks at the values of this array
        wanted = observe(op.reference, wide, wide.pop("grad_y"))
        for which, ours, theirs in (
            ("result", got.results, wanted.results),
            ("gradient", got.gradients, wanted.gradients),
        ):
            for k, (a, b) in enumerate(zip(ours, theirs, strict=True)):
                if a is not None and b is not None:
                    _demand_everywhere(f"{what}{which} {k}", _as_special(a, b), a, b, "as special")


def _holds_floats(array: Array) -> bool:
    return array.dtype.kind == "f" and array.size > 0


def _as_special(a: Array, b: Array) -> Array:
    """Where both are finite, both NaN, or the same infinity."""
    return (np.isfinite(a) & np.isfinite(b)) | (np.isnan(a) & np.isnan(b)) | (a == b)


@of_gradients
def check_gradients(op: Op, case: Case, seed: int) -> None:
    """Every gradient agrees with central differences in float64, and at kinks with the slopes."""
    report = gradcheck(op, case.arguments("reals", np.float64, seed), seed=seed, directions=2)
    _demand(report.status != "fail", str(report))


@of_gradients
def check_adjoint(op: Op, case: Case, seed: int) -> None:
    """Where the result is linear in an argument, backward is the transpose of forward, and of the
    operator's matrix: exactly, on integers."""
    for kind in ("integers", "reals"):
        arguments = case.arguments(kind, np.float64, seed)
        exact = cases.exact(op, op.plan(**arguments)) is True
        tolerance = 0.0 if exact and kind == "integers" else None
        report = adjointcheck(op, arguments, seed=seed, tolerance=tolerance)
        _demand(report.passed, str(report))
    if hasattr(faces.module(op, "reference"), "matrix") and op.plan(**arguments).linear:
        _check_matrix(op, case.arguments("integers", np.float64, seed), exact, seed)


@of_gradients
def check_jvp(op: Op, case: Case, dtype: Any, seed: int) -> None:
    """``jvp`` is the transpose of ``backward``, at ties too, and the derivative in float64."""
    for kind in ("integers", "reals"):
        arguments = case.arguments(kind, dtype, seed)
        tolerance = None if kind == "reals" and dtype == np.float64 else np.inf
        for face in (op, op.reference):
            report = jvpcheck(
                face, arguments, directions=1, tolerance=tolerance, seed=seed, dtype=dtype
            )
            _demand(report.status != "fail", str(report))
        floats = {n: arguments[n] for n in op.differentiable if arrays(arguments.get(n))}
        y, tangent = op.jvp(**arguments, tangents=floats)
        _demand(_absent(tangent) == _absent(arrays(y)[0]), f"{op.__name__}.jvp: {_absent(tangent)}")
        for a, b in zip(arrays(y), arrays(op(**arguments)), strict=True):
            _same_bits(f"{op.__name__}.jvp: the value", a, b)


@of_gradients
def check_double_backward(op: Op, case: Case, seed: int) -> None:
    """``double_backward`` agrees with central differences of ``backward``."""
    arguments = case.arguments("reals", np.float64, seed)
    report = second_order_check(op, arguments, seed=seed, directions=2, jacobian=8)
    _demand(report.status != "fail", str(report))


@of_gradients
def check_transposed(op: Op, case: Case, seed: int) -> None:
    """``backward`` is linear in ``grad_y``, and the last that ``double_backward`` gives is its
    transpose: ``<v, backward(g)> = <last, g>``, at ties too."""
    arguments = case.arguments("integers", np.float64, seed)
    grad_y = _grad_y(op, arguments, "integers", np.float64, seed)
    _, saved = op.forward(**arguments)
    gradients, rng = op.backward(saved, grad_y), np.random.default_rng([seed, 2])
    names = [n for n in op.differentiable for _ in range(len(arrays([arguments.get(n)])) or 1)]
    along: dict[str, Any] = {}
    total = scale = 0.0
    for name, gradient in zip(names, gradients, strict=True):
        if gradient is not None:
            v = rng.integers(-3, 4, gradient.shape).astype(np.float64)
            along.setdefault(name, []).append(v)
            total, scale = total + np.vdot(v, gradient), scale + np.vdot(abs(v), abs(gradient))
    several = op.parameters.sequences
    along = {n: v if n in several else v[0] for n, v in along.items()}
    last = op.double_backward(saved, grad_y, along)[-1]
    found = float(np.vdot(last, grad_y))
    _demand(
        abs(found - total) <= 1e-9 * max(scale, 1.0),
        f"{op.__name__}: <v, backward(g)> is {total}, <double_backward's last, g> is {found}",
    )


def check_plan(op: Op, case: Case, dtype: Any, seed: int) -> None:
    """What is said of a call without values is true: shapes, dtypes, cost, geometry."""
    arguments = case.arguments("reals", dtype, seed)
    grad_y = _grad_y(op, arguments, "reals", dtype, seed)
    results, gradients, kept, plan = observe(op, arguments, grad_y)
    specs = {**arguments, **{n: _map(_spec, arguments[n]) for n in op.inputs if n in arguments}}
    shapes = op.output_shape(**specs)
    actual = tuple(a.shape for a in results)
    name = op.__name__
    _demand(
        (shapes,) == actual if len(actual) == 1 else shapes == actual,
        f"{name}: output_shape says {shapes}, the results have {actual}",
    )
    for output, spec, result in zip(op.outputs, plan.outputs, results, strict=False):
        _demand(
            Spec(result.shape, result.dtype) == spec and result.dtype.isnative,
            f"{name}: {output} is {result.dtype}{result.shape}, the plan says {spec}",
        )
        _demand(
            result.flags.c_contiguous and result.flags.writeable is not op.facts.view,
            f"{name}: {output} is not a contiguous, writable array (or read-only view)",
        )
        for array in arrays(arguments):
            _demand(
                not np.may_share_memory(array, result), f"{name}: {output} shares an input's memory"
            )
    _demand(len(plan.outputs) == len(op.outputs), f"{name}: the plan lacks outputs")
    _check_geometry(op, plan)
    cost = op.cost(**specs)
    inputs = [a for n in op.inputs for a in arrays(arguments.get(n))]
    least = sum(a.nbytes for a in (*inputs, *results))
    _demand(cost.bytes == least, f"{name}: cost says {cost.bytes} bytes, it is {least}")
    _demand(
        type(cost.flops) is int and cost.flops >= 0,
        f"{name}: flops is {cost.flops!r}, expected a count",
    )
    _check_gradient_shapes(op, arguments, gradients)
    _demand(len(kept) == len(op.saves), f"{name}: {len(kept)} arrays saved, not {len(op.saves)}")


def check_layouts(op: Op, case: Case, dtype: Any, seed: int) -> None:
    """However an array lies in memory, the bits are the same, no input changes, and no kernel is
    compiled again."""
    arguments = case.arguments("reals", dtype, seed)
    grad_y = _grad_y(op, arguments, "reals", dtype, seed)
    plain = observe(op, arguments, grad_y)
    compiled = _signatures(op)
    for name, layout in LAYOUTS.items():
        laid = _map_arrays(op, layout, arguments)
        before = [a.tobytes() for a in arrays([laid[n] for n in op.inputs if n in laid])]
        got = observe(op, laid, layout(grad_y), fences=False)
        after = [a.tobytes() for a in arrays([laid[n] for n in op.inputs if n in laid])]
        _demand(before == after, f"{op.__name__}: changes its input, {name} inputs")
        _same_observed(f"{op.__name__}, {name} inputs", plain, got)
    again = _signatures(op)
    _demand(
        again == compiled, f"{op.__name__}: recompiles for other layouts: {compiled}, then {again}"
    )


def check_repeats(op: Op, case: Case, dtype: Any, seed: int) -> None:
    """Every run, on any number of threads, gives the same bits."""
    arguments = case.arguments("reals", dtype, seed)
    grad_y = _grad_y(op, arguments, "reals", dtype, seed)
    once = observe(op, arguments, grad_y)
    with mock.patch.object(parallel, "SERIAL_WORK", 0):
        for threads in (1, 2, 3, 2):
            with parallel.num_threads(threads):
                again = observe(op, arguments, grad_y)
            _same_observed(f"{op.__name__}, {threads} threads", once, again)


@of_gradients
def check_needs(op: Op, case: Case, dtype: Any, seed: int) -> None:
    """Gradients that are not wanted are None, and change nothing in the others. Backward leaves
    what was saved as it was."""
    arguments = case.arguments("reals", dtype, seed)
    grad_y = _grad_y(op, arguments, "reals", dtype, seed)
    _, saved = op.forward(**arguments)
    before = pickle.dumps([a.tobytes() for a in arrays(list(saved[:-1]))])
    given = {n: arguments.get(n) for n in op.differentiable}
    full = iter(op.backward(saved, grad_y))
    by_name = {n: [next(full) for _ in range(_width(v))] for n, v in given.items()}
    subsets = [set(), *({name} for name in op.differentiable), set(op.differentiable[1:])]
    for needs in subsets:
        got = iter(op.backward(saved, grad_y, needs=needs))
        for name, wanted in by_name.items():
            for array in wanted:
                gradient = next(got)
                what = f"{op.__name__}: gradient of {name} with needs={sorted(needs)}"
                if name in needs and array is not None:
                    _demand(gradient is not None, f"{what} is None")
                    _same_bits(what, gradient, array)
                else:
                    _demand(gradient is None, f"{what} is not None")
        _demand(next(got, None) is None, f"{op.__name__}: too many gradients, needs={needs}")
    after = pickle.dumps([a.tobytes() for a in arrays(list(saved[:-1]))])
    _demand(before == after, f"{op.__name__}: backward changes what was saved")


@of_gradients
def check_bad_backward(op: Op, case: Case, dtype: Any, seed: int) -> None:
    """backward refuses what does not belong to the call, and says so."""
    arguments = case.arguments("reals", dtype, seed)
    grad_y = _grad_y(op, arguments, "reals", dtype, seed)
    _, saved = op.forward(**arguments)
    other = np.float32 if grad_y.dtype == np.float64 else np.float64
    bad: list[tuple[str, Callable[[], Any]]] = [
        ("grad_y", lambda: op.backward(saved, grad_y[None])),
        ("grad_y", lambda: op.backward(saved, np.zeros((7, *grad_y.shape), dtype))),
        ("grad_y", lambda: op.backward(saved, grad_y.astype(other))),
        ("grad_y", lambda: op.backward(saved, grad_y.astype(np.int64))),
        ("grad_y", lambda: op.backward(saved, [1.0])),
        ("grad_y", lambda: op.backward(saved, None)),
        ("saved", lambda: op.backward(cast(Any, None), grad_y)),
        ("saved", lambda: op.backward(cast(Any, tuple(saved)), grad_y)),
        ("needs", lambda: op.backward(saved, grad_y, needs=["nonsense"])),
    ]
    for name, call in bad:
        _demand_refusal(call, f"{op.__name__}.backward: {name}")


@of_gradients
def check_tampered(op: Op, case: Case, dtype: Any, seed: int) -> None:
    """Whatever happened to what was saved, backward reads and writes its own arrays only."""
    arguments = case.arguments("reals", dtype, seed)
    grad_y = _grad_y(op, arguments, "reals", dtype, seed)
    _, saved = op.forward(**arguments)
    for name in op.saves:
        kept = getattr(saved, name)
        if not isinstance(kept, np.ndarray):
            continue
        what = f"{op.__name__}.backward: saved.{name}"
        for other in (kept[None], kept.astype(bool), "text"):
            changed = saved._replace(**{name: other})
            _demand_refusal(functools.partial(op.backward, changed, grad_y), what)
        if kept.dtype.kind in "iu":
            specs = [spec for entry in op.plan(**arguments).inputs for spec in flat(entry)]
            beyond = kept.size + sum(spec.size for spec in specs)
            limits = np.iinfo(kept.dtype)
            for wrong in (min(beyond, limits.max), max(-1 - beyond, limits.min)):
                changed = saved._replace(**{name: _fenced(np.full_like(kept, wrong))})
                with poisoned_outputs(op.__name__):
                    call = functools.partial(op.backward, changed, _fenced(grad_y))
                    gradients = _taken(op, call, what)
                for gradient in arrays(gradients):
                    inside = bool(np.isfinite(gradient).all())
                    _demand(inside, f"{what} = {wrong} reads what is not there")


def check_invalid(op: Op, bad: Invalid) -> None:
    """A wrong call is refused before any work, by the fast and the defining face alike."""
    arguments = bad.case.arguments("reals", np.float32)
    before = [a.tobytes() for a in arrays(arguments)]

    def no_work(*args: Any, **kwargs: Any) -> Any:
        raise ContractError(f"{op.__name__}: allocates before it refuses {bad}")

    with mock.patch.object(Host, "empty", no_work):
        for face in (op, op.reference, op.forward):
            said = _demand_refusal(functools.partial(face, **arguments), f"{op.__name__}: ")
            _demand(bad.message in said, f"{op.__name__}: says {said!r}, expected {bad.message!r}")
            _demand("\n" not in said, f"{op.__name__}: more than one line: {said!r}")
    after = [a.tobytes() for a in arrays(arguments)]
    _demand(before == after, f"{op.__name__}: changes the arguments it refuses, {bad}")


def check_wrong_arguments(op: Op, case: Case) -> None:
    """Whatever is given for an argument, it is taken, or refused by an ArgumentError."""
    name = op.__name__
    _demand_refusal(lambda: op(nonsense=1), f"{name}: ")
    _demand_refusal(lambda: op(*range(100)), f"{name}: ")
    arguments = case.arguments("integers", np.float32)
    defaults = inspect.signature(op).parameters
    for argument in arguments:
        what = f"{name} with {argument}="
        if argument in op.inputs:
            for bad in _not_arrays(arguments[argument]):
                if bad is not None or defaults[argument].default is not None:
                    call = functools.partial(op, **{**arguments, argument: bad})
                    _demand_refusal(call, f"{name}: ", what + repr(bad))
        else:
            for strange in STRANGE:
                _check_strange(op, {**arguments, argument: strange}, what + repr(strange))


def check_documented(op: Op) -> None:
    """help, signature, repr and pickling are those of a function with this name, and the docstring
    states parameters, returns, errors, the gradient, the source, and an example that runs."""
    name, doc = op.__name__, inspect.getdoc(op) or ""
    for section in ("Parameters", "Returns", "Raises", "Notes", "Examples"):
        _demand(f"\n{section}\n{'-' * len(section)}\n" in doc, f"{name}: no section {section}")
    _demand("Gradient" in doc, f"{name}: the notes do not state the gradient")
    _demand(any(s in doc for s in SOURCES), f"{name}: the notes do not name a source")
    signature = inspect.signature(op)
    described = doc.split("\nReturns\n")[0]
    for parameter in signature.parameters.values():
        missing = f"{name}: parameter {parameter.name} is not documented"
        entry = rf"(?m)^(\w+, )*{parameter.name}(, \w+)* :"
        _demand(re.search(entry, described) is not None, missing)
        _demand(parameter.annotation is not parameter.empty, f"{name}: {parameter.name} untyped")
    _demand(set(op.inputs) <= set(signature.parameters), f"{name}: inputs not in the signature")
    page = pydoc.plain(pydoc.render_doc(op))
    _demand(f"{name}(" in page and doc.splitlines()[0] in page, f"{name}: help() shows {page!r}")
    _demand(repr(op).startswith(f"<numseg operator {name}("), f"{name}: repr is {op!r}")
    _demand("Plan" not in repr(op), f"{name}: repr shows the plan: {op!r}")
    _check_examples(op, doc)
    for face in (op, op.reference):
        back = pickle.loads(pickle.dumps(face))
        _demand(back is face, f"{name}: pickling gives {back!r}")
    for call in CALLS:
        _demand(call in dir(op), f"{name}: no {call}")


# -- what they are made of ------------------------------------------------------------------------

STRANGE: tuple[Any, ...] = (
    None, True, "text", b"", float("nan"), float("inf"), -1, 0, 1, 0.5, 1e300, 2**31, 2**70,
    -(2**70), [], (1,), (1, 2), (-1, 2), (1, 2, 3), (1, 2, 3, 4), ((0, 1), (1, 0)), (None, 1),
    (0.5, 1), [[]], {}, {1: 2}, object(), np.int8(1), np.float32(1), np.arange(2), np.zeros((2, 2)),
    np.array(1),
)  # fmt: skip
"""What somebody may pass for a parameter."""

SOURCES = ("Source", "PyTorch", "TensorFlow", "Caffe", "ONNX", "arXiv", "et al.")
"""One of these words is in the notes of every operator: whose semantics they are."""

CALLS = ("forward", "backward", "reference", "output_shape", "cost", "matrix", "linear_operator",
         "jvp", "double_backward")  # fmt: skip
"""What every operator can be asked for."""

POISON = 64
"""Numbers in a fence."""


def observe(
    op: Op, arguments: dict[str, Any], grad_y: Array, where: Device = Host, fences: bool = True
) -> Observed:
    """Run forward and backward, with poisoned memory around and inside of what they are given."""
    if where is Host:
        move = _fenced if fences else (lambda array: array)
        watch: Any = poisoned_outputs(op.__name__)
    else:
        move, watch = where.from_host, contextlib.nullcontext()
    with watch:
        y, saved = op.forward(**_map_arrays(op, move, arguments))
        gradients = op.backward(saved, move(grad_y)) if op.differentiable else ()
        results = y if isinstance(y, tuple) else (y,)
        back = where.to_host
        return Observed(
            tuple(map(back, results)),
            tuple(None if g is None else back(g) for g in gradients),
            tuple(_map(back, entry) for entry in saved[:-1]),
            saved.plan,
        )


def _fenced(array: Array) -> Array:
    """A contiguous copy with NaN (or very large integers) before and behind it."""
    if array.dtype.kind not in "fiu":
        return array
    memory = np.full(array.size + 2 * POISON, _poison(array.dtype), array.dtype.newbyteorder("="))
    inside = memory[POISON : POISON + array.size]
    inside[:] = array.reshape(-1)
    return inside.reshape(array.shape)


def _poison(dtype: Any) -> Any:
    return np.nan if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max // 3


@contextlib.contextmanager
def poisoned_outputs(name: str) -> Iterator[None]:
    """Outputs are allocated full of poison, between fences that must stay as they are."""
    allocated: list[Array] = []

    def empty(shape: tuple[int, ...], dtype: Any) -> Array:
        size = int(np.prod(shape, dtype=np.int64))
        memory = np.full(size + 2 * POISON, _poison(dtype), dtype)
        allocated.append(memory)
        return memory[POISON : POISON + size].reshape(shape)

    with mock.patch.object(Host, "empty", empty):
        yield
    for memory in allocated:
        fence = np.concatenate([memory[:POISON], memory[-POISON:]])
        untouched = _bits_equal(fence, np.full_like(fence, _poison(fence.dtype)))
        _demand(bool(untouched.all()), f"{name}: writes outside of its output")


def _readonly(array: Array) -> Array:
    view = array.copy().view()
    view.flags.writeable = False
    return view


def _strided(array: Array) -> Array:
    return np.repeat(array[..., None], 2, axis=-1)[..., 0]  # every other number


def _backwards(array: Array) -> Array:
    flip = (slice(None, None, -1),) * array.ndim
    return np.ascontiguousarray(array[flip])[flip].reshape(array.shape)


def _unaligned(array: Array) -> Array:
    memory = np.zeros(array.nbytes + 1, np.uint8)
    view = memory[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "read-only": _readonly,
    "Fortran-ordered": lambda array: array.copy(order="F"),
    "strided": _strided,
    "backwards": _backwards,
    "byte-swapped": lambda array: array.astype(array.dtype.newbyteorder("S")),
    "unaligned": _unaligned,
}
"""Ways in which the same numbers can lie in memory."""


class Scales(NamedTuple):
    """One number for each number of each result and gradient; None for a gradient not given."""

    results: list[Array]
    gradients: list[Any]


@np.errstate(invalid="ignore")  # 0 * inf, where a result is infinite
def _bounds(
    op: Op, wide: dict[str, Any], grad_y: Array, wanted: Observed, roundings: float, dtype: Any
) -> Scales:
    """What ``roundings * eps * scale`` is."""
    unit = roundings * float(np.finfo(dtype).eps)
    scale = scales(op, wide, grad_y, wanted)
    return Scales(
        [unit * r for r in scale.results],
        [None if g is None else unit * g for g in scale.gradients],
    )


def scales(op: Op, wide: dict[str, Any], grad_y: Array, wanted: Observed) -> Scales:
    """What errors are measured by (see :mod:`numseg.testing.cases`): the sum of the sizes of the
    terms where the operator is linear, else the largest of the result, that for ``|grad_y|``, 1."""
    positive = np.abs(grad_y).astype(np.float64)
    own = getattr(cases.of(op), "scales", None)
    if own and (stated := own(wanted.plan, wide, positive)):
        return Scales(*stated)
    floats = {n for n in op.inputs if any(a.dtype.kind == "f" for a in arrays(wide.get(n)))}
    terms = op.linear and wanted.plan.linear and floats <= set(op.linear)
    if terms and getattr(cases.of(op), "SCALE", "terms") == "terms":
        scale = observe(op.reference, _map_floats(np.abs, wide), positive)
        return Scales(
            [np.abs(r) for r in scale.results],
            [None if g is None else np.abs(g) for g in scale.gradients],
        )
    scale = observe(op.reference, wide, positive)
    pairs = zip(wanted.gradients, scale.gradients, strict=True)
    return Scales(
        [_largest(r) for r in wanted.results],
        [None if a is None or b is None else _largest(a, b) for a, b in pairs],
    )


def _largest(*arrays: Array) -> Array:
    """For each place, the largest absolute value, and at least 1."""
    return np.maximum(1, np.max(np.abs(arrays), axis=0))


def _check_matrix(op: Op, arguments: dict[str, Any], exact: bool, seed: int) -> None:
    """``y.ravel() == M @ x.ravel()``, and backward is ``M.T``."""
    first = op.inputs[0]
    x = arguments[first]
    y, saved = op.forward(**arguments)
    y = y[0] if isinstance(y, tuple) else y
    without = op(**{**arguments, first: _map(np.zeros_like, x)})
    without = without[0] if isinstance(without, tuple) else without
    takes = inspect.signature(faces.module(op, "reference").matrix).parameters
    given = {name: getattr(saved, name) for name in op.outputs if name in takes}
    matrix = op.matrix(**{**arguments, first: _map(lambda a: a.shape, x)}, **given)
    flat = np.concatenate([a.reshape(-1) for a in arrays(x)])
    _demand(
        matrix.shape == (y.size, flat.size) and matrix.format == "csr",
        f"{op.__name__}: the matrix is {matrix.format} {matrix.shape}, not {y.size, flat.size}",
    )
    grad_y = np.random.default_rng(seed).integers(-4, 5, y.shape).astype(y.dtype)
    grads = op.backward(saved, grad_y, needs=[first])[: len(arrays(x))]
    grad = np.concatenate([g.reshape(-1) for g in grads])
    sides = [
        ("M @ x", change(y, without).reshape(-1), matrix @ flat, abs(matrix) @ abs(flat)),
        ("M.T @ g", grad, matrix.T @ grad_y.reshape(-1), abs(matrix).T @ abs(grad_y.reshape(-1))),
    ]
    for what, got, wanted, scale in sides:
        unit = 0 if exact else 100 * np.finfo(np.float64).eps
        _near(f"{op.__name__}: the operator against {what}", got, wanted, unit * (scale + 1))


def _check_geometry(op: Op, plan: Plan[Any]) -> None:
    """Numbers of the types the fields declare: another type would compile every kernel again."""
    g = plan.geometry
    _demand(isinstance(g, tuple) and hasattr(g, "_fields"), f"{op.__name__}: geometry {g!r}")
    for field, declared in get_type_hints(type(g)).items():
        value = getattr(g, field)
        types = get_args(declared) or (declared,)
        parts = value if isinstance(value, tuple) else (value,)
        _demand(
            all(type(part) is types[0] and type(part) in (int, float, bool) for part in parts),
            f"{op.__name__}: geometry.{field} is {value!r}, declared {declared}",
        )


def _check_gradient_shapes(
    op: Op, arguments: dict[str, Any], gradients: tuple[Array | None, ...]
) -> None:
    given = [a for n in op.differentiable for a in _parts(arguments.get(n))]
    _demand(
        len(gradients) == len(given),
        f"{op.__name__}: {len(gradients)} gradients, expected {len(given)}",
    )
    for array, gradient in zip(given, gradients, strict=True):
        got, wanted = _absent(gradient), _absent(array)
        _demand(got == wanted, f"{op.__name__}: a gradient is {got}, its argument {wanted}")


def _check_examples(op: Op, doc: str) -> None:
    lines: list[str] = []
    test = doctest.DocTestParser().get_doctest(doc, {}, op.__name__, None, 0)
    _demand(bool(test.examples), f"{op.__name__}: the docstring has no example")
    doctest.DocTestRunner(verbose=False).run(test, out=lines.append)
    _demand(not lines, f"{op.__name__}: the example fails\n{''.join(lines)}")


def _signatures(op: Op) -> dict[str, int]:
    """How often each kernel of the CPU face has been compiled."""
    members = vars(faces.module(op, "cpu")).items()
    return {name: len(d.signatures) for name, d in members if hasattr(d, "signatures")}


def _not_arrays(valid: Any) -> list[Any]:
    """What no operator takes for an array argument, of the right shape where it has one."""
    bad = [None, 3.0, "text", object(), {}, [None], [[1.0]], Spec((1,))]
    if isinstance(valid, np.ndarray):
        bad += [valid.astype(t) for t in (bool, complex, object, "U1", np.float16, "M8[s]")]
        bad += [valid.astype(np.float32 if valid.dtype.kind in "iu" else np.int32)]
        bad += [np.ma.masked_array(valid), [valid]]
    elif isinstance(valid, list):
        bad += [valid[0], *([*valid[1:], part] for part in _not_arrays(valid[0]))]
    return bad


def _check_strange(op: Op, arguments: dict[str, Any], what: str) -> None:
    """The plan takes the arguments or refuses them; if it takes them, so do both faces."""
    specs = {n: _map(_spec, v) if n in op.inputs else v for n, v in arguments.items()}
    plan = _taken(op, lambda: op.plan(**specs), what)
    if plan is None:
        return
    sizes = [size for spec in plan.outputs for size in spec.shape]
    _demand(all(type(size) is int and size >= 0 for size in sizes), f"{what} gives {plan.outputs}")
    _check_geometry(op, plan)
    if sum(spec.size for spec in plan.outputs) < 10_000:
        fast = _taken(op, lambda: op(**arguments), what)
        by_definition = _taken(op, lambda: op.reference(**arguments), what)
        _demand((fast is None) == (by_definition is None), f"{what}: only one face takes it")


def _taken(op: Op, call: Callable[[], Any], what: str) -> Any:
    """The result, or None if it is refused properly."""
    try:
        return call()
    except ArgumentError as error:
        names = f"{op.__name__}: ", f"{op.__name__}.backward: "
        _demand(str(error).startswith(names), f"{what} says {error}")
        return None
    except Exception as error:
        raise ContractError(f"{what} raises {error!r}, not an ArgumentError") from error


def _demand(true: bool, otherwise: str) -> None:
    if not true:
        raise ContractError(otherwise)


def _demand_refusal(call: Callable[[], Any], start: str, what: str = "") -> str:
    """The call must raise an ArgumentError whose message starts so; returns the message."""
    try:
        result = call()
    except ArgumentError as error:
        _demand(str(error).startswith(start), f"{what} {str(error)!r} does not start {start!r}")
        return str(error)
    except ContractError:
        raise
    except Exception as error:
        raise ContractError(f"{what} raises {error!r}, expected {start!r}") from error
    raise ContractError(f"{what} gives {result!r}, expected an ArgumentError {start!r}")


def _bits_equal(a: Array, b: Array) -> Array:
    """Where two arrays have the same bits; all NaNs count as one."""
    if a.dtype.kind != "f":
        return a == b
    same = (a == b) & (np.signbit(a) == np.signbit(b))
    return same | (np.isnan(a) & np.isnan(b))


def _same_bits(name: str, got: Array, wanted: Array) -> None:
    _demand(
        _absent(got) == _absent(wanted), f"{name} is {_absent(got)}, expected {_absent(wanted)}"
    )
    _demand_everywhere(name, _bits_equal(got, wanted), got, wanted, "to the bit")


def _near(name: str, got: Array, wanted: Array, bound: Array) -> None:
    _demand(got.shape == wanted.shape, f"{name} has shape {got.shape}, expected {wanted.shape}")
    if got.dtype.kind != "f":
        _demand_everywhere(name, got == wanted, got, wanted, "exactly")
        return
    with np.errstate(invalid="ignore"):
        near = np.abs(got - wanted) <= bound
    good = near | (got == wanted) | (np.isnan(got) & np.isnan(wanted))
    _demand_everywhere(name, good, got, wanted, f"within {np.max(bound, initial=0):.3g}")


def _demand_everywhere(name: str, good: Array, got: Array, wanted: Array, how: str) -> None:
    if not np.all(good):
        place = np.unravel_index(np.argmin(good), good.shape)
        raise ContractError(
            f"{name}{[int(i) for i in place]} is {got[place]!r}, expected {wanted[place]!r} {how}; "
            f"{np.count_nonzero(~np.asarray(good))} of {got.size} differ"
        )


def _same_observed(name: str, a: Observed, b: Observed) -> None:
    for what in ("results", "gradients", "kept"):
        ours, theirs = (arrays(list(getattr(side, what))) for side in (a, b))
        _demand(len(ours) == len(theirs), f"{name}: other {what}")
        for number, (x, y) in enumerate(zip(ours, theirs, strict=True)):
            _same_bits(f"{name}: {what} {number} ", y, x)


def _grad_y(op: Op, arguments: dict[str, Any], kind: str, dtype: Any, seed: int) -> Array:
    plan = op.plan(**arguments)
    shape = plan.outputs[0].shape
    return {"integers": cases.integers, "reals": cases.reals}[kind](
        shape, dtype, np.random.default_rng([seed, 1])
    )


def _absent(array: Any) -> str:
    return "absent" if array is None else f"{array.dtype.newbyteorder('=')}{list(array.shape)}"


def _spec(array: Array) -> Spec:
    return Spec(array.shape, array.dtype)


def _parts(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _width(value: Any) -> int:
    return len(_parts(value))


def arrays(entry: Any) -> list[Array]:
    """All arrays in an argument, a list of arguments, or a dict of them."""
    if isinstance(entry, dict):
        entry = list(entry.values())
    if isinstance(entry, (list, tuple)):
        return [a for part in entry for a in arrays(part)]
    return [entry] if isinstance(entry, np.ndarray) else []


def _map(do: Callable[[Any], Any], value: Any) -> Any:
    """Apply to an array, or to each array of a sequence."""
    if isinstance(value, np.ndarray):
        return do(value)
    if isinstance(value, (list, tuple)) and any(isinstance(v, np.ndarray) for v in value):
        return [_map(do, v) for v in value]
    return value


def _map_arrays(op: Op, do: Callable[[Any], Any], arguments: dict[str, Any]) -> dict[str, Any]:
    return {n: _map(do, v) if n in op.inputs else v for n, v in arguments.items()}


def _map_floats(do: Callable[[Array], Array], arguments: dict[str, Any]) -> dict[str, Any]:
    def change(array: Array) -> Array:
        return do(array) if array.dtype.kind == "f" else array

    return {n: _map(change, v) for n, v in arguments.items()}
