"""Models that are broken or mean harm: one line, nothing run, nothing read from elsewhere."""

from __future__ import annotations

import os
import struct
import tracemalloc
from pathlib import Path
from typing import Any
from zlib import compress, crc32

import numpy as np
import pytest
from models import model, node, onnx

from numseg.cli import main
from numseg.errors import ArgumentError, FileError
from numseg.interop.onnx import load

WEIGHT = np.arange(6, dtype=np.float32).reshape(2, 3)


def plain() -> Any:
    return model([node("Add", "x w", "y")], {"x": ["n", 2, 3]}, w=WEIGHT)


def refused(source: Any, **how: Any) -> str:
    """The one line."""
    tracemalloc.start()
    try:
        with pytest.raises(FileError) as found:
            load(source, **how)
        assert tracemalloc.get_traced_memory()[1] < 2**25
    finally:
        tracemalloc.stop()
    assert "\n" not in str(found.value)
    return str(found.value)


def test_the_plain_model_is_read():
    graph, params = load(plain())
    x = np.ones((1, 2, 3), np.float32)
    assert (graph.run(params, x) == WEIGHT + 1).all()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_cut_off(share: float, tmp_path: Path):
    content = plain().SerializeToString()
    (tmp_path / "m.onnx").write_bytes(content[: int(len(content) * share)])
    refused(tmp_path / "m.onnx")


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n", b"not a model at all", bytes(100)])
def test_something_else(content: bytes, tmp_path: Path):
    (tmp_path / "m.onnx").write_bytes(content)
    assert "m.onnx: is no ONNX model" in refused(tmp_path / "m.onnx")


def test_no_such_file(tmp_path: Path):
    assert refused(tmp_path / "m.onnx").endswith("m.onnx: no such file")


@pytest.mark.parametrize("raw", [True, False])
def test_a_tensor_claims_more_than_it_holds(raw: bool):
    broken = plain()
    tensor = broken.graph.initializer[0]
    if not raw:
        tensor.ClearField("raw_data")
        tensor.float_data.extend([1.0, 2.0])
    tensor.dims[:] = [2**20, 2**20]
    claimed = "4398046511104 bytes" if raw else "1099511627776 numbers"
    assert f"'w' has shape (1048576, 1048576), {claimed}, but holds " in refused(broken)
    tensor.dims[:] = [2, -3]
    assert "'w' has shape (2, -3)" in refused(broken)


@pytest.mark.parametrize("type", ["ConstantOfShape", "Expand", "Tile", "Range"])
def test_arithmetic_that_makes_too_much(type: str):
    nodes = {
        "ConstantOfShape": node("ConstantOfShape", "big", "a"),
        "Expand": node("Expand", "w big", "a"),
        "Tile": node("Tile", "w many", "a"),
        "Range": node("Range", "zero end one", "a"),
    }
    made = model(
        [nodes[type], node("Add", "x a", "y")], {"x": [2, 3]}, w=WEIGHT,
        big=np.array([2**20, 2**20, 1]), many=np.array([2**20, 2**20]), zero=np.array(0),
        end=np.array(2**40), one=np.array(1),
    )  # fmt: skip
    assert f"{type}_1 ({type}): makes " in refused(made)


def test_doubling_sixty_times_is_no_work():
    """Shape arithmetic whose every step reads the one before twice."""
    steps = [node("Shape", "x", "s0")]
    steps += [node("Min", f"s{j} s{j}", f"s{j + 1}") for j in range(60)]
    made = model([*steps, node("Reshape", "x s60", "y")], {"x": ["h", "w"]}, x0=WEIGHT)
    graph, params = load(made)
    assert graph.run(params, WEIGHT).shape == (2, 3)


def test_cycles_and_disorder():
    nodes = [node("Add", "x b", "a"), node("Relu", "a", "b"), node("Relu", "b", "y")]
    told = refused(model(nodes, {"x": [2]}))
    assert "'Add_1' reads 'b', which node 'Relu_1' makes, itself or later: a cycle" in told
    assert "itself or later" in refused(model([node("Add", "x y", "y")], {"x": [2]}))


def test_duplicate_names():
    nodes = [node("Relu", "x", "y"), node("Abs", "x", "y")]
    assert "'Abs_1' makes 'y', which exists already" in refused(model(nodes, {"x": [2]}))
    twice = plain()
    twice.graph.initializer.append(twice.graph.initializer[0])
    assert "two constants have the name 'w'" in refused(twice)


