"""conformance: what a function does besides computing, and what was not tried."""

from __future__ import annotations

import ctypes
import time
from typing import Any

import numpy as np
import pytest

import numseg as ns
from numseg.testing import conformance, guarded, isolated

CASES = 20


def _ask(theirs: Any, ours: Any = ns.relu, **options: Any) -> Any:
    options = {"cases": CASES, "name": "theirs"} | options
    return conformance(theirs, ours, **options)


def _faults(report: Any) -> dict[str, str]:
    return {fault.kind: fault.words for fault in report.faults}


def _relu(x):
    return np.maximum(x, x.dtype.type(0))  # NumPy 1 makes float64 of a float32 without axes and 0


# -- what was not tried ---------------------------------------------------------------------------


def align(feat, boxes, size, scale=1.0, samples=2):
    return ns.roi_align(feat, boxes, size, scale * scale, samples + 1 if samples != 2 else 2)


def test_arguments_that_got_nothing_are_part_of_the_verdict() -> None:
    report = _ask(align, ns.roi_align, values=("integers", "reals"))
    assert report
    assert "NOT TRIED: its arguments scale and samples" in report.verdict()
    assert report.proposals == {"spatial_scale": "scale", "sampling_ratio": "samples"}
    assert "try --map spatial_scale=scale" in str(report)
    assert report.as_dict()["untried"] == list(report.untried)


def test_what_is_proposed_finds_the_mistake() -> None:
    names = {"spatial_scale": "scale", "sampling_ratio": "samples"}
    report = _ask(align, ns.roi_align, names=names, values=("integers", "reals"), cases=40)
    assert not report
    assert not any("argument" in words for words in report.untried)


@pytest.mark.parametrize(
    ("theirs", "operator", "proposals"),
    [
        (
            lambda x, k, step=None, border=0: 0,
            ns.max_pool2d,
            {"stride": "step", "padding": "border"},
        ),
        (lambda x, factor=2.0, corners=False: 0, ns.upsample_bilinear2d, None),
        (lambda x, w, b=None, strideXY=1: 0, ns.conv2d, {"stride": "strideXY"}),
        (lambda x, nonsense=3: 0, ns.relu, {}),
    ],
)
def test_names_are_proposed(theirs: Any, operator: Any, proposals: Any) -> None:
    from numseg.testing import matching

    found = matching.parameters(theirs)
    takes = matching.matched(found, operator, {}, {}, False)
    idle = [p.name for p in found if p.name not in takes.values()]
    made = {matching.proposal(other, operator, takes): other for other in idle}
    wanted = (
        {"scale_factor": "factor", "align_corners": "corners"} if proposals is None else proposals
    )
    assert {n: t for n, t in made.items() if n} == wanted


def test_any_keyword_is_not_all_keywords() -> None:
    report = _ask(lambda x, **options: _relu(x))
    assert report.untried == ("its argument **options",)


def test_an_argument_that_always_has_one_value_is_not_tried() -> None:
    def theirs(x, kernel_size, stride, padding, dilation):
        if np.any(np.array(padding) != 0) or np.any(np.array(dilation) != 1):
            raise ValueError("no padding and no dilation")
        return ns.max_pool2d(x, kernel_size, stride)

    report = _ask(theirs, ns.max_pool2d, values=("integers",), cases=60)
    assert report
    assert any(
        words.startswith("padding other than 0") or "padding" in words for words in report.untried
    )
    assert any("dilation" in words for words in report.untried)
    assert "refuses" in report.verdict()


def test_calls_are_found_in_which_an_argument_matters() -> None:
    """ceil_mode was in 60 calls, and made no difference in any of them."""

    def theirs(x, kernel_size, stride, padding, dilation, ceil_mode):
        return ns.max_pool2d(x, kernel_size, stride, padding, dilation, True)

    report = _ask(theirs, ns.max_pool2d, values=("integers",), cases=10)
    assert not report


def test_gradients_that_are_not_given_are_not_tried() -> None:
    def backward(grad_y, x, weight, bias):
        _, saved = ns.linear.forward(x, weight, bias)
        return {"x": ns.linear.backward(saved, grad_y)[0]}

    report = _ask(ns.linear, ns.linear, backward=backward, values=("integers",))
    assert "the gradient of bias and weight (it gives none)" in report.untried


def test_a_dtype_that_is_always_refused_is_not_tried() -> None:
    def theirs(x):
        if x.dtype == np.float64:
            raise TypeError("float32 alone")
        return _relu(x)

    report = _ask(theirs)
    assert report
    assert "float64 arrays" in report.untried


# -- dtypes, arrays written to, memory shared -----------------------------------------------------


