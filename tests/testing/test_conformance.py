"""conformance: implementations that deviate on purpose, and what is said of them."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numseg as ns
from numseg.ops.registry import OPERATORS
from numseg.testing import conformance, conventions, isolated
from numseg.testing.foreign import parameters

CASES = 40


def _verdict(theirs: Any, ours: Any, **options: Any) -> str:
    report = conformance(theirs, ours, cases=CASES, name="theirs", **options)
    text = str(report)
    assert repr(report) == text
    json.dumps(report.as_dict())
    return text


# -- those that conform ---------------------------------------------------------------------------


def test_the_definition_itself() -> None:
    report = conformance(ns.relu, ns.relu, cases=CASES)
    assert report
    assert report.verdict() == f"conforms: matches PyTorch, ONNX in {CASES} of {CASES} cases"
    assert report.dtypes[0].exact == report.dtypes[0].cases


@pytest.mark.skipif(not isolated.Isolated.possible(), reason="this system has no forks")
def test_a_crash_and_a_hang_are_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated, "PATIENCE", 0.5)
    monkeypatch.setattr(isolated, "FIRST", 5.0)

    def theirs(x):
        if x.ndim == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        if x.ndim == 1:
            time.sleep(60)
        return np.maximum(x, 0, dtype=x.dtype)

    report = conformance(theirs, ns.relu, cases=30, isolate=True)
    assert report
    said = {r.refused.message: r.shared for r in report.refusals}
    assert said["the process died: SIGKILL"] == "x of 0 axes"
    assert said["no result within 0.5 seconds"] == "x of 1 axes"


@pytest.mark.parametrize("aligned", [False, True])
def test_a_convention_is_found_and_named(aligned: bool) -> None:
    def theirs(features, boxes, output_size, spatial_scale, sampling_ratio):
        return ns.roi_align(features, boxes, output_size, spatial_scale, sampling_ratio, aligned)

    report = conformance(theirs, ns.roi_align, cases=CASES, values=("integers", "reals"))
    assert report
    assert report.takes["x"] == "features"
    assert report.arguments["aligned"] is aligned
    wanted = "detectron2 aligned=True" if aligned else "torchvision aligned=False"
    assert wanted in report.named


def test_a_number_that_they_do_not_take_is_found_too() -> None:
    def theirs(x, boxes, output_size, spatial_scale):
        return ns.roi_align(x, boxes, output_size, spatial_scale, 2, True, "max")

    report = conformance(theirs, ns.roi_align, cases=CASES, values=("integers", "reals"))
    assert report
    assert report.arguments["sampling_ratio"] == 2
    assert report.named == ("mmcv max",)


def test_rounding_is_measured_in_ulps() -> None:
    def theirs(x):
        return x * x.dtype.type(1 + 3 * np.finfo(x.dtype).eps)

    report = conformance(theirs, ns.relu, cases=CASES)
    assert not report  # of negative numbers
    report = conformance(
        lambda x: np.maximum(theirs(x), 0, dtype=x.dtype), ns.relu, cases=CASES, ulps=4
    )
    assert report
    assert 0 < max(s.ulps for s in report.dtypes) <= 4


def test_gradients_are_compared() -> None:
    def right(grad_y, x):
        return grad_y * (x > 0)

    def wrong(grad_y, x):
        return grad_y * (x >= 0)

    def forward(x):
        return np.maximum(x, 0, dtype=x.dtype)

    options = {"cases": CASES, "values": ("integers", "reals")}
    assert conformance(forward, ns.relu, backward=right, **options)
    report = conformance(forward, ns.relu, backward=wrong, **options)
    deviation = report.deviations[0]
    assert deviation.part == "gradient of x"
    assert deviation.ours == 0
    assert any(words.startswith("ties: ") for words in deviation.looks_like)


# -- those that deviate ---------------------------------------------------------------------------


def test_half_a_pixel() -> None:
    def theirs(x, boxes, output_size, spatial_scale, sampling_ratio):
        boxes = boxes.copy()
        boxes[:, 1:] += 0.5 / spatial_scale
        return ns.roi_align(x, boxes, output_size, spatial_scale, sampling_ratio)

    text = _verdict(theirs, ns.roi_align)
    assert "deviates: nearest is torchvision aligned=False" in text
    assert "looks like: off by half a pixel: boxes moved by +1/2 (in all" in text
    assert "ns.roi_align.reference(x=x, boxes=boxes" in text


def test_a_transposed_result() -> None:
    def theirs(x, kernel_size, stride, padding, dilation, ceil_mode):
        return ns.max_pool2d(x, kernel_size, stride, padding, dilation, ceil_mode).swapaxes(2, 3)

    text = _verdict(theirs, ns.max_pool2d)
    assert "looks like: rows and columns of the result exchanged" in text
    assert "shape of y: the definition gives" in text


def test_exchanged_strides() -> None:
    def theirs(x, w, b, stride, padding):
        return ns.conv2d(x, w, b, tuple(stride)[::-1], padding)

    text = _verdict(theirs, ns.conv2d, fixed={"dilation": (1, 1)})
    assert "looks like: rows and columns of stride exchanged" in text


def test_a_turned_kernel() -> None:
    def theirs(x, w, b, stride, padding, dilation, groups):
        return ns.conv2d(x, w[..., ::-1, ::-1], b, stride, padding, dilation, groups)

    text = _verdict(theirs, ns.conv2d)
    assert "looks like: the kernel turned by 180 degrees" in text


def test_another_rule_for_ties() -> None:
    def theirs(x, kernel_size, stride, padding, dilation):
        sides = (padding,) * 4 if isinstance(padding, int) else padding
        sides = sides if len(sides) == 4 else (sides[0], sides[0], sides[1], sides[1])
        top, bottom, left, right = sides
        turned = x[..., ::-1, ::-1]  # so the last maximum is the first
        args = kernel_size, stride, (bottom, top, right, left), dilation
        y, indices = ns.max_pool2d(turned, *args, return_indices=True)
        last = x.shape[2] * x.shape[3] - 1
        indices = np.where(indices < 0, -1, last - indices)  # -1: a window without pixels
        return y[..., ::-1, ::-1], indices[..., ::-1, ::-1]

    text = _verdict(theirs, ns.max_pool2d, values=("integers", "reals"), fixed={"stride": 1})
    assert "looks like: ties: the same calls agree as soon as all values are distinct" in text
    assert "indices[" in text


def test_single_precision_inside() -> None:
    def theirs(x, axis):
        return ns.softmax(x.astype(np.float32), axis).astype(x.dtype)

    text = _verdict(theirs, ns.softmax)
    assert "looks like: float64 arrays computed in float32" in text


def test_half_precision_inside() -> None:
    def theirs(x, w, b):
        if x.dtype == np.float32:
            with np.errstate(all="ignore"):
                x = x.astype(np.float16).astype(x.dtype)
        return ns.linear(x, w, b)

    text = _verdict(theirs, ns.linear, values=("integers", "reals"))
    assert "looks like: rounding only: the same calls in float64 agree" in text


def test_nan_alone() -> None:
    def theirs(x):
        return np.fmax(x, 0)

    text = _verdict(theirs, ns.relu)
    assert "matches PyTorch, ONNX in all ordinary cases; deviates in" in text
    assert "with NaN, infinities or -0.0" in text
    assert "looks like: only NaN, infinities or -0.0: the same calls agree without them" in text
    assert "x = np.array([np.nan]" in text or "x = np.array(np.nan" in text


def test_a_border() -> None:
    def theirs(x, size, scale_factor, align_corners):
        y = ns.upsample_bilinear2d(x, size, scale_factor, align_corners)
        y[..., 0, :] = 0
        return y

    text = _verdict(theirs, ns.upsample_bilinear2d, values=("reals",))
    assert "looks like: only at the border: none of the" in text
    assert "wherever they differ, it gives 0" in text


def test_a_factor() -> None:
    text = _verdict(lambda x: 2 * ns.sigmoid(x), ns.sigmoid, values=("reals",))
    assert "a factor: every number is 2 times what it should be" in text


def test_chance() -> None:
    rng = np.random.default_rng()
    text = _verdict(lambda x: x + rng.random(), ns.relu)
    assert "looks like: it gives something else each time for the same arguments" in text


def test_an_argument_that_is_ignored() -> None:
    def theirs(x, boxes, output_size, spatial_scale, sampling_ratio, aligned):
        return ns.roi_align(x, boxes, output_size, spatial_scale, sampling_ratio, True)

    text = _verdict(theirs, ns.roi_align)
    assert "it computes what aligned=True gives, whatever aligned it gets" in text


# -- those that refuse ----------------------------------------------------------------------------


def test_what_is_refused_is_told_by_what_it_shares() -> None:
    def theirs(x, axis):
        if x.size == 0:
            raise IndexError("nothing there")
        return ns.softmax(x, axis)

    report = conformance(theirs, ns.softmax, cases=CASES)
    (refusal,) = report.refusals
    assert refusal.shared == "an empty array"
    assert "all with an empty array: IndexError: nothing there" in str(report)


def test_the_smallest_example_is_small() -> None:
    def theirs(x, w, b, stride, padding, dilation, groups):
        y = ns.conv2d(x, w, b, stride, padding, dilation, groups)
        return y if x.shape[1] < 2 else 2 * y

    (deviation, *_) = conformance(theirs, ns.conv2d, cases=CASES, values=("integers",)).deviations
    lines = deviation.snippet.splitlines()
    assert lines[0] == "x = np.array([[[[1.0]], [[0.0]]]], np.float32)" or lines[0].count("1.0") < 3
    space: dict[str, Any] = {"np": np, "ns": ns}
    exec("\n".join(lines[:-1]), space)
    ours = eval(lines[-2], space)
    assert ours[deviation.place] == deviation.ours


# -- what cannot be asked -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: conformance(ns.relu, max), "ours must be an operator of numseg, got"),
        (lambda: conformance(3, ns.relu), "theirs must be a function, got int"),
        (lambda: conformance(ns.relu, ns.relu, cases=0), "cases must be at least 1, got 0"),
        (lambda: conformance(ns.relu, ns.relu, dtypes=["f"]), "dtypes must be one of"),
        (lambda: conformance(ns.relu, ns.relu, fixed={"a": 1}), "relu has no parameter 'a'"),
        (lambda: conformance(ns.relu, ns.relu, names={"a": "x"}), "relu has no argument 'a'"),
        (lambda: conformance(ns.relu, ns.relu, names={"x": "z"}), "has no argument 'z', it has x"),
        (lambda: conformance(lambda: 0, ns.relu), "takes no x, which relu needs"),
        (lambda: conformance(lambda x, k: 0, ns.relu), "relu has nothing for the function's k"),
        (lambda: conformance(ns.relu, ns.relu, arrays="no.lib"), "cannot import no.lib"),
        (lambda: conformance(lambda x: 1 / 0, ns.relu, cases=5), "refused all 5 calls of relu"),
        (lambda: conformance(ns.relu, ns.relu, gradient=True), "wants a function of torch"),
    ],
)
def test_what_cannot_be_asked_is_one_line(call: Any, says: str) -> None:
    with pytest.raises(ns.ArgumentError) as raised:
        call()
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


def test_adapt_makes_their_arguments() -> None:
    def theirs(image, boxes, index, size):
        return ns.roi_align(image, np.c_[index, boxes].astype(image.dtype), size)

    def adapt(x, boxes, output_size):
        return {"image": x, "boxes": boxes[:, 1:], "index": boxes[:, 0], "size": output_size}

    values = ("integers", "reals")
    report = conformance(theirs, ns.roi_align, adapt=adapt, cases=CASES, values=values)
    assert report
    assert report.fixed["spatial_scale"] == 1.0
    assert "torchvision aligned=False" in report.named


def test_arguments_are_matched_by_name_synonym_and_place() -> None:
    def theirs(image, kernels, bias, strides=1):
        return ns.conv2d(image, kernels, bias, strides)

    report = conformance(theirs, ns.conv2d, cases=CASES)
    assert report
    assert report.takes == {"x": "image", "weight": "kernels", "bias": "bias", "stride": "strides"}
    fixed = {"padding": 0, "dilation": 1, "groups": 1, "algorithm": "direct"}
    assert report.fixed == fixed


def test_a_docstring_stands_in_for_a_signature() -> None:
    def function(*args, **kwargs):
        """
        pool(input, size, stride=None, *, ceil=False) -> Tensor

        More words.
        """

    found = parameters(function)
    assert [p.name for p in found] == ["input", "size", "stride", "ceil"]
    assert [p.required for p in found] == [True, True, False, False]


def test_nobody_must_give_out() -> None:
    """PyTorch's docstrings have it without a default."""

    def function(*args, **kwargs):
        """absolute(input: Tensor, *, out: Optional[Tensor]) -> Tensor"""

    assert [p.required for p in parameters(function)] == [True, False]


