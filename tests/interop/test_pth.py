"""PyTorch's files: files that PyTorch 2.13 wrote, and files made by hand."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from files import (
    MACHINE,
    MAGIC,
    ORDERED,
    VERSION,
    integer,
    legacy,
    mapping,
    packed,
    pickle,
    storage,
    tensor,
    word,
    zipped,
)

from numseg.errors import ArgumentError, FileError
from numseg.interop import pth

FILES = Path(__file__).parent / "made_by_torch"
SIX = {"0": packed(range(6))}

EXPECTED = {
    "transposed": [[0, 3], [1, 4], [2, 5]],
    "half_of_it": [[6, 7, 8], [9, 10, 11]],
    "every_second": [1, 3, 5, 7, 9, 11],
    "parameter": [1.5],
    "float16": [0.5, 65504],
    "float64": [0.1],
    "int64": [-1, 2**40],
    "uint8": [0, 255],
    "bool": [True, False],
    "complex64": [1 - 2j],
    "empty": [],
    "number": 7,
    "bn.running_var": [2, 3],
    "bn.num_batches_tracked": 5,
}


@pytest.mark.parametrize("name", ["zip.pth", "legacy.pth"])
def test_files_that_pytorch_wrote(name):
    """``{"model": state dict, "epoch": 3, "args": ..., "optimizer": ...}``, in both formats."""
    arrays = pth.load(FILES / name)
    assert len(arrays) == 18
    for key, value in EXPECTED.items():
        assert arrays[key].tolist() == value, key
        assert arrays[key].flags.c_contiguous
        assert arrays[key].flags.writeable
    assert {arrays[n].dtype.name for n in ("float16", "float64", "int64", "uint8", "bool")} == {
        "float16", "float64", "int64", "uint8", "bool",
    }  # fmt: skip
    assert arrays["empty"].shape == (0, 3)
    assert arrays["number"].shape == ()
    assert arrays["bn.num_batches_tracked"].dtype == np.int64


@pytest.mark.parametrize("name", ["zip.pth", "legacy.pth"])
def test_bfloat16_is_widened_exactly(name):
    found = pth.load(FILES / name)["bfloat16"]
    assert found.dtype == np.float32
    # the largest bits of 3e38 in float32, 0x7f61b1e6, rounded to 16: 0x7f62
    bits = [0x3F800000, 0xC0200000, 0x7F620000]
    assert found[:3].view(np.uint32).tolist() == bits
    assert np.isnan(found[3])


def test_protocol_4_and_dtypes_without_a_storage_class():
    arrays = pth.load(FILES / "protocol4.pth")
    assert arrays["wide"].tolist() == [1, 2**40]
    assert arrays["wide"].dtype == np.uint64


def test_views_of_one_storage_are_arrays_of_their_own():
    arrays = pth.load(FILES / "zip.pth")
    arrays["half_of_it"][:] = -1
    assert arrays["every_second"].tolist() == [1, 3, 5, 7, 9, 11]
    twice = zipped(mapping({"a": tensor(), "b": tensor()}), SIX)
    arrays = pth.read(twice)
    arrays["a"][:] = -1
    assert arrays["b"].tolist() == [[0, 1, 2], [3, 4, 5]]


# -- which dict ---------------------------------------------------------------------------------


def test_keys():
    nested = {"a.weight": tensor(), "b": mapping({"weight": tensor((6,), (1,))})}
    content = zipped(mapping({"ema": mapping(nested), "epoch": b"K\x03"}), SIX)
    with pytest.raises(FileError, match=r"several dicts of tensors: 'ema' \(1\), 'ema.b' \(1\)"):
        pth.read(content)
    assert list(pth.read(content, "ema.b")) == ["weight"]
    assert list(pth.read(content, "ema")) == ["a.weight", "b.weight"]
    assert list(pth.read(content, "")) == ["ema.a.weight", "ema.b.weight"]
    with pytest.raises(FileError, match=r"no tensors under the key 'model': 'ema' \(1\), "):
        pth.read(content, "model")


def test_state_beside_a_dict_is_passed_over():
    """A module's state dict has an attribute ``_metadata``, which BUILD sets."""
    metadata = mapping({"_metadata": ORDERED})
    assert list(
        pth.read(zipped(ORDERED + b"(" + word("w") + tensor() + b"u" + metadata + b"b", SIX))
    ) == ["w"]


def test_files_of_python_2_and_pytorch_0_3():
    """An OrderedDict of a list of pairs, byte strings, _rebuild_tensor, Parameter with a state."""
    parameter = b"ctorch.nn.parameter\nParameter\n" + tensor(call="_rebuild_tensor") + b"\x85R"
    state = b"\x88\x89" + ORDERED + b"\x87b"
    pair = b"](U\x06weight" + parameter + state + b"e"
    value = b"ccollections\nOrderedDict\n](" + pair + b"e\x85R"
    assert pth.read(legacy(value, SIX))["weight"].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_views_of_storages():
    """PyTorch 0.3 saved storages that are part of another: (key, start, length)."""
    view = b"(" + word("1") + integer(2) + integer(3) + b"t"
    content = legacy(mapping({"w": tensor((3,), (1,), of=storage(view=view))}), SIX)
    assert pth.read(content)["w"].tolist() == [2, 3, 4]
    past = legacy(mapping({"w": tensor((4,), (1,), of=storage(view=view))}), SIX)
    with pytest.raises(FileError, match="reaches past its storage of 3 elements"):
        pth.read(past)


