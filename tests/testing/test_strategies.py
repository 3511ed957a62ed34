"""The published strategies: their calls are valid, reach every corner, and shrink to small ones."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

import numseg as ns
from numseg.ops.registry import OPERATORS
from numseg.testing import strategies

Arguments = dict[str, Any]

each_operator = pytest.mark.parametrize("name", OPERATORS)


def arrays(arguments: Arguments) -> list[Any]:
    parts = (p for v in arguments.values() for p in (v if isinstance(v, (list, tuple)) else [v]))
    return [part for part in parts if isinstance(part, np.ndarray)]


def found(strategy: Any, corner: Callable[[Arguments], Any], shrink: bool = False) -> Arguments:
    phases = [Phase.generate, Phase.shrink] if shrink else [Phase.generate]
    quick = settings(
        max_examples=1000, derandomize=True, database=None, deadline=None, phases=phases
    )
    return find(strategy, lambda arguments: bool(corner(arguments)), settings=quick)


# -- every operator -------------------------------------------------------------------------------


@each_operator
@settings(max_examples=5, database=None)
@given(data=st.data())
def test_the_definition_takes_every_call(name: str, data: st.DataObject) -> None:
    """With NaN and infinities too."""
    strategy = getattr(strategies, name)(values=("integers", "reals", "special"))
    arguments = data.draw(strategy)
    OPERATORS[name].reference(**arguments)


@each_operator
def test_axes_of_size_one_and_zero(name: str) -> None:
    strategy = getattr(strategies, name)()
    assert found(strategy, lambda a: any(1 in array.shape for array in arrays(a)))
    assert found(strategy, lambda a: any(0 in array.shape for array in arrays(a)))


@each_operator
@settings(max_examples=10, database=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_options_hold(name: str, data: st.DataObject) -> None:
    strategy = getattr(strategies, name)(dtype="f4", values="integers", empty=False, max_size=200)
    for array in arrays(data.draw(strategy)):
        assert 0 < array.size <= 200
        assert array.dtype != np.float64


@each_operator
def test_invalid_calls_are_refused_in_the_words_stated(name: str) -> None:
    @settings(max_examples=3, database=None, deadline=None, phases=[Phase.generate])
    @given(getattr(strategies.invalid, name)())
    def check(arguments: Any) -> None:
        with pytest.raises(ns.ArgumentError) as caught:
            OPERATORS[name](**arguments)
        assert arguments.message in str(caught.value)

    check()


# -- the corners ----------------------------------------------------------------------------------


def pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


def kernel_beyond_the_image(a: Arguments) -> bool:
    kernel = a["weight"].shape[2:] if "weight" in a else pair(a["kernel_size"])
    size = a["output_size"] if a["x"].ndim == 3 else a["x"].shape[2:]
    return bool(0 not in a["x"].shape and any(k > s for k, s in zip(kernel, size, strict=True)))


def boxes(test: Callable[[Any, Any, Arguments], Any]) -> Callable[[Arguments], bool]:
    """A corner of RoIs: ``test(start, end, arguments)`` in pixels, (K, 2) each."""

    def corner(a: Arguments) -> bool:
        rois = a["boxes"] * a["spatial_scale"]
        return bool(a["x"].size > 0 and np.any(test(rois[:, 1:3], rois[:, 3:], a)))

    return corner


def outside(start: Any, end: Any, a: Arguments) -> Any:
    size = np.array(a["x"].shape[:1:-1])
    return ((start > size + 1) & (end > size + 1)) | ((start < -2) & (end < -2))


def inverted(start: Any, end: Any, a: Arguments) -> Any:
    return end < start


def degenerate(start: Any, end: Any, a: Arguments) -> Any:
    return end == start


def on_an_edge(start: Any, end: Any, a: Arguments) -> Any:
    """A bin, not the first, begins on a pixel exactly."""
    bins = np.array(pair(a["output_size"])[::-1])
    first = start + (end - start) / bins
    return (bins > 1) & (end > start) & (first == np.floor(first))


def ties(a: Arguments) -> bool:
    x = a["x"]
    return bool(x.size > 1 and np.unique(x).size < x.size)


def no_number(a: Arguments) -> bool:
    floats = [array for array in arrays(a) if array.dtype.kind == "f"]
    return any(np.isnan(array).any() for array in floats)


def infinite(a: Arguments) -> bool:
    floats = [array for array in arrays(a) if array.dtype.kind == "f"]
    return any(np.isinf(array).any() for array in floats)


def far(name: str) -> Callable[[Arguments], bool]:
    """A stride or dilation much larger than the image."""

    def corner(a: Arguments) -> bool:
        image = max(a["x"].shape[2:]) if a["x"].ndim == 4 else max(a["output_size"])
        return a[name] is not None and a["x"].size > 0 and max(pair(a[name])) > 10 * image + 10

    return corner


def repeated(a: Arguments) -> bool:
    indices = a["indices"].reshape(-1, int(np.prod(a["indices"].shape[2:])))
    return any(np.unique(plane).size < plane.size for plane in indices)


WINDOWS = ["conv2d", "max_pool2d", "avg_pool2d", "im2col", "col2im"]
CORNERS: dict[str, tuple[str, Callable[[Arguments], Any]]] = {
    **{f"{n}: a kernel larger than the image": (n, kernel_beyond_the_image) for n in WINDOWS},
    **{f"{n}: a huge stride": (n, far("stride")) for n in [*WINDOWS, "conv_transpose2d"]},
    **{
        f"{n}: a huge dilation": (n, far("dilation"))
        for n in (*WINDOWS, "conv_transpose2d")
        if n != "avg_pool2d"
    },
    **{
        f"{n}: a box {test.__name__.replace('_', ' ')}": (n, boxes(test))
        for n in ("roi_align", "roi_pool")
        for test in (outside, inverted, degenerate, on_an_edge)
    },
    **{f"{n}: ties": (n, ties) for n in ("max_pool2d", "roi_pool", "roi_align", "softmax")},
    **{
        f"{n}: {what.__name__}": (n, what)
        for n in ("max_pool2d", "conv2d", "roi_align", "cross_entropy", "batch_norm")
        for what in (no_number, infinite)
    },
    "max_unpool2d: repeated indices": ("max_unpool2d", repeated),
}


@pytest.mark.parametrize("corner", CORNERS)
def test_corners_are_reached(corner: str) -> None:
    name, reached = CORNERS[corner]
    assert found(getattr(strategies, name)(values=("integers", "special")), reached)


# -- what a failing example looks like ------------------------------------------------------------


def test_examples_shrink_to_small_round_numbers() -> None:
    arguments = found(strategies.conv2d(values="integers"), lambda a: a["x"].sum() > 0, True)
    assert arguments["x"].size <= 4
    assert np.unique(arguments["x"]).tolist() in ([1.0], [0.0, 1.0])
    assert len(repr(arguments)) < 300
    arguments = found(strategies.roi_pool(values="integers"), lambda a: a["boxes"].size, True)
    assert arguments["boxes"].tolist() == [[0, 0, 0, 0, 0]]


def test_a_failing_example_prints_the_arguments() -> None:
    @settings(max_examples=200, database=None, derandomize=True)
    @given(strategies.relu(values="integers", dtype="f8"))
    def wrong(arguments: Any) -> None:
        assert (ns.relu(**arguments) == arguments["x"]).all()

    with pytest.raises(AssertionError) as caught:
        wrong()
    assert "arguments={'x': array(-1.)}" in "\n".join(caught.value.__notes__)


# -- the module -----------------------------------------------------------------------------------


def test_strategies_have_the_operators_names() -> None:
    assert set(OPERATORS) <= set(dir(strategies)) & set(dir(strategies.invalid))
    assert strategies.conv2d.__name__ == "conv2d"
    assert "keyword arguments" in (inspect.getdoc(strategies.conv2d) or "")
    assert not hasattr(strategies, "conv3d")
    with pytest.raises(AttributeError, match="no such operator"):
        importlib.import_module("numseg.testing.strategies").conv3d  # noqa: B018
    with pytest.raises(ns.ArgumentError, match="values must be one of"):
        strategies.conv2d(values="complex")
