"""conformance of PyTorch, torchvision, ONNX's reference evaluator and ONNX Runtime, live."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import numseg as ns
from numseg.testing import conformance, conventions, peers

pytestmark = pytest.mark.peers
PACKAGES = {"onnx": ["onnx"], "ort": ["onnx", "onnxruntime"]}


def _ask(target: str, op: Any, cases: int = 60, **options: Any) -> Any:
    for package in PACKAGES.get(target.partition(":")[0], [re.split("[.:]", target)[0]]):
        pytest.importorskip(package)
    usual = conventions.peers_of(op)[target]
    return conformance(
        peers.load(target, op), op, name=target, cases=cases, isolate=True, **usual | options
    )


FUNCTIONAL = "torch.nn.functional"


@pytest.mark.parametrize(
    ("target", "op", "named"),
    [
        (f"{FUNCTIONAL}:relu", ns.relu, "PyTorch, ONNX"),
        (f"{FUNCTIONAL}:max_pool2d", ns.max_pool2d, "PyTorch"),
        (f"{FUNCTIONAL}:avg_pool2d", ns.avg_pool2d, "PyTorch"),
        (f"{FUNCTIONAL}:batch_norm", ns.batch_norm, "PyTorch"),
        (f"{FUNCTIONAL}:softmax", ns.softmax, ""),
        (f"{FUNCTIONAL}:interpolate", ns.upsample_bilinear2d, "PyTorch"),
        ("torchvision.ops:roi_pool", ns.roi_pool, "torchvision, Caffe"),
        ("onnx:Softmax", ns.softmax, ""),
        ("ort:AveragePool", ns.avg_pool2d, "PyTorch"),
        ("onnx:BatchNormalization", ns.batch_norm, "ONNX 15"),
        ("ort:BatchNormalization", ns.batch_norm, "ONNX 15"),
        ("ort:MaxPool", ns.max_pool2d, "PyTorch"),  # but for NaN, and windows without a pixel
        ("ort:GlobalAveragePool", ns.global_avg_pool2d, "ONNX"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_conforms_with_a_convention_of_its_name(target: str, op: Any, named: str) -> None:
    # only a dilated window can lie beside all pixels: ONNX Runtime gives the lowest float then
    fixed = {"fixed": {"dilation": (1, 1)}} if target == "ort:MaxPool" else {}
    report = _ask(target, op, values=("integers", "reals"), **fixed)
    assert report, str(report)
    assert any(name.startswith(named) for name in report.named or [""])


@pytest.mark.parametrize(
    ("target", "op"),
    [
        ("torchvision.ops:roi_align", ns.roi_align),
        ("onnx:RoiAlign", ns.roi_align),
        ("ort:RoiAlign", ns.roi_align),
        (f"{FUNCTIONAL}:conv2d", ns.conv2d),
        (f"{FUNCTIONAL}:conv_transpose2d", ns.conv_transpose2d),
        ("onnx:Conv", ns.conv2d),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_conforms_but_for_empty_arrays_and_what_is_no_number(target: str, op: Any) -> None:
    report = _ask(target, op, cases=120)
    assert report.aspects["ordinary"][0] == 0, str(report)
    assert report.aspects["ordinary"][1] > 0


def test_an_implementation_that_settles_a_convention_is_named() -> None:
    pytest.importorskip("torchvision")
    align = peers.load("torchvision.ops:roi_align", ns.roi_align)

    def detectron2(input, boxes, output_size, spatial_scale, sampling_ratio):
        return align(input, boxes, output_size, spatial_scale, sampling_ratio, True)

    ask = {"cases": 60, "arrays": "torch", "values": ("integers", "reals"), "isolate": True}
    report = conformance(detectron2, ns.roi_align, **ask)
    assert "detectron2 aligned=True" in report.named
    assert report.aspects["ordinary"][0] == 0


def test_torch_is_found_to_be_wanted() -> None:
    torch = pytest.importorskip("torch")

    def theirs(x):
        return x.clamp(min=torch.tensor(0.0))

    report = conformance(theirs, ns.relu, cases=20)
    assert report
    assert report.arrays == "torch"


def test_autograd_is_compared() -> None:
    assert _ask("torch:sigmoid", ns.sigmoid, gradient=True)
    ask = {"gradient": True, "values": ["reals"]}
    report = _ask(f"{FUNCTIONAL}:max_unpool2d", ns.max_unpool2d, **ask)
    assert "PyTorch" in report.named
    true = {"duplicates": "last"}  # every copy of a switch gets a gradient from PyTorch
    report = _ask(f"{FUNCTIONAL}:max_unpool2d", ns.max_unpool2d, fixed=true, **ask)
    assert report.deviations[0].part == "gradient of x"


def test_onnx_reference_averages_a_last_window_wrongly() -> None:
    """With ceil_mode: the last window, which reaches beyond the image."""
    report = _ask("onnx:AveragePool", ns.avg_pool2d, values=("integers",), cases=120)
    assert not report
    assert "ceil_mode=True" in report.deviations[0].snippet


def test_onnx_reference_finds_a_zero_in_a_window_without_pixels() -> None:
    """A dilated window may straddle a small image; PyTorch gives -inf there."""
    pytest.importorskip("onnx")
    x = np.zeros((1, 1, 1, 1), np.float32)
    window = {"kernel_size": (3, 1), "padding": (3, 0), "dilation": (2, 1)}
    theirs = peers.load("onnx:MaxPool", ns.max_pool2d)(x=x, stride=None, ceil_mode=False, **window)
    theirs = theirs[0] if isinstance(theirs, (tuple, list)) else theirs
    assert np.ravel(theirs).tolist()[0] == 0
    assert ns.max_pool2d(x, **window).ravel().tolist()[0] == -np.inf


def test_torchs_max_pool2d_spoils_the_heap_where_windows_straddle_the_image() -> None:
    """A dilated window without a pixel has an index beyond the plane, and its backward writes
    there."""
    torch = pytest.importorskip("torch")
    x, functional = torch.zeros(1, 1, 1, 5), torch.nn.functional
    window = {"kernel_size": (2, 3), "padding": (1, 1), "dilation": (2, 1)}
    y, indices = functional.max_pool2d(x, **window, return_indices=True)
    assert (y == -np.inf).all()
    assert (indices >= x.numel()).any()
    ours, switches = ns.max_pool2d(x.numpy(), **window, return_indices=True)
    np.testing.assert_array_equal(ours, y.numpy())
    assert (switches == -1).all()