def test_big_endian_numbers():
    row = struct.pack(">6f", *range(6))
    found = pth.read(zipped(mapping({"w": tensor()}), {"0": row}, b"big"))["w"]
    assert found.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found.dtype.isnative
    half = zipped(
        mapping({"w": tensor((1,), (1,), kind="BFloat16Storage", numel=1)}),
        {"0": b"\x3f\xc0"},
        b"big",
    )
    assert pth.read(half)["w"].tolist() == [1.5]
    with pytest.raises(FileError, match="byte order b'middle'"):
        pth.read(zipped(mapping({"w": tensor()}), {"0": row}, b"middle"))


def test_compressed_entries():
    content = zipped(mapping({"w": tensor()}), SIX, compression=8)
    assert pth.read(content)["w"].tolist() == [[0, 1, 2], [3, 4, 5]]


# -- claims that the bytes do not keep -----------------------------------------------------------


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"shape": (2, 4)}, "overlap"),
        ({"shape": (7,), "strides": (1,)}, "reaches past its storage of 6 elements"),
        ({"shape": (3, 3)}, "reaches past its storage of 6 elements"),
        ({"offset": 1}, "reaches past its storage of 6 elements"),
        ({"offset": -1}, "offset -1"),
        ({"shape": (-2, 3)}, "none may be < 0"),
        ({"strides": (-3, 1)}, "none may be < 0"),
        ({"strides": (0, 1)}, "its elements overlap"),
        ({"strides": (1, 1)}, "its elements overlap"),
        ({"shape": (2,), "strides": (3, 1)}, "1 axes and 2 strides"),
        ({"shape": (1,) * 40, "strides": (1,) * 40}, "40 axes"),
        ({"shape": (2**62, 2**62), "strides": (2**62, 1)}, "no memory holds"),
        ({"shape": (0, 2**60), "strides": (1, 1)}, "no memory holds"),
        ({"numel": 7}, "has 24 bytes, but should have 7 elements of float32"),
        ({"numel": 2**62}, "has 24 bytes, but should have 4611686018427387904 elements"),
        ({"numel": -1}, "a storage of -1 elements"),
        ({"kind": "DoubleStorage"}, "should have 6 elements of float64"),
        ({"kind": "QInt8Storage"}, "wants 'torch.QInt8Storage'"),
        ({"key": "1"}, "has no entry 'a/data/1'"),
        ({"of": b"N"}, "makes a tensor of what is no storage"),
        ({"call": "_rebuild_qtensor"}, "wants 'torch._utils._rebuild_qtensor'"),
    ],
)  # fmt: skip
def test_claims_are_held_against_the_bytes(about, message):
    content = zipped(mapping({"w": tensor(**about)}), SIX)
    with pytest.raises(FileError, match=message) as error:
        pth.read(content)
    assert "\n" not in str(error.value)


def test_strides_without_meaning():
    """Of an axis of one element, or of a tensor of none, any stride will do."""
    content = zipped(
        mapping({"w": tensor((1, 6), (2**70, 1)), "e": tensor((0, 3), (9, 9), 7)}), SIX
    )
    arrays = pth.read(content)
    assert arrays["w"].tolist() == [[0, 1, 2, 3, 4, 5]]
    assert arrays["e"].shape == (0, 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle(mapping({"w": b"K\x01"})), "is a pickle, but none that torch.save wrote"),
        (MAGIC + pickle(b"M\xea\x03"), "format 1002, expected 1001"),
        (legacy(mapping({"w": tensor()}), {}), "lacks the storage '0'"),
        (legacy(mapping({"w": tensor()}), {"0": packed(range(7))}), "another size than it says"),
        (legacy(mapping({"w": tensor()}), SIX)[:-1], "ends before the last of its storages"),
        (legacy(mapping({"w": tensor()}), SIX | {"1": b""}), "lists the storage '1'"),
        (MAGIC + VERSION + MACHINE + pickle(mapping({"w": tensor()})) + pickle(b"N"), "no list"),
        (legacy(b"(" + word("module") + b"NNNtQ", {}), "a whole module: save its state_dict"),
        (zipped(tensor(), SIX), "holds one tensor, not a dict of them"),
        (zipped(mapping({"epoch": b"K\x03"}), SIX), "holds no tensors under names"),
        (b"\0" * 257 + b"ustar", "is of PyTorch before 0.2"),
    ],
)
def test_other_files(content, message):
    with pytest.raises(FileError, match=message):
        pth.read(content)


# -- writing --------------------------------------------------------------------------------------


def test_round_trip(tmp_path):
    kinds = ("f4", "f8", "f2", "i8", "i4", "i2", "i1", "u1", "?", "c8", "c16")
    arrays = {kind: np.arange(6).astype(kind).reshape(2, 3) for kind in kinds}
    arrays |= {"ä": np.arange(6.0).reshape(2, 3).T, "n": np.array(5), "e": np.zeros((0, 3))}
    pth.save(tmp_path / "w.pth", arrays | {"big": np.arange(3, dtype=">f4")})
    found = pth.load(tmp_path / "w.pth")
    assert list(found) == [*arrays, "big"]
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array, strict=True)
    assert found["big"].tolist() == [0, 1, 2]


def test_equal_arrays_give_equal_bytes_and_aligned_entries():
    arrays = {"a": np.ones(3, np.float32), "b": np.full((2, 2), 7.0)}
    content = pth.written(arrays)
    assert content == pth.written(dict(arrays))
    assert content.index(arrays["a"].tobytes()) % 64 == 0
    assert content.index(arrays["b"].tobytes()) % 64 == 0


def test_dtypes_that_pytorch_has_not():
    with pytest.raises(ArgumentError, match="w has dtype uint64, for which PyTorch has no storage"):
        pth.written({"w": np.ones(2, np.uint64)})