def test_missing_values():
    assert "reads 'q', which nothing makes" in refused(model([node("Add", "x q", "y")], {"x": [2]}))
    made = model([node("Relu", "x", "z")], {"x": [2]})
    assert "the output 'y' is made by no node" in refused(made)


@pytest.mark.parametrize("opset", [0, 6, 10**6])
def test_opsets(opset: int):
    made = model([node("Relu", "x", "y")], {"x": [2]}, opset=opset)
    assert f"is of opset {opset}, expected 7 to " in refused(made)


def test_dtypes():
    made = plain()
    made.graph.initializer[0].data_type = onnx.TensorProto.BFLOAT16
    assert "'w' has ONNX's dtype 16" in refused(made)
    half = model([node("Relu", "x", "y")], {"x": [2]}, dtype=np.float16)
    assert "Relu_1 (Relu): relu: x has dtype float16, expected float32 or float64" in refused(half)


def test_inputs_of_runs_are_checked():
    graph, params = load(plain())
    with pytest.raises(
        ArgumentError, match=r"x has shape \(1, 2, 4\), the model takes \(any, 2, 3"
    ):
        graph.run(params, np.zeros((1, 2, 4), np.float32))
    with pytest.raises(ArgumentError, match="x has dtype int64, the model takes float32"):
        graph.run(params, np.zeros((1, 2, 3), np.int64))
    with pytest.raises(ArgumentError, match="the graph takes 1 input"):
        graph.run(params)


def outside(location: str, folder: Path, **more: str) -> Path:
    """A model whose weights lie in another file."""
    made = plain()
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": location, **more}.items():
        tensor.external_data.add(key=key, value=value)
    folder.mkdir(exist_ok=True)
    (folder / "m.onnx").write_bytes(made.SerializeToString())
    return folder / "m.onnx"


def test_numbers_in_another_file(tmp_path: Path):
    path = outside("w.bin", tmp_path / "m", offset="8")
    (tmp_path / "m" / "w.bin").write_bytes(bytes(8) + WEIGHT.tobytes())
    _, params = load(path)
    assert (params["w"] == WEIGHT).all()
    with pytest.raises(FileError, match="load it by its path"):
        load(onnx.load(path, load_external_data=False))


@pytest.mark.parametrize("where", ["../secret", "a/../../secret", "/etc/hostname", "", "link"])
def test_nothing_is_read_from_elsewhere(where: str, tmp_path: Path):
    (tmp_path / "secret").write_bytes(WEIGHT.tobytes())
    path = outside(where, tmp_path / "m")
    os.symlink(tmp_path / "secret", tmp_path / "m" / "link")
    assert "outside of the model's folder" in refused(path)


def test_a_folder_that_is_a_link_elsewhere(tmp_path: Path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "w").write_bytes(WEIGHT.tobytes())
    path = outside("near/w", tmp_path / "m")
    os.symlink(tmp_path / "far", tmp_path / "m" / "near")
    assert "outside of the model's folder" in refused(path)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"offset": "8"}, "ends at byte 32 of w.bin, which has 24"),
        ({"offset": "-8"}, "from byte -8 on"),
        ({"length": str(2**40)}, "needs 24 bytes, but says 1099511627776"),
        ({"offset": "x"}, "are no integers"),
    ],
)
def test_other_places_in_the_file(more: dict[str, str], told: str, tmp_path: Path):
    path = outside("w.bin", tmp_path / "m", **more)
    (tmp_path / "m" / "w.bin").write_bytes(WEIGHT.tobytes())
    assert told in refused(path)


def test_all_that_is_not_supported_is_one_error():
    nodes = [
        node("Relu", "x", "a"),
        onnx.helper.make_node("Fused", ["a"], ["b"], name="f", domain="com.acme"),
        node("Hardmax", "a", "c"),
        node("Add", "b c", "y"),
    ]
    told = refused(model(nodes, {"x": [2, 3]}))
    assert told.startswith("2 nodes are not supported: f (Fused): is of the domain com.acme; ")
    assert told.endswith("Hardmax_1 (Hardmax): there is no operator for it")


