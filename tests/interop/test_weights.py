"""The one door: files by their content, arrays to a graph."""

from __future__ import annotations

import pickle
import time

import numpy as np
import pytest
from files import blob, field, layer, legacy, mapping, packed, tensor, zipped

import numseg as ns
from numseg.graph import he_normal, zeros
from numseg.interop import npz, pth, weights

SIX = {"0": packed(range(6))}
ARRAYS = {"conv.weight": np.arange(8, dtype=np.float32).reshape(2, 1, 2, 2), "n": np.array(3)}


def graph(layers: int = 1) -> ns.Graph:
    """Convolutions of one channel under torch's names."""
    net = ns.Graph.build()
    h = net.input("x")
    for number in range(layers):
        name = f"layer{number // 10}.{number % 10}.conv"
        w = net.param(f"{name}.weight", (1, 1, 1, 1), he_normal)
        h = net.add(ns.conv2d, h, w, net.param(f"{name}.bias", (1,), zeros), name=name)
    return net.output(h)


# -- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".safetensors", ".npz", ".pth", ".pt", ".PTH"])
def test_what_is_written_is_read(ending, tmp_path):
    path = tmp_path / f"w{ending}"
    weights.save(path, ARRAYS)
    found = weights.load(path)
    assert sorted(found) == sorted(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array, strict=True)
        assert found[name].flags.writeable
    first = path.read_bytes()
    weights.save(path, ARRAYS)
    assert path.read_bytes() == first
    path.rename(tmp_path / "w.bin")  # its name says nothing
    assert sorted(weights.load(tmp_path / "w.bin")) == sorted(ARRAYS)


def test_numpy_reads_what_is_written_and_the_other_way(tmp_path):
    weights.save(tmp_path / "w.npz", ARRAYS)
    with np.load(tmp_path / "w.npz") as theirs:
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(theirs[name], array, strict=True)
    columns = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    np.savez_compressed(tmp_path / "t.npz", columns=columns, big=np.arange(3, dtype=">i4"))
    found = npz.load(tmp_path / "t.npz")
    assert found["columns"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found["columns"].flags.c_contiguous
    assert found["big"].tolist() == [0, 1, 2]
    assert found["big"].dtype.isnative
    with pytest.raises(ns.ArgumentError, match="words has dtype object"):
        npz.save(tmp_path / "o.npz", {"words": np.array(["a", None], object)})


def test_each_kind_is_known_by_its_content(tmp_path):
    caffe = field(1, "net") + layer("a", "PReLU", blob([1], 1))
    for kind, content in {
        "pth": zipped(mapping({"w": tensor()}), SIX),
        "caffemodel": caffe,
        "npz": npz.written(ARRAYS),
    }.items():
        assert weights.kind_of(content) == kind
    assert weights.kind_of(legacy(mapping({"w": tensor()}), SIX)) == "pth"
    assert weights.kind_of(caffe[5:]) == "caffemodel"  # a network without a name


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!DOCTYPE html><html>", r"begins with b'<!DOCTYPE html><', expected PyTorch's .pth"),
        (b"", r"begins with b''"),
        (b"\x89HDF\r\n\x1a\n", "begins with"),
        (b"PK\x03\x04 and no more", "is a damaged zip file"),
    ],
)
def test_other_files_are_refused(content, message, tmp_path):
    path = tmp_path / "w.pth"
    path.write_bytes(content)
    with pytest.raises(ns.FileError, match=rf"w.pth: {message}"):
        weights.load(path)


def test_wrong_paths_and_arguments(tmp_path):
    with pytest.raises(ns.FileError, match=r"none.pth: no such file$"):
        weights.load(tmp_path / "none.pth")
    with pytest.raises(ns.FileError, match="is a folder, not a file"):
        weights.load(tmp_path)
    with pytest.raises(ns.ArgumentError, match=r"ending must be one of '.safetensors', .* '.h5'"):
        weights.save(tmp_path / "w.h5", ARRAYS)
    with pytest.raises(ns.ArgumentTypeError, match="names must be words, got 3"):
        weights.save(tmp_path / "w.npz", {3: np.ones(1)})  # type: ignore[dict-item]
    weights.save(tmp_path / "w.npz", ARRAYS)
    with pytest.raises(ns.ArgumentError, match="key is for PyTorch's files, but this one is a npz"):
        weights.load(tmp_path / "w.npz", "model")


# -- graphs -------------------------------------------------------------------------------------


def good(net: ns.Graph) -> dict[str, np.ndarray]:
    return {name: array.astype(np.float16) for name, array in net.init().items()}


def test_match_widens_and_orders():
    net = graph(2)
    arrays = dict(reversed(good(net).items())) | {"bn.num_batches_tracked": np.array(5)}
    params = weights.match(net, arrays)
    assert list(params) == [param.name for param in net.params]
    assert {array.dtype for array in params.values()} == {np.dtype(np.float32)}
    for name, array in params.items():
        np.testing.assert_array_equal(array, arrays[name])
    wide = {**arrays, "layer0.0.conv.bias": np.array([0.1])}
    assert {a.dtype for a in weights.match(net, wide).values()} == {np.dtype(np.float64)}
    narrow = weights.match(net, wide, dtype=np.float32)
    assert narrow["layer0.0.conv.bias"].dtype == np.float32
    with pytest.raises(ns.ArgumentTypeError, match=r"layer0.0.conv.bias has dtype int64"):
        weights.match(net, {**arrays, "layer0.0.conv.bias": np.array([1])})
    with pytest.raises(ns.ArgumentTypeError, match="dtype has dtype float16"):
        weights.match(net, arrays, dtype=np.float16)