def _wide(x):
    return _relu(x).astype(np.float64)


def _in_place(x):
    x[x < 0] = 0
    return x.copy()


def _sometimes_itself(x):
    return x if (x > 0).all() else _relu(x)


_buffer = np.zeros(10**5)


def _one_buffer(x):
    y = _buffer[: x.size].reshape(x.shape)
    y[...] = _relu(x)
    return y if x.dtype == np.float64 else y.astype(np.float32)


_calls: list[int] = []


def _jitter(x):
    _calls.append(0)
    return _relu(x) * x.dtype.type(1 + len(_calls) % 2 * np.finfo(x.dtype).eps)


@pytest.mark.parametrize(
    ("theirs", "kind", "words"),
    [
        (
            lambda x: _relu(x).astype("f8"),
            "dtype",
            "y is float64, the definition gives float32",
        ),
        (_in_place, "write", "it writes to x"),
        (_sometimes_itself, "alias", "y lies in the memory of x"),
        (_one_buffer, "reuse", "y of a call is overwritten by the next call"),
        (_jitter, "change", "its results change from call to call"),
    ],
)
@pytest.mark.parametrize("isolate", [False, True])
def test_a_fault_is_part_of_the_verdict(theirs: Any, kind: str, words: str, isolate: bool) -> None:
    report = _ask(theirs, isolate=isolate, values=("integers", "reals"))
    assert not report
    assert list(_faults(report)) == [kind]
    assert words in _faults(report)[kind]
    assert words in report.verdict()
    assert "matches PyTorch, ONNX" in report.verdict()
    assert "ns.relu.reference(x=x)" in report.faults[0].snippet
    assert _ask(theirs, isolate=isolate, values=("integers", "reals"), allow=kind)


def test_a_number_of_pythons_has_no_dtype() -> None:
    def theirs(x, target):
        return float(ns.cross_entropy(x, target))

    fixed = {"reduction": "mean"}
    assert _ask(theirs, ns.cross_entropy, values=("integers", "reals"), fixed=fixed)


def test_what_batch_norm_is_meant_to_write_to_is_no_fault() -> None:
    def theirs(x, running_mean, running_var, training):
        y, mean, var = ns.batch_norm(
            x, running_mean, running_var, training=training, return_running=True, allow_single=True
        )
        if running_mean is not None and training:
            running_mean[:], running_var[:] = mean, var
        return y

    fixed = {"training": True, "allow_single": True}
    report = _ask(theirs, ns.batch_norm, values=("integers", "reals"), fixed=fixed)
    assert "write" not in _faults(report)


def test_gradients_write_to_nothing_either() -> None:
    def backward(grad_y, x):
        grad_y *= x > 0
        return grad_y.copy()

    report = _ask(ns.relu, backward=backward, values=("integers", "reals"))
    assert "it writes to grad_y" in _faults(report)["write"]


def test_a_function_that_only_now_and_then_deviates_is_reported_not_raised() -> None:
    rng = np.random.default_rng(0)

    def theirs(x):
        return _relu(x) + (rng.random() < 0.3)

    report = _ask(theirs, cases=40, values=("integers", "reals"))
    assert not report
    assert "change" in _faults(report)


# -- beyond arrays --------------------------------------------------------------------------------

needs_guards = pytest.mark.skipif(
    not (guarded.possible() and isolated.Isolated.possible()), reason="needs Linux with glibc"
)


def _reads_behind(x):
    if x.size > 1:
        ctypes.string_at(x.ctypes.data + x.nbytes, 1)
    return _relu(x)


def _reads_before(x):
    if x.size > 1:
        ctypes.string_at(x.ctypes.data - 1, 1)
    return _relu(x)


def _rewritten(address):
    """The byte that is there: what lies beyond belongs to malloc."""
    ctypes.memset(address, ctypes.string_at(address, 1)[0], 1)


def _writes_behind(x):
    y = np.array(_relu(x))
    if x.size > 1:
        _rewritten(y.ctypes.data + y.nbytes)
    return y


def _writes_before_x(x):
    if x.size > 1:
        _rewritten(x.ctypes.data - 1)
    return _relu(x)


@needs_guards
@pytest.mark.parametrize(
    ("theirs", "words"),
    [
        (_reads_behind, "it reads beyond the end of x"),
        (_reads_before, "it reads before the beginning of x"),
        (_writes_behind, "it writes beyond the end of an array of its own"),
        (_writes_before_x, "it writes before the beginning of x"),
    ],
)
def test_accesses_beyond_arrays_are_found(theirs: Any, words: str) -> None:
    assert _ask(theirs, isolate=True)  # nobody notices
    report = _ask(theirs, guard=True)
    assert not report
    assert list(_faults(report)) == ["beyond"]
    assert _faults(report)["beyond"].startswith(words)


