"""Tangents and second derivatives on CUDA: every operator that has them on the CPU has them there,
by the same rule, or is on a short list and refuses."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import numseg as ns
from numseg.cuda import runtime
from numseg.cuda.arrays import Cuda
from numseg.operator import Operator
from numseg.ops.registry import OPERATORS
from numseg.plan import Spec, each
from numseg.testing import cases, contract

if not runtime.cuda_available():
    pytest.skip(
        "no GPU: NUMBA_ENABLE_CUDASIM=1 pytest tests/cuda, after pip install '.[cuda-test]'",
        allow_module_level=True,
    )

Op = Operator[..., Any]

ON_THE_CPU = {
    "dense_crf": {"unary", "features", "compat", "q0"},
    "mean_field_step": {"unary", "features", "compat", "q"},
    "gaussian_filter": {"features"},
    "roi_align": {"boxes"},
    "crop_and_resize": {"boxes"},
}
"""Along which arguments the rules compute with NumPy alone."""

FIRST = [
    op for op in OPERATORS.values() if set(op.differentiable) - ON_THE_CPU.get(op.__name__, set())
]
"""Operators with tangents on CUDA."""

ONCE = {
    *("dense_crf", "dice_loss", "gaussian_filter", "grid_sample", "l2_norm", "mean_field_step"),
    *("sigmoid_focal_loss", "encode_boxes", "decode_boxes"),
    *(f"{name}_box_iou_loss" for name in ("generalized", "distance", "complete")),
}
"""Operators without second derivatives."""

SECOND = [op for op in OPERATORS.values() if op.differentiable and op.__name__ not in ONCE]
"""Operators with second derivatives."""

DIVIDED = ns.bilateral_features, ns.spatial_features
"""Exact, as what is rounded once is; their derivatives are divided twice."""

KINDS = ("integers", np.float32), ("reals", np.float64)


@pytest.fixture(autouse=True)
def _nothing_comes_back(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrays that the host remembers need not be copied for checks of values, and of others only
    what operators make tables of: boxes, the ranges of features."""
    to_host, op = Cuda.to_host, None
    if hasattr(request.node, "callspec"):
        op = request.node.callspec.params.get("op")
    tables = op is None or bool({"boxes", "features"} & set(op.inputs))

    def few(array: Any) -> Any:
        assert tables, "an array came back to the host"
        assert array.size <= 5 * 8, "a large array came back to the host"
        assert array.ndim <= 2, "an image came back to the host"
        return to_host(array)

    monkeypatch.setattr(Cuda, "to_host", staticmethod(few))


def up(op: Op, arguments: dict[str, Any]) -> dict[str, Any]:
    return contract._map_arrays(op, lambda a: Cuda.from_host(a, remember=True), arguments)


def down(array: Any) -> Any:
    return None if array is None else np.asarray(array.copy_to_host())


few_cases = functools.cache(lambda op: cases.drawn(op, 12, full=True))