def branch(nodes: list[Any], gives: str) -> Any:
    return onnx.helper.make_graph(
        nodes, "b", [], [onnx.helper.make_empty_tensor_value_info(gives)],
        [onnx.numpy_helper.from_array(WEIGHT, f"{gives}_w")],
    )  # fmt: skip


def test_graphs_within_graphs():
    """Nothing is looked at in a branch that is not taken but its names."""
    taken = branch([node("Relu", "x", "a")], "a")
    other = branch([onnx.helper.make_node("Fused", ["x"], ["b"], domain="com.acme")], "b")
    made = node("If", "c", "y", then_branch=taken, else_branch=other)
    load(model([made], {"x": [2]}, c=np.array(True)))
    told = refused(model([made], {"x": [2]}, c=np.array(False)))
    assert told.endswith("b (Fused): is of the domain com.acme")
    test = [node("Less", "x x", "c"), made]
    assert "If_1 (If): its condition is computed" in refused(model(test, {"x": [1]}))
    loop = onnx.helper.make_graph(
        [node("Relu", "x", "z")], "i",
        [onnx.helper.make_empty_tensor_value_info(n) for n in ("k", "go")],
        [onnx.helper.make_empty_tensor_value_info(n) for n in ("go", "z")],
    )  # fmt: skip
    made = node("Loop", "many _", "y", body=loop)
    told = refused(model([made], {"x": [2]}, many=np.array(2**40)))
    assert "Loop_1 (Loop): its attribute body is a graph" in told


@pytest.mark.parametrize(
    ("nodes", "gives", "told"),
    [
        ([node("Add", "x q", "a")], "a", "reads 'q', which nothing makes"),
        ([node("Add", "x a", "a")], "a", "itself or later: a cycle"),
        ([node("Relu", "x", "x")], "x", "makes 'x', which exists already"),
        ([node("Relu", "x", "a")], "z", "gives 'z', which nothing makes"),
        ([node("Relu", "x", "c")], "c", "makes 'c', which exists already"),
        ([node("Relu", "y", "a")], "a", "reads 'y', which nothing makes"),
    ],
)
def test_names_in_branches(nodes: list[Any], gives: str, told: str):
    made = node("If", "c", "y", then_branch=branch(nodes, gives), else_branch=branch([], "x"))
    assert told in refused(model([made], {"x": [2]}, c=np.array(True)))


def test_branches_in_branches():
    inner = branch([node("Relu", "x", "a0")], "a0")
    for depth in range(1, 20):
        other = branch([], "x")
        made = node("If", "c", f"a{depth}", then_branch=inner, else_branch=other)
        inner = branch([made], f"a{depth}")
        found = model([node("If", "c", "y", then_branch=inner, else_branch=other)], {"x": [2]},
                      c=np.array(True))  # fmt: skip
        if depth == 3:
            graph, params = load(found)
            assert graph.run(params, np.float32([-1, 1])).tolist() == [0, 1]
    assert "graphs lie in each other, 17 deep" in refused(found)


def png(rows: int, columns: int, content: bytes) -> bytes:
    """A grey picture that says so of its size, whatever it holds."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc32(kind + data))

    head = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    parts = (b"IHDR", head), (b"IDAT", compress(content)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (png(40000, 40000, bytes(1000)), "decompression bomb"),
        (png(40, 40, bytes(range(256)) * 7)[:100], "m.png"),
        (b"\x89PNG\r\n\x1a\n", "m.png"),
    ],
)
@pytest.mark.parametrize("command", ["run", "diff"])
def test_pictures_that_are_none_or_too_large(
    command: str, content: bytes, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    pytest.importorskip("onnxruntime") if command == "diff" else None
    made = model([node("Relu", "x", "y")], {"x": [1, 1, "h", "w"]})
    (tmp_path / "m.onnx").write_bytes(made.SerializeToString())
    (tmp_path / "m.png").write_bytes(content)
    argv = [command, str(tmp_path / "m.onnx"), "--input", str(tmp_path / "m.png")]
    tracemalloc.start()
    try:
        assert main(argv + ["--out", str(tmp_path / "y.npy")] * (command == "run")) == 2
        assert tracemalloc.get_traced_memory()[1] < 2**26
    finally:
        tracemalloc.stop()
    shown = capsys.readouterr().err.strip()
    assert told in shown
    assert "\n" not in shown
    assert not (tmp_path / "y.npy").exists()