@needs_guards
def test_entries_that_are_never_written_are_found() -> None:
    def theirs(x):
        y = np.empty_like(x)
        y.reshape(-1)[:-1] = _relu(x).reshape(-1)[:-1]
        return y

    report = _ask(theirs, guard=True)
    assert not report
    assert _faults(report)["unwritten"] == "entries of y are never written"

    def summed(x):
        y = np.empty((1, *x.shape), x.dtype)
        y += _relu(x)
        return y[0]

    words = _faults(_ask(summed, guard=True)).values()
    assert any("never written" in w or "change from call to call" in w for w in words)


def test_nothing_is_prepared_where_nothing_is_guarded(monkeypatch: pytest.MonkeyPatch) -> None:
    def never() -> None:
        raise AssertionError("not on every system")

    monkeypatch.setattr(guarded, "_memory", never)
    assert _ask(ns.relu)


@needs_guards
def test_correct_kernels_pass_beside_guards() -> None:
    assert _ask(lambda x: _relu(x), guard=True)
    assert _ask(ns.relu, guard=True)

    def conv(x, weight, bias, stride, padding):
        return ns.conv2d(x, weight, bias, stride, padding)

    assert _ask(conv, ns.conv2d, guard=True, values=("integers", "reals"))


# -- calls that do not return ---------------------------------------------------------------------

needs_forks = pytest.mark.skipif(
    not isolated.Isolated.possible(), reason="this system has no forks"
)


@needs_forks
def test_a_kernel_that_never_returns_is_given_up() -> None:
    started = time.monotonic()
    with pytest.raises(ns.ArgumentError) as raised:
        _ask(lambda x: time.sleep(60), isolate=True, timeout=0.3)
    assert time.monotonic() - started < 20
    said = str(raised.value)
    assert "gave up after 3 calls of relu without an answer" in said
    assert "no result within 0.3 seconds" in said
    assert "x = np." in said  # the call that hung
    assert "\n" not in said


@needs_forks
def test_one_that_hangs_now_and_then_is_given_up_later_and_that_is_said() -> None:
    def theirs(x):
        if x.ndim > 1:
            time.sleep(60)
        return _relu(x)

    report = _ask(theirs, isolate=True, timeout=0.3, cases=60)
    assert report
    (refusal,) = report.refusals
    assert refusal.refused.message == "no result within 0.3 seconds"
    assert "x = np." in refusal.snippet
    assert any("gave up after 8 calls that did not return" in words for words in report.untried)


@needs_forks
def test_a_call_that_hung_is_not_made_again_in_search_of_an_example() -> None:
    def theirs(x):
        if x.ndim == 3:
            time.sleep(60)
        return _relu(x) + 1

    started = time.monotonic()
    report = _ask(theirs, isolate=True, timeout=0.3, cases=30)
    assert not report
    assert time.monotonic() - started < 60


# -- what cannot be asked -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"fixed": {"aligned": "true"}}, "aligned must be True or False, got 'true'"),
        ({"fixed": {"algned": True}}, "roi_align has no parameter 'algned' (is it aligned?)"),
        ({"fixed": {"output_size": 0}}, "output_size must be at least 1, got 0"),
        ({"names": {"boxs": "boxes"}}, "has no argument 'boxs' (is it boxes?)"),
        ({"names": {"boxes": "bxes"}}, "no argument 'bxes'"),
        ({"names": {"boxes": "x", "x": "x"}}, "'x' is given twice"),
        ({"constants": {"mod": 1}}, "set: the function has no argument 'mod'"),
        ({"timeout": 1}, "timeout: a call is ended only in a process of its own"),
        ({"timeout": 0, "isolate": True}, "timeout must"),
        ({"ulps": -1}, "ulps must"),
        ({"allow": "aliases"}, "allow must be one of"),
        ({"dtypes": ()}, "dtypes must be some of float32, float64, got none"),
        ({"values": ()}, "values must be some of"),
    ],
)
def test_what_cannot_be_is_one_line_before_any_call(options: dict[str, Any], says: str) -> None:
    def theirs(x, boxes, output_size, spatial_scale):
        raise AssertionError("called")

    with pytest.raises(ns.ArgumentError) as raised:
        _ask(theirs, ns.roi_align, **options)
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_function_that_returns_nothing_is_refused_in_words() -> None:
    with pytest.raises(ns.ArgumentError, match="expected an array of real numbers, got NoneType"):
        _ask(lambda x: None)
