"""Whole models: what is written, in ONNX Runtime; what is read, beside it; and after every node."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numseg as ns
from numseg import nets
from numseg.cli import main

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

sys.path.append(str(Path(__file__).parent.parent / "nets"))
from test_every_network import SMALL  # noqa: E402

from numseg.interop.onnx import difference, exported, load  # noqa: E402

pytestmark = pytest.mark.peers


def ort(model: Any, x: Any) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {session.get_inputs()[0].name: x})


@pytest.mark.parametrize("which", SMALL)
def test_every_network_in_onnx_runtime(which: str):
    arguments, size = SMALL[which]
    name = which.split(",")[0]
    make = getattr(nets, name)
    graph = make(**arguments) if name == "pnet" else make(3, 4, **arguments)
    rng = np.random.default_rng(1)
    params = graph.init(0)
    for array in params.values():  # no layer's start values are zeros
        if array.ndim == 4 and not array.any():
            array += rng.normal(0, 0.1, array.shape).astype(array.dtype)
    x = rng.standard_normal((1, 3, *size), dtype=np.float32)
    with ns.use("reference"):
        y = graph.run(params, x)
    for ours, theirs in zip(
        y if isinstance(y, tuple) else (y,), ort(exported(graph, params, [x]), x), strict=True
    ):
        assert np.abs(ours).max() > 0
        assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(ours).max()


@pytest.mark.parametrize("op", [ns.eq, ns.lt, ns.gt])
def test_comparisons_and_choices_in_onnx_runtime(op: Any):
    """Chosen by what is compared, by a product of two comparisons, and by a constant."""
    net = ns.graph.Graph.build()
    x, c = net.input("x"), net.param("c", (4,), ns.graph.zeros)
    mask = net.param("mask", (3, 1), ns.graph.zeros)
    y = net.add(op, x, c, name="y")
    both = net.add(ns.multiply, y, net.add(ns.lt, c, x))
    chosen = net.add(ns.where, both, x, net.add(ns.where, mask, c, y), name="chosen")
    graph = net.output(y, chosen)
    params = {"c": np.float32([0, 1, 2, np.nan]), "mask": np.float32([[0], [1], [2]])}
    x = np.float32([[0, 2, 1, 3], [np.nan, 1, 3, 0], [np.inf, 0, 2, 2]])
    found = ort(exported(graph, params, [x]), x)
    for ours, theirs in zip(graph.run(params, x), found, strict=True):
        assert theirs.dtype == np.float32
        np.testing.assert_array_equal(ours, theirs)


def small() -> Any:
    graph = nets.unet(3, 4, width=2, depth=1, padding="same")
    return exported(graph, graph.init(0), [(1, 3, 8, 12)])


X = np.random.default_rng(0).standard_normal((1, 3, 8, 12), dtype=np.float32)


def test_a_sound_model_agrees_after_every_node():
    found = difference(small(), {"x": X})
    assert found.first is None
    assert len(found.rows) == len(load(small())[0].nodes)
    assert f"all {len(found.rows)} values agree" in found.verdict


def test_the_node_is_found_where_a_runtime_errs():
    model = small()
    names = [node.output[0] for node in model.graph.node]
    wrong = names[4]

    def broken(proto: Any, names: Any, inputs: Any) -> Any:
        from numseg.interop.onnx.differing import _onnxruntime

        arrays = [np.array(a) for a in _onnxruntime(proto, names, inputs)]
        arrays[list(names).index(wrong)][0, 1, 2, 3] += 5
        return arrays

    found = difference(model, {"x": X}, runtime=broken)
    assert found.first is not None
    assert found.first.name == wrong
    assert found.first.runtime.at == (0, 1, 2, 3)
    assert found.first.runtime.value == pytest.approx(found.first.runtime.expected + 5, rel=1e-5)
    assert found.first.kernels.error < 1e-5
    assert f"{wrong} (" in found.verdict
    assert "ONNX Runtime by" in found.verdict
    assert "kernels by" not in found.verdict


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    onnx.save(small(), tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", X)
    given = [str(tmp_path / "m.onnx"), "--input", str(tmp_path / "x.npy")]
    assert main(["diff", *given, "--picture", str(tmp_path / "e.png"), "--all"]) == 0
    told = capsys.readouterr().out
    assert "values agree" in told
    assert (tmp_path / "e.png").read_bytes()[:4] == b"\x89PNG"
    assert main(["diff", *given, "--tolerance", "0"]) == 1
    assert "<- first" in capsys.readouterr().out
    assert main(["run", *given, "--out", str(tmp_path / "y.npy")]) == 0
    y = np.load(tmp_path / "y.npy")
    np.testing.assert_allclose(y, ort(small(), X)[0], atol=1e-5)