def test_match_renames_drops_and_fills():
    net = graph(1)
    start = net.init()
    module = {f"module.{name}": array for name, array in start.items()} | {
        "head.weight": np.ones(3)
    }
    with pytest.raises(ns.MismatchError, match="2 missing, 3 unexpected"):
        weights.match(net, module)
    strip = weights.match(net, module, rename=lambda n: n.removeprefix("module."), drop=["head.*"])
    assert list(strip) == list(start)
    names = {"a": "layer0.0.conv.weight", "b": "layer0.0.conv.bias"}
    arrays = {"a": start["layer0.0.conv.weight"], "b": start["layer0.0.conv.bias"]}
    assert list(weights.match(net, arrays, rename=names)) == list(start)
    with pytest.raises(ns.MismatchError, match="two arrays are renamed to x, one of them b"):
        weights.match(net, arrays, rename=lambda name: "x")
    some = {"layer0.0.conv.bias": np.full(1, 7, np.float32)}
    filled = weights.match(net, some, fill=start)
    assert filled["layer0.0.conv.bias"] == 7
    assert filled["layer0.0.conv.weight"] is start["layer0.0.conv.weight"]
    with pytest.raises(ns.MismatchError, match=r"unexpected parameter layer0\.0\.conv\.bia "):
        weights.match(net, {"layer0.0.conv.bia": start["layer0.0.conv.bias"]}, fill=start)


def test_an_error_lists_all_names_with_the_nearest():
    net = graph(150)
    arrays = {f"module.{name}": array for name, array in net.init().items()}
    arrays["layer0.0.conv.bias"] = np.ones(2)
    del arrays["module.layer0.0.conv.bias"]
    start = time.process_time()
    with pytest.raises(ns.MismatchError) as error:
        weights.match(net, arrays)
    assert time.process_time() - start < 10  # half a second, on a machine at rest
    lines = str(error.value).splitlines()
    assert lines[0] == (
        "300 parameters expected, 300 given: 299 missing, 299 unexpected, 1 misshapen "
        "(given names begin with 'module.', expected ones do not):"
    )
    assert lines[1] == "  parameter layer0.0.conv.bias has shape (2,), expected (1,);"
    missing = (
        "  missing parameter layer0.1.conv.weight (1, 1, 1, 1) (is it module.layer0.1.conv.weight"
    )
    assert sum(line.startswith(missing) for line in lines) == 1
    assert len(lines) == 600
    assert pickle.loads(pickle.dumps(error.value)).args == error.value.args


def test_few_names_are_one_line():
    net = graph(1)
    arrays = {"layer0.0.conv.weigth": net.init()["layer0.0.conv.weight"]}
    with pytest.raises(ns.MismatchError) as error:
        weights.match(net, arrays)
    assert str(error.value) == (
        "missing parameter layer0.0.conv.weight (1, 1, 1, 1) (is it layer0.0.conv.weigth?); "
        "missing parameter layer0.0.conv.bias (1,); "
        "unexpected parameter layer0.0.conv.weigth (1, 1, 1, 1) (is it layer0.0.conv.weight?)"
    )


def test_names_that_a_terminal_would_obey():
    net = graph(1)
    with pytest.raises(ns.MismatchError) as error:
        weights.match(net, net.init() | {"\x1b[2J\n": np.ones(1)})
    assert str(error.value) == r"unexpected parameter \x1b[2J\n (1,)"


def test_reading_runs_nothing(run_script):
    """Python reports every import, compilation and call that a pickle makes to its audit hooks."""
    content = zipped(b"cantigravity\nsystem\n)R", SIX)
    good = zipped(mapping({"w": tensor()}), SIX)
    run_script(f"""
import sys
from numseg.errors import FileError
from numseg.interop import weights
weights.read({good!r})  # what is imported late is imported now
heard = []
sys.addaudithook(lambda event, args: heard.append((event, args)))
try:
    weights.read({content!r})
except FileError as error:
    assert "wants 'antigravity.system'" in str(error)
else:
    raise SystemExit("it was read")
weights.read({good!r})
events = {{event for event, _ in heard}}
assert not events & {{"pickle.find_class", "import", "exec", "compile", "os.system"}}, heard
assert "antigravity" not in sys.modules
import pickle
try:
    pickle.loads(b"\\x80\\x02cantigravity_\\nsystem\\n)R.")
except ImportError:
    pass
assert "pickle.find_class" in {{event for event, _ in heard}}  # the hook hears it
""")


def test_pth_equals_its_own_reader(tmp_path):
    path = tmp_path / "w.pth"
    pth.save(path, ARRAYS)
    assert weights.load(path)["n"] == pth.load(path)["n"] == 3
