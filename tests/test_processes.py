"""What goes from process to process: pickles, copies, pools."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import importlib
import inspect
import multiprocessing
import pickle
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import numseg as ns
from numseg import nets, testing, training
from numseg.errors import MissingExtra
from numseg.graph import digest, image_channels
from numseg.ops.registry import OPERATORS
from numseg.testing import cases

TRAVELS: list[Callable[[Any], Any]] = [
    lambda thing: pickle.loads(pickle.dumps(thing)),
    lambda thing: pickle.loads(pickle.dumps(thing, protocol=0)),
    copy.deepcopy,
    copy.copy,
]


def _modules() -> Iterator[Any]:
    for found in pkgutil.walk_packages(ns.__path__, "numseg."):
        if not found.name.endswith("__main__"):
            with contextlib.suppress(MissingExtra, ns.DeviceError):  # CUDA is not installed
                yield importlib.import_module(found.name)


def _classes(wanted: Callable[[type], bool]) -> list[type]:
    """Of all of numseg's."""
    found = {
        thing
        for module in _modules()
        for thing in vars(module).values()
        if inspect.isclass(thing) and thing.__module__ == module.__name__ and wanted(thing)
    }
    return sorted(found, key=lambda kind: f"{kind.__module__}.{kind.__qualname__}")


def _same(one: Any, other: Any) -> bool:
    """Equal in all that they are made of, to the bit."""
    if one is other:
        return True
    if type(one).__name__ != type(other).__name__:
        return False
    if isinstance(one, np.ndarray):
        return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    if isinstance(one, (tuple, list)):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(_same(one[name], other[name]) for name in one)
    if isinstance(one, ns.Operator) or not hasattr(one, "__dict__"):
        return bool(one == other)
    return _same(vars(one), vars(other))


def _travels(thing: Any) -> None:
    for travel in TRAVELS:
        there = travel(thing)
        assert _same(there, thing), f"{thing!r} came back as {there!r}"


def test_errors() -> None:
    kinds = _classes(lambda kind: issubclass(kind, BaseException))
    assert MissingExtra in kinds
    assert ns.ArgumentError in kinds
    for kind in kinds:
        needed = inspect.signature(kind.__init__).parameters.values()
        given = [p for p in needed if p.name != "self" and p.kind is p.POSITIONAL_OR_KEYWORD]
        error = kind(*[f"the {p.name}" for p in given] or ["x has 1, expected 2"])
        for travel in TRAVELS:
            there = travel(error)
            assert type(there) is kind
            assert str(there) == str(error) != ""
            assert there.args == error.args


def test_records() -> None:
    """NamedTuples and dataclasses, whatever is in them."""
    kinds = _classes(lambda kind: hasattr(kind, "_make") or dataclasses.is_dataclass(kind))
    assert {ns.Spec, ns.Cost, ns.Plan, training.Recipe, testing.GradientReport} <= set(kinds)
    for kind in kinds:
        if hasattr(kind, "_make"):
            _travels(kind._make(range(len(kind._fields))))
        elif not inspect.isabstract(kind):
            record = object.__new__(kind)
            vars(record).update({field.name: [field.name] for field in dataclasses.fields(kind)})
            _travels(record)


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_and_what_they_give(name: str) -> None:
    op = OPERATORS[name]
    for face in (op, op.reference):
        for travel in TRAVELS:
            assert travel(face) is face
        arguments = cases.drawn(op, 1, full=True)[0].arguments("integers", np.float64)
        y, saved = face.forward(**arguments)
        _travels(saved)
        _travels(saved.plan)
        grad_y = np.ones_like(y[0] if isinstance(y, tuple) else y)
        there = pickle.loads(pickle.dumps(saved))
        assert type(there) is type(saved)
        if op.differentiable:
            assert _same(face.backward(there, grad_y), face.backward(saved, grad_y))


def test_linear_operators() -> None:
    products = ns.conv2d.linear_operator((1, 1, 4, 4), np.ones((1, 1, 2, 2)))
    there = pickle.loads(pickle.dumps(products))
    assert np.array_equal(there @ np.ones(16), products @ np.ones(16))
    assert np.array_equal(there.T @ np.ones(9), products.T @ np.ones(9))


def _small(make: str) -> ns.Graph:
    known = inspect.signature(getattr(nets, make)).parameters
    small = {"in_channels": 1, "classes": 2, "width": 2, "depth": 2, "padding": "same"}
    return getattr(nets, make)(**{name: small[name] for name in small if name in known})


@pytest.mark.parametrize("make", nets.__all__)
def test_networks(make: str) -> None:
    net = _small(make)
    for travel in TRAVELS:
        there = travel(net)
        assert digest(there) == digest(net)
        assert _same(tuple(there.init().values()), tuple(net.init().values()))


@pytest.mark.parametrize("make", ["unet", "segnet", "deeplabv3_mobilenet_v3_large"])
def test_what_networks_give(make: str) -> None:
    net = _small(make)
    x = np.ones((2, image_channels(net), 64, 64), np.float32)  # a batch, for norms of one pixel
    params = net.init(seed=0)
    y, tape = net.forward(params, x)
    there, kept = pickle.loads(pickle.dumps((net, tape)))
    assert _same(there.run(params, x), net.run(params, x))
    assert _same(there.backward(kept, y), net.backward(tape, y))
    for thing in (net.summary(x.shape), net.receptive_field(net.nodes[0].name, x.shape)):
        _travels(thing)
    profile = net.profile(params, x)
    assert str(pickle.loads(pickle.dumps(profile))) == str(profile)


def test_reports() -> None:
    x = np.array([[[[0.5, -1.0], [2.0, 3.0]]]])
    for report in (
        ns.gradcheck(ns.sigmoid, {"x": x}),
        testing.jvpcheck(ns.sigmoid, {"x": x}),
        testing.second_order_check(ns.sigmoid, {"x": x}),
        testing.adjointcheck(ns.global_avg_pool2d, {"x": x}),
        testing.conformance(np.abs, ns.abs, cases=5),
        testing.conformance(np.negative, ns.abs, cases=5),
    ):
        for travel in TRAVELS:
            assert str(travel(report)) == str(report)


def test_what_no_name_leads_to_says_so_where_it_is_pickled() -> None:
    """And not in the process that unpickles it, where a pool would lose the task."""

    def plan(x: Any) -> Any:
        return ns.relu.make_plan(x)

    nameless = ns.Operator(plan, ns.relu.facts)
    assert copy.deepcopy(nameless) is nameless
    with pytest.raises(
        pickle.PicklingError, match=r"plan\(x: Any\).* is not .*test_processes\.plan"
    ):
        pickle.dumps(nameless)


def _raise(error: Exception) -> None:
    raise error


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # Python 3.12, with threads
def test_pools(method: str) -> None:
    x = np.array([[[[1.0, 5.0], [2.0, 3.0]]]])
    with multiprocessing.get_context(method).Pool(1) as pool:
        _, saved = pool.apply_async(ns.max_pool2d.forward, (x, 2)).get(60)
        assert pool.apply_async(ns.max_pool2d.backward, (saved, x[..., 1:, 1:])).get(60)[0].any()
        assert pool.apply_async(ns.max_pool2d.reference, (x, 2)).get(60).item() == 5
        for error in (MissingExtra("wings", "air", "flying"), ns.ArgumentTypeError("x is y")):
            with pytest.raises(type(error)) as caught:
                pool.apply_async(_raise, (error,)).get(60)
            assert str(caught.value) == str(error)