# -- the registry ---------------------------------------------------------------------------------

OPERATORS = list(OPERATORS.values())


@pytest.mark.parametrize("op", OPERATORS, ids=lambda op: op.__name__)
def test_named_conventions_are_arguments(op: Any) -> None:
    from numseg.testing import cases

    parameters = op.__signature__.parameters
    for name, arguments in conventions.named(op).items():
        assert arguments.keys() <= set(parameters) - set(op.inputs), name
        taken = 0
        for case in cases.drawn(op, 8):
            try:
                op.plan(**(case.arguments("integers", np.float32) | arguments))
            except ns.ArgumentError:
                continue
            taken += 1
        assert taken, f"{name}: no case is valid with {arguments}"
    for values in conventions.choices(op).values():
        assert len(values) > 1


@pytest.mark.parametrize("op", OPERATORS, ids=lambda op: op.__name__)
def test_named_conventions_are_in_the_table_of_the_page(op: Any) -> None:
    pages = Path(ns.__file__).parent.parent / "docs" / "operators"
    if not pages.is_dir():
        pytest.skip("numseg is installed without its docs")
    if not conventions.named(op):
        return
    page = (pages / f"{op.__name__}.md").read_text()
    table = page.partition("\n## Conventions\n")[2].partition("\n## ")[0]
    for name, arguments in conventions.named(op).items():
        for argument, value in arguments.items():
            if repr(value) != repr(op.parameters.defaults.get(argument)):
                assert f"`{argument}" in table or f" {argument}=" in table, (name, argument)
                assert not isinstance(value, str) or value in page, (name, value)