def call(op: Op, kind: str, dtype: Any, given: str = "") -> dict[str, Any]:
    """A small call whose rule runs on CUDA; with an array for the argument ``given``."""
    drawn = [case.arguments(kind, dtype, 1) for case in few_cases(op)]
    fit = [
        a
        for a in drawn
        if (not given or contract.arrays(a.get(given)))
        and not (op is ns.roi_align and op.plan(**a).geometry.maximum)
    ]
    fit.sort(key=lambda a: op.cost(**a).bytes)
    return fit[len(fit) // (4 if kind == "integers" else 3)]


def tangents(op: Op, arguments: dict[str, Any], kind: str, left_out: Any = ()) -> dict[str, Any]:
    rng = np.random.default_rng(2)
    return {
        n: contract._map(lambda a: cases.KINDS[kind](a.shape, a.dtype, rng), arguments[n])
        for n in op.differentiable
        if n not in left_out and contract.arrays(arguments.get(n))
    }


def moved(along: dict[str, Any]) -> dict[str, Any]:
    return {n: each(v, Cuda.from_host) for n, v in along.items()}


def wide(arguments: dict[str, Any]) -> dict[str, Any]:
    return contract._map_floats(lambda a: a.astype(np.float64), arguments)


def check(op: Op, plan: Any, kind: str, name: str, got: Any, wanted: Any) -> None:
    """To the bit on integers if the operator is exact, else within its bound, of what is largest:
    rules add up some terms of that size."""
    assert (got is None) == (wanted is None), name
    if got is None:
        return
    assert got.dtype == plan.outputs[0].dtype, f"{name} is {got.dtype}"
    assert got.shape == wanted.shape, name
    if kind == "integers" and cases.exact(op, plan, Cuda) is True and op not in DIVIDED:
        np.testing.assert_array_equal(got, wanted.astype(got.dtype), err_msg=name)
        return
    terms = max(4 * cases.roundings(op, plan, Cuda), 32.0)
    scale = max(1.0, float(np.max(np.abs(wanted), initial=0, where=np.isfinite(wanted))))
    bound = terms * float(np.finfo(got.dtype).eps) * scale
    np.testing.assert_allclose(got, wanted, rtol=0, atol=bound, err_msg=name)


def check_jvp(op: Op, kind: str, arguments: dict[str, Any]) -> None:
    along = tangents(op, arguments, kind, ON_THE_CPU.get(op.__name__, ()))
    _, found = op.jvp(**up(op, arguments), tangents=moved(along))
    _, wanted = op.reference.jvp(**wide(arguments), tangents=wide(along))
    check(op, op.plan(**arguments), kind, "tangent", down(found), wanted)


def check_double_backward(op: Op, kind: str, arguments: dict[str, Any]) -> None:
    along = tangents(op, arguments, kind, ON_THE_CPU.get(op.__name__, ()))
    spec = op.plan(**arguments).outputs[0]
    grad = cases.KINDS[kind](spec.shape, spec.dtype, np.random.default_rng(3))
    _, saved = op.forward(**up(op, arguments))
    found = op.double_backward(saved, Cuda.from_host(grad), moved(along))
    _, saved = op.reference.forward(**wide(arguments))
    wanted = op.reference.double_backward(saved, grad.astype(np.float64), wide(along))
    assert len(found) == len(wanted)
    for number, (a, b) in enumerate(zip(found, wanted, strict=True)):
        check(op, op.plan(**arguments), kind, f"gradient {number}", down(a), b)


@pytest.mark.parametrize("op", FIRST, ids=lambda op: op.__name__)
def test_tangents(op: Op) -> None:
    for kind, dtype in KINDS:
        check_jvp(op, kind, call(op, kind, dtype))


@pytest.mark.parametrize("op", SECOND, ids=lambda op: op.__name__)
def test_second_derivatives(op: Op) -> None:
    for kind, dtype in KINDS:
        check_double_backward(op, kind, call(op, kind, dtype))


REFUSALS = [(OPERATORS[op], along) for op, names in ON_THE_CPU.items() for along in sorted(names)]


@pytest.mark.parametrize(
    ("op", "argument"), REFUSALS, ids=[f"{op.__name__}-{name}" for op, name in REFUSALS]
)
def test_refuses(op: Op, argument: str) -> None:
    arguments = call(op, "reals", np.float32, argument)
    along = tangents(op, arguments, "reals", set(op.differentiable) - {argument})
    says = r"runs on the CPU: copy the arrays \(copy_to_host\) first$"
    with pytest.raises(ns.DeviceError, match=rf"^{op.__name__}\.jvp: {says}"):
        op.jvp(**up(op, arguments), tangents=moved(along))
    if op in SECOND:
        y, saved = op.forward(**up(op, arguments))
        with pytest.raises(ns.DeviceError, match=rf"^{op.__name__}\.double_backward: {says}"):
            op.double_backward(saved, y, moved(along))


def test_the_largest_samples_of_regions_refuse() -> None:
    x, boxes = np.ones((1, 1, 4, 4), np.float32), np.array([[0, 0, 0, 3, 3]], np.float32)
    arguments = up(ns.roi_align, {"x": x, "boxes": boxes, "output_size": 2, "mode": "max"})
    with pytest.raises(ns.DeviceError, match=r"^roi_align\.jvp: runs on the CPU"):
        ns.roi_align.jvp(**arguments, tangents={"x": Cuda.from_host(x)})


@pytest.mark.parametrize("name", OPERATORS)
def test_what_has_no_second_derivative_says_so(name: str) -> None:
    op = OPERATORS[name]
    if op in SECOND:
        return
    arguments = call(op, "reals", np.float32)
    y, saved = op.forward(**up(op, arguments))
    with pytest.raises(ns.ArgumentError, match=f"{name} has no double_backward"):
        op.double_backward(saved, y, {})


def integers(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(np.float32)


LABELS = np.array([[[0, 2, 1], [255, 1, 0]]])
CALLS: list[tuple[Op, dict[str, Any]]] = [
    *(
        (ns.max_pool2d, {"x": np.round(integers(1, 2, 4, 4) / 3), "kernel_size": 2, **how})
        for how in (
            {"stride": 1, "padding": 1, "ties": "all"},
            {"stride": 1, "dilation": 2, "ties": "split"},
            {"index_layout": "nhwc"},
            {"index_layout": "ncwh", "ceil_mode": True, "stride": 3},
        )
    ),
    (ns.max_unpool2d, {"x": integers(1, 1, 2, 2), "indices": np.array([[[[0, 5], [5, 15]]]]),
                       "kernel_size": 2, "duplicates": "torch"}),
    (ns.binary_cross_entropy_with_logits,
     {"x": integers(2, 3, 2), "target": integers(2, 2) / 4, "labels": np.array([2, 0]),
      "weight": integers(2, 1) + 5}),
    *(
        (ns.cross_entropy,
         {"x": integers(1, 3, 2, 3), "target": LABELS, "ignore_index": 255, **how})
        for how in (
            {"reduction": "none"},
            {"label_smoothing": 0.25, "weight": np.array([1, 2, 0.5], np.float32)},
            {"gamma": 2.0},
        )
    ),
    (ns.cross_entropy, {"x": integers(1, 3, 2, 3), "target": np.full((1, 2, 3), 255),
                        "ignore_index": 255}),
    (ns.instance_norm, {"x": integers(2, 2, 3) + 1000, "weight": integers(2)}),
]  # fmt: skip
"""Ways through rules that the cases above may miss."""


@pytest.mark.parametrize(("op", "arguments"), CALLS, ids=lambda part: getattr(part, "__name__", ""))
def test_calls(op: Op, arguments: dict[str, Any]) -> None:
    check_jvp(op, "integers", arguments)
    check_double_backward(op, "integers", arguments)


def test_a_statistic_in_float64_counts_to_its_last_digit() -> None:
    """The mean of x is no float32; what is left of it would be the whole second derivative."""
    x = np.float32(2**23) + np.arange(6, dtype=np.float32).reshape(1, 1, 6)
    grad, v = integers(1, 1, 6, seed=1), integers(1, 1, 6, seed=2)
    _, saved = ns.instance_norm.forward(Cuda.from_host(x))
    found = ns.instance_norm.double_backward(saved, Cuda.from_host(grad), {"x": Cuda.from_host(v)})
    _, saved = ns.instance_norm.forward(x)
    wanted = ns.instance_norm.double_backward(saved, grad, {"x": v})
    np.testing.assert_allclose(down(found[0]), wanted[0], rtol=0, atol=1e-5)


def test_the_result_is_not_the_tangent_itself() -> None:
    x, v = (Cuda.from_host(integers(2, 3, seed=seed)) for seed in range(2))
    _, tangent = ns.add.jvp(x, x, tangents={"x": v})
    v.copy_to_device(np.zeros((2, 3), np.float32))
    np.testing.assert_array_equal(down(tangent), integers(2, 3, seed=1))


def test_nor_is_it_where_a_rule_returns_it() -> None:
    from numseg.ops.numbers import Numbers, rounded

    v = Cuda.from_host(integers(2, 3))
    tangent = rounded(Numbers(v), Spec((2, 3)))
    v.copy_to_device(np.zeros((2, 3), np.float32))
    np.testing.assert_array_equal(down(tangent), integers(2, 3))


@pytest.mark.parametrize("op", [ns.batch_norm, ns.instance_norm, ns.cross_entropy, ns.dice_loss])
def test_images_stay_in_float32(op: Op, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though statistics, and labels while they are compared, are in float64."""
    wide: list[Any] = []
    empty = Cuda.empty

    def watched(shape: Any, dtype: Any) -> Any:
        wide.extend([shape] if np.dtype(dtype) == np.float64 and np.prod(shape) >= 36 else [])
        return empty(shape, dtype)

    monkeypatch.setattr(Cuda, "empty", staticmethod(watched))
    x, v = (Cuda.from_host(integers(2, 3, 6, seed=seed)) for seed in range(2))
    target = {"target": Cuda.from_host(np.arange(12).reshape(2, 6) % 3, remember=True)}
    arguments = {"x": x, **({} if "target" not in op.inputs else target)}
    arguments |= {"training": True} if op is ns.batch_norm else {}
    _, tangent = op.jvp(**arguments, tangents={"x": v})
    assert tangent.dtype == np.float32
    if op in SECOND:
        y, saved = op.forward(**arguments)
        assert op.double_backward(saved, y, {"x": v})[0].dtype == np.float32
    assert not wide


def test_some_of_a_sequence() -> None:
    x = Cuda.from_host(integers(1, 1, 2))
    _, tangent = ns.concat.jvp([x, x], tangents={"xs": [None, x]})
    np.testing.assert_array_equal(down(tangent), np.stack([[0 * down(x)[0, 0], down(x)[0, 0]]]))


def test_without_tangents_it_is_zero() -> None:
    x = Cuda.from_host(integers(2, 3))
    _, tangent = ns.sigmoid.jvp(x, tangents={})
    assert tangent.dtype == np.float32
    assert not down(tangent).any()
    _, saved = ns.sigmoid.forward(x)
    assert not any(down(grad).any() for grad in ns.sigmoid.double_backward(saved, x, {}))


def test_by_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is NumPy's, in float64: the arrays come back for it, as for a call's."""
    monkeypatch.undo()
    x, v = integers(2, 3), integers(2, 3, seed=1)
    with ns.use("reference"):
        _, tangent = ns.sigmoid.jvp(Cuda.from_host(x), tangents={"x": Cuda.from_host(v)})
        _, wanted = ns.sigmoid.jvp(x, tangents={"x": v})
    np.testing.assert_array_equal(down(tangent), wanted)


def test_arrays_on_both_sides_are_refused() -> None:
    x = integers(2, 3)
    with pytest.raises(ns.DeviceError, match=r"sigmoid\.jvp: x is on the CPU, but another"):
        ns.sigmoid.jvp(Cuda.from_host(x), tangents={"x": x})


@pytest.mark.parametrize(
    "ask",
    [np.asarray, np.cumsum, np.cos, float, bool, iter, lambda x: x[np.array([0])],
     lambda x: np.add.reduce(x), lambda x: x.astype(np.int64) + 1],
)  # fmt: skip
def test_numbers_refuse_what_would_need_the_host(ask: Any) -> None:
    from numseg.ops.numbers import Numbers

    with pytest.raises(ns.DeviceError, match="runs on the CPU"):
        ask(Numbers(Cuda.from_host(integers(2))))
