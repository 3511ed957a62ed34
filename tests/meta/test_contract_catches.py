"""Operators that are broken on purpose: each check of the contract must catch what it is for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numseg as ns
from numseg import checks, faces
from numseg.device import Host
from numseg.kernels.machine import threads as parallel
from numseg.kernels.machine.threads import launch
from numseg.operator import Operator, Plan, Spec, operator
from numseg.ops.batch_norm import cpu as batch_norm_cpu
from numseg.ops.conv2d import cpu as conv2d_cpu
from numseg.ops.conv2d import reference as conv2d_reference
from numseg.ops.cross_entropy import cpu as cross_entropy_cpu
from numseg.ops.max_pool2d import cpu as max_pool2d_cpu
from numseg.ops.max_pool2d import reference as max_pool2d_reference
from numseg.ops.reshape import composite as reshape_composite
from numseg.ops.softmax import cpu as softmax_cpu
from numseg.plan import Plans
from numseg.pointwise import Geometry
from numseg.testing import cases, contract
from numseg.testing.cases import Case, Invalid
from numseg.testing.contract import ContractError

relu_cpu: Any = faces.module(ns.relu, "cpu")

Break = Callable[[pytest.MonkeyPatch], None]
Check = Callable[[Operator[..., Any], Case, int], None]


def values(op: Any, case: Case, seed: int) -> None:
    for dtype in (np.float32, np.float64):
        contract.check_values(op, case, dtype, seed)


def of_dtype(check: Any) -> Check:
    return lambda op, case, seed: check(op, case, np.float64, seed)


plan, layouts, repeats = map(
    of_dtype, (contract.check_plan, contract.check_layouts, contract.check_repeats)
)
needs, tampered = map(of_dtype, (contract.check_needs, contract.check_tampered))
gradients, adjoint = contract.check_gradients, contract.check_adjoint


def caught(op: Operator[..., Any], check: Check) -> list[str]:
    """What the check says of the operator, over its cases."""
    said = []
    for seed, case in enumerate(cases.drawn(op, 25, full=True)):
        try:
            check(op, case, seed)
        except Exception as error:  # most are ContractErrors; a crash fails the test as well
            said.append(str(error))
    return said


# -- ways to break an operator --------------------------------------------------------------------


def wrap(module: Any, call: str, change: Callable[..., None]) -> Break:
    """Let ``change`` do what the function of the CPU face did; it gets that function first."""

    def apply(patch: pytest.MonkeyPatch) -> None:
        original = getattr(module, call)
        patch.setattr(module, call, lambda *args: change(original, *args))

    return apply


def writable(original: Any, x: Any, y: Any, g: Any) -> Any:
    """What looks like a view that can be written to."""
    return original(x, y, g).copy()


def shifted(original: Any, *args: Any) -> None:
    *arrays, g = args
    original(*arrays, g._replace(pt=g.pt + 1))


def last_maximum(original: Any, x: Any, y: Any, switches: Any, g: Any) -> None:
    flipped = x[:, :, ::-1, ::-1]
    original(x, y, switches, g)
    for p in range(g.oh):
        for q in range(g.ow):
            for i in range(g.kh):
                for j in range(g.kw):
                    r, s = p * g.sy - g.pt + i * g.dy, q * g.sx - g.pl + j * g.dx
                    if 0 <= r < g.h and 0 <= s < g.w:
                        ties = flipped[:, :, g.h - 1 - r, g.w - 1 - s] == y[:, :, p, q]
                        switches[:, :, p, q][ties] = r * g.w + s


def scaled(factor: float) -> Any:
    def change(original: Any, x: Any, gy: Any, gx: Any, g: Any) -> None:
        original(x, gy, gx, g)
        gx *= factor

    return change


def no_mean_term(original: Any, *args: Any) -> None:
    """gx of softmax without the sum over classes."""
    y, gy, gx, _ = args
    gx[...] = y * gy


def no_bias(original: Any, *args: Any) -> None:
    original(*args)
    *_, gb, _ = args
    if gb is not None:
        gb[...] = 0


def flipped_kernel(original: Any, *args: Any) -> None:
    x, w, gy, gx, gw, gb, g = args
    original(x, np.ascontiguousarray(w[:, :, ::-1, ::-1]), gy, gx, gw, gb, g)


def half(original: Any, *args: Any) -> None:
    original(*args)
    args[-2][...] = args[-2].astype(np.float16)


def single(original: Any, *args: Any) -> None:
    original(*args)
    args[-2][...] = args[-2].astype(np.float32)


def counts_ignored(original: Any, x: Any, target: Any, weight: Any, y: Any, *rest: Any) -> None:
    original(x, target, weight, y, *rest)
    g = rest[-1]
    if target.size:
        kept = np.count_nonzero(target != g.ignore_index) if g.ignores else target.size
        y *= kept / target.size


def by_chunk(original: Any, x: Any, y: Any, g: Any) -> None:
    def kernel(start: int, stop: int, x: Any, y: Any) -> None:
        y[start:stop] = np.maximum(x[start:stop], 0) + 1e-12 * (start > 0)

    launch(kernel, g.size, g.size, x.reshape(-1), y.reshape(-1))


def random(original: Any, x: Any, y: Any, g: Any) -> None:
    original(x, y, g)
    y += 1e-12 * np.random.default_rng().random(y.shape)


def misses_the_last(original: Any, x: Any, y: Any, g: Any) -> None:
    kept = y.reshape(-1)[-1:].copy()
    original(x, y, g)
    y.reshape(-1)[-1:] = kept


def adds_up(original: Any, x: Any, y: Any, g: Any) -> None:
    before = y.copy()
    original(x, y, g)
    y += before * 0


def _beyond(array: Any) -> Any:
    return np.lib.stride_tricks.as_strided(array, (array.size + 1,), (array.itemsize,))


def writes_beyond(original: Any, x: Any, y: Any, g: Any) -> None:
    original(x, y, g)
    _beyond(y)[-1] = 1


def reads_beyond(original: Any, x: Any, y: Any, g: Any) -> None:
    original(x, y, g)
    y.reshape(-1)[-1:] += 0 * _beyond(x)[-1]


def mutates_input(original: Any, x: Any, y: Any, g: Any) -> None:
    original(x, y, g)
    if x.base is not None and x.base.flags.writeable and x.size:
        x.flags.writeable = True
        x.reshape(-1)[0] = 7


def mutates_saved(original: Any, x: Any, gy: Any, gx: Any, g: Any) -> None:
    original(x, gy, gx, g)
    x.base.flags.writeable = True
    x.flags.writeable = True
    x += 1


def unchecked_memory_order(patch: pytest.MonkeyPatch) -> None:
    """An operator that forgets to bring its input into C order."""
    patch.setattr(Host, "normal", lambda view: np.asarray(view, view.dtype.newbyteorder("=")))

    def forward(x: Any, y: Any, g: Any) -> None:
        y.reshape(-1)[:] = np.maximum(x.ravel(order="K"), 0)

    patch.setattr(relu_cpu, "forward", forward)


def compiled_for_every_layout(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Host, "normal", lambda view: np.asarray(view, view.dtype.newbyteorder("=")))

    def forward(x: Any, y: Any, g: Any) -> None:
        relu_cpu._forward(0, g.size, x.reshape(-1), y.reshape(-1))  # a view may be read-only

    patch.setattr(relu_cpu, "forward", forward)


def other_gradient_alone(original: Any, *args: Any) -> None:
    original(*args)
    gx, gw = args[3:5]
    if gx is None and gw is not None:
        gw *= 1 + 1e-12


def unchecked_target(original: Any, *args: Any) -> None:
    """Labels that became wrong since forward checked them are used: for what lies beside x, NaN."""
    original(*args)
    target, gx, g = args[1], args[-2], args[-1]
    if (target >= g.c).any():
        gx[...] = np.nan


def replaced_plan(op: Any, change: Callable[[Plan[Any]], Plan[Any]]) -> Break:
    def apply(patch: pytest.MonkeyPatch) -> None:
        original = op.make_plan
        patch.setattr(op, "make_plan", lambda *args, **kwargs: change(original(*args, **kwargs)))
        patch.setattr(
            op, "_plans", Plans(len(op.parameters.names), op.parameters.arrays)
        )  # the true ones are remembered

    return apply


def one_row_more(plan: Plan[Any]) -> Plan[Any]:
    y, *rest = plan.outputs
    n, c, oh, ow = y.shape
    return _with(plan, outputs=(Spec((n, c, oh + 1, ow), y.dtype), *rest))


def _with(plan: Plan[Any], **fields: Any) -> Plan[Any]:
    import dataclasses

    return dataclasses.replace(plan, **fields)


def twice_the_matrix(patch: pytest.MonkeyPatch) -> None:
    original = conv2d_reference.matrix
    patch.setattr(conv2d_reference, "matrix", lambda *args: 2 * original(*args))


def wrong_definition(patch: pytest.MonkeyPatch) -> None:
    original = max_pool2d_reference.forward
    patch.setattr(max_pool2d_reference, "forward", lambda x, g: original(x + 1, g))


BROKEN: dict[str, tuple[Any, Break, Check]] = {
    "a view that can be written to": (
        ns.reshape,
        wrap(reshape_composite, "forward", writable),
        plan,
    ),
    "off by one in padding": (
        ns.max_pool2d,
        wrap(max_pool2d_cpu, "forward", shifted),
        values,
    ),
    "the last of several maxima": (
        ns.max_pool2d,
        wrap(max_pool2d_cpu, "forward", last_maximum),
        values,
    ),
    "a definition that is wrong itself": (ns.max_pool2d, wrong_definition, values),
    "a gradient off by a thousandth": (
        ns.relu,
        wrap(relu_cpu, "backward", scaled(1 + 1e-3)),
        gradients,
    ),
    "a gradient off by ten parts in a million million": (
        ns.relu,
        wrap(relu_cpu, "backward", scaled(1 + 1e-11)),
        values,
    ),
    "a gradient off by a millionth": (
        ns.relu,
        wrap(relu_cpu, "backward", scaled(1 + 1e-6)),
        gradients,
    ),
    "a missing term, by differences": (
        ns.softmax,
        wrap(softmax_cpu, "backward", no_mean_term),
        gradients,
    ),
    "a missing term, by the definition": (
        ns.softmax,
        wrap(softmax_cpu, "backward", no_mean_term),
        values,
    ),
    "a gradient that is zero": (ns.conv2d, wrap(conv2d_cpu, "backward", no_bias), gradients),
    "a kernel that is not flipped": (
        ns.conv2d,
        wrap(conv2d_cpu, "backward", flipped_kernel),
        adjoint,
    ),
    "a matrix that is twice too large": (ns.conv2d, twice_the_matrix, adjoint),
    "half precision inside": (ns.conv2d, wrap(conv2d_cpu, "forward", half), values),
    "single precision inside": (ns.conv2d, wrap(conv2d_cpu, "forward", single), values),
    "an ignored pixel that counts": (
        ns.cross_entropy,
        wrap(cross_entropy_cpu, "forward", counts_ignored),
        values,
    ),
    "bits that depend on the chunk": (ns.relu, wrap(relu_cpu, "forward", by_chunk), repeats),
    "bits that depend on chance": (ns.relu, wrap(relu_cpu, "forward", random), repeats),
    "a number left unwritten": (ns.relu, wrap(relu_cpu, "forward", misses_the_last), values),
    "an output that is taken to be zero": (ns.relu, wrap(relu_cpu, "forward", adds_up), values),
    "a write behind the output": (ns.relu, wrap(relu_cpu, "forward", writes_beyond), values),
    "a read behind the input": (ns.relu, wrap(relu_cpu, "forward", reads_beyond), values),
    "an input that is changed": (ns.relu, wrap(relu_cpu, "forward", mutates_input), layouts),
    "a saved array that is changed": (ns.relu, wrap(relu_cpu, "backward", mutates_saved), needs),
    "memory order instead of C order": (ns.relu, unchecked_memory_order, layouts),
    "a kernel compiled for every layout": (ns.relu, compiled_for_every_layout, layouts),
    "a gradient that depends on what else is wanted": (
        ns.conv2d,
        wrap(conv2d_cpu, "backward", other_gradient_alone),
        needs,
    ),
    "a read outside by a label": (
        ns.cross_entropy,
        wrap(cross_entropy_cpu, "backward", unchecked_target),
        tampered,
    ),
    "an output with a row too many": (
        ns.max_pool2d,
        replaced_plan(ns.max_pool2d, one_row_more),
        values,
    ),
    "a geometry of another type": (
        ns.relu,
        replaced_plan(ns.relu, lambda p: _with(p, geometry=Geometry(p.geometry.size * 1.0))),
        lambda op, case, _: contract._check_geometry(op, op.plan(**case.arguments("reals", "f"))),
    ),
    "a cost below nothing": (ns.relu, replaced_plan(ns.relu, lambda p: _with(p, flops=-1)), plan),
    "a cost that is no count": (
        ns.relu,
        replaced_plan(ns.relu, lambda p: _with(p, flops=1.5)),
        plan,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_operator_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    op, break_it, check = BROKEN[name]
    assert caught(op, check) == []
    break_it(monkeypatch)
    assert caught(op, check)


def test_a_wrong_bound_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """conv2d does round: a bound of nothing does not hold."""
    monkeypatch.setattr(cases.of(ns.conv2d), "roundings", lambda plan: 0)
    assert caught(ns.conv2d, values)


def test_a_wrong_claim_of_exactness_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases.of(ns.batch_norm), "EXACT", True)
    assert batch_norm_cpu is not None
    assert caught(ns.batch_norm, values)


# -- refusals -------------------------------------------------------------------------------------


def test_a_wrong_call_that_is_taken_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "pair", lambda name, value, minimum: (1, 1))
    bad = next(b for b in cases.of(ns.max_pool2d).invalid if "kernel_size" in b.message)
    with pytest.raises(ContractError):
        contract.check_invalid(ns.max_pool2d, bad)


def test_another_message_is_caught() -> None:
    bad = Invalid(Case({"x": np.zeros(3, np.int32)}), "x has dtype int64")
    with pytest.raises(ContractError, match="int32"):
        contract.check_invalid(ns.relu, bad)


def test_a_valid_call_that_is_said_to_be_invalid_is_caught() -> None:
    with pytest.raises(ContractError):
        contract.check_invalid(ns.relu, Invalid(Case({"x": np.zeros(3, np.float32)}), "x"))


@pytest.mark.parametrize(
    "answer", [KeyError("x"), ns.ArgumentError("y is wrong"), RuntimeError("no")]
)
def test_an_error_of_another_kind_is_caught(
    monkeypatch: pytest.MonkeyPatch, answer: Exception
) -> None:
    def fail(**arguments: Any) -> Any:
        raise answer

    monkeypatch.setattr(checks, "floats", fail)
    bad = Invalid(Case({"x": np.zeros(3, np.int32)}), "x has dtype int32")
    with pytest.raises(ContractError):
        contract.check_invalid(ns.relu, bad)


def test_arguments_that_end_in_another_error_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    (case,) = cases.drawn(ns.max_pool2d, 1, full=True)
    monkeypatch.setattr(checks, "flag", lambda name, value: [False, True][value])
    with pytest.raises(ContractError, match="not an ArgumentError"):
        contract.check_wrong_arguments(ns.max_pool2d, case)


def test_a_gradient_of_anything_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    (case,) = cases.drawn(ns.relu, 1, full=True)
    monkeypatch.setattr(checks, "shape", lambda *args: None)
    with pytest.raises(ContractError):
        contract.check_bad_backward(ns.relu, case, np.float32, 0)


# -- documentation --------------------------------------------------------------------------------

DOCUMENTED = ns.relu.__doc__ or ""


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("Parameters\n----------", "Arguments\n---------", "no section Parameters"),
        ("Returns\n-------\n", "", "no section Returns"),
        ("Raises\n------\n", "", "no section Raises"),
        ("Notes\n-----\n", "", "no section Notes"),
        ("Examples\n--------\n", "", "no section Examples"),
        ("Gradient", "Slope", "gradient"),
        ("x : array", "input : array", "parameter x"),
        ("array([0., 0., 2.])", "array([1., 0., 2.])", "the example fails"),
        (">>> ", "", "no example"),
    ],
)
def test_a_missing_piece_of_documentation_is_caught(old: str, new: str, says: str) -> None:
    def relu(x: Any) -> Plan[Any]:
        return ns.relu.make_plan(x)

    relu.__module__ = ns.relu.__module__
    relu.__annotations__ = {"x": "ArrayLike", "return": "Plan[Array]"}
    relu.__doc__ = DOCUMENTED.replace(old, new)
    assert relu.__doc__ != DOCUMENTED
    with pytest.raises(ContractError, match=says):
        contract.check_documented(operator("x", saves="x")(relu))


def test_threads_are_really_split() -> None:
    """The check of repeated runs is worth nothing if launches stay whole."""
    assert parallel.SERIAL_WORK > 0
    with pytest.MonkeyPatch.context() as patch:
        seen: list[int] = []
        patch.setattr(
            relu_cpu,
            "forward",
            lambda x, y, g: launch(
                lambda start, stop: (seen.append(start), y.fill(0))[0], g.size, 1
            ),
        )
        x = np.zeros(8)
        case = Case({"x": x})
        patch.setattr(relu_cpu, "backward", lambda x, gy, gx, g: gx is None or gx.fill(0))
        contract.check_repeats(ns.relu, case, np.float64, 0)
    assert len(set(seen)) > 1
