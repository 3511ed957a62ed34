"""Files that mean harm: nothing is run, nothing but a FileError is raised, memory stays bounded."""

from __future__ import annotations

import io
import os
import pickle as pythons
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from files import (
    ORDERED,
    blob,
    field,
    integer,
    layer,
    legacy,
    mapping,
    old_blob,
    old_layer,
    packed,
    pickle,
    tensor,
    varint,
    word,
    zipped,
)
from hypothesis import given
from hypothesis import strategies as st

from numseg.errors import FileError
from numseg.interop import pth, safetensors, weights

FILES = Path(__file__).parent / "made_by_torch"
SIX = {"0": packed(range(6))}
MEGABYTE = 2**20


def read(content: bytes, most: int = 4 * MEGABYTE) -> dict[str, np.ndarray] | FileError:
    """What a reader makes of it, having taken no more memory than this: arrays or a FileError."""
    tracemalloc.start()
    try:
        return weights.read(content)
    except FileError as error:
        return error
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < most + 40 * len(content), f"{peak} bytes for a file of {len(content)}"


def refused(content: bytes, most: int = 4 * MEGABYTE) -> str:
    """The one line of the error."""
    found = read(content, most)
    assert isinstance(found, FileError)
    assert "\n" not in str(found)
    return str(found)


# -- nothing is run -----------------------------------------------------------------------------


class Harm:
    """What ``pickle`` would run: it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("form", ["zip", "legacy", "sole"])
def test_a_pickle_s_call_is_not_made(form, protocol, tmp_path):
    value = pythons.dumps({"w": Harm(tmp_path / "harm")}, protocol)
    content = {
        "zip": zipped(value[2:-1], SIX),
        "legacy": legacy(value[2:-1], SIX),
        "sole": value,
    }[form]
    error = refused(content)
    assert "wants 'posix.mkdir'" in error
    assert "nothing was run" in error
    assert not (tmp_path / "harm").exists()
    pythons.loads(value)  # the test's own premise: Python's pickle does it
    assert (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    "name",
    ["os system", "builtins eval", "builtins exec", "torch load", "numpy.core.multiarray scalar",
     "torch.storage _load_from_bytes", "collections OrderedDict.update", "collections deque"],
)  # fmt: skip
def test_names_that_are_not_of_a_state_dict(name):
    module, what = name.split()
    content = zipped(f"c{module}\n{what}\n".encode() + word("ls") + b"\x85R", SIX)
    assert f"wants '{module}.{what}'" in refused(content)


@pytest.mark.parametrize(
    "value",
    [
        b"ctorch\nFloatStorage\n)R",  # a dtype, called
        b"N)R",
        b"ccollections\nOrderedDict\nNR",  # arguments that are no tuple
        b"ccollections\nOrderedDict\nN\x85R",
        b"ccollections\nOrderedDict\nNN\x86R",
        b"ccollections\nOrderedDict\n](K\x01K\x02e\x85R",
        b"ctorch._utils\n_rebuild_tensor_v2\n)R",
        b"ctorch._utils\n_rebuild_parameter\nN\x85R",
        b"ccollections\nOrderedDict\n" + ORDERED + b"b",  # a function, given state
        b"]Nb",
        b"NQ",
        b"(tQ",
        word("0") + b"Q",
        b"i" + b"os\nsystem\n",  # INST
        b"(ios\nsystem\n",
        b"(cos\nsystem\no",  # OBJ
        b"\x82\x01",  # EXT1
        b"P0\n",
        b"}" + b"]" + b"Ns",  # a list as a key
        b"}(](" + b"e" + b"Nu",
        b"})Ns",  # a tuple as a key
        b"}(Nu",
        b"Ns",
        b"h\x00",
        b"q\x00",
        b"(q\x00",
        b"t",
        b"0",
        b"NN",  # two objects
        b"X\xff\xff\xff\x7f",
        b"X\x02\x00\x00\x00\xff\xff",
        b"\x8d" + b"\xff" * 8,
        b"\x95" + b"\xff" * 8 + b"N",
        b"\x93",
        b"NN\x93",
        b"cos\n",
        b"",
    ],
)  # fmt: skip
def test_malformed_pickles(value):
    refused(zipped(value, SIX))
    refused(legacy(value, SIX))


# -- memory -------------------------------------------------------------------------------------


def test_one_storage_over_and_over():
    """A thousand tensors of one storage would be a thousand times its size."""
    row = b"\0" * MEGABYTE
    about = {"shape": (len(row),), "strides": (1,), "kind": "ByteStorage", "numel": len(row)}
    many = mapping({f"w{number}": tensor(**about) for number in range(1000)})
    error = refused(zipped(many, {"0": row}))
    assert "more than 32 times the size of the file" in error


def test_a_zip_bomb():
    row = b"\0" * (64 * MEGABYTE)
    about = {"shape": (len(row),), "strides": (1,), "kind": "ByteStorage", "numel": len(row)}
    content = zipped(mapping({"w": tensor(**about)}), {"0": row}, compression=8)
    error = refused(content, 200 * MEGABYTE)  # inflated once, refused before a copy
    assert "more than 32 times the size of the file" in error


def test_dicts_that_hold_themselves():
    itself = b"}q\x00(" + word("a") + b"h\x00" + word("w") + tensor() + b"u"
    assert "dicts in dicts" in refused(zipped(itself, SIX))
    refused(zipped(b"]q\x00h\x00a0", SIX))


def test_dicts_that_hold_the_same_twice():
    """16 levels, two ways at each: 65,536 tensors of a few hundred bytes."""
    value = mapping({"w": tensor()}) + b"q\x00"
    for level in range(1, 16):
        both = word("a") + bytes([ord("h"), level - 1]) + word("b") + bytes([ord("h"), level - 1])
        value += b"}(" + both + b"uq" + bytes([level])
    # what is left on the stack goes into a tuple under the last
    value = b"(" + value + b"t"
    value = mapping({"x": value, "y": b"h\x0f"})
    assert "the same dicts over and over" in refused(zipped(value, SIX))


def test_long_names_are_not_repeated():
    key = word("k" * 10_000) + b"q\x00"
    value = b"}(" + key + b"}(" + word("w") + tensor() + b"uu"
    assert not isinstance(read(zipped(value, SIX)), FileError)  # once, it is only long
    inner = b"}(" + b"".join(word(f"w{i}") + tensor() for i in range(100)) + b"u"
    many = refused(zipped(b"}(" + key + inner + b"u", SIX))
    assert "over and over" in many


def test_tuples_in_tuples():
    deep = b")" + b"\x85" * 50_000
    refused(zipped(deep, SIX), 40 * MEGABYTE)
    refused(zipped(b"}" + deep + b"Ns", SIX), 40 * MEGABYTE)
    refused(legacy(deep, SIX), 40 * MEGABYTE)
    refused(pickle(deep), 40 * MEGABYTE)  # as the magic number


def test_marks_without_end():
    refused(zipped(b"(" * 50_000, SIX), 40 * MEGABYTE)


def _lying(content: bytes, **claims: int) -> bytes:
    """A zip file whose directory states other sizes of its last entry."""
    at = content.rindex(b"PK\x01\x02")
    places = {"packed": 20, "size": 24, "place": 42}
    changed = bytearray(content)
    for name, value in claims.items():
        changed[at + places[name] : at + places[name] + 4] = value.to_bytes(4, "little")
    return bytes(changed)


@pytest.mark.parametrize(
    "claims",
    [
        {"packed": 23}, {"packed": 25}, {"packed": 2**31}, {"size": 23}, {"size": 2**32 - 2},
        {"place": 0}, {"place": 2**31}, {"place": 1}, {"packed": 2**31, "size": 2**31},
    ],
)  # fmt: skip
@pytest.mark.parametrize("compression", [0, 8])
def test_zip_entries_that_lie(claims, compression):
    content = zipped(mapping({"w": tensor()}), SIX, compression=compression)
    refused(_lying(content, **claims))


def test_zip_entries_of_one_name():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a/data.pkl", b"one")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a/data.pkl", b"two")
    assert "two entries of one name" in refused(out.getvalue())


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (1073741824, 1024), }", "has 24 bytes"),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (3,), }", "no pickled objects"),
        ("{'descr': '<U6', 'fortran_order': False, 'shape': (1,), }", "expected numbers"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (-2, -3), }", "has the shape"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 2**70), }", "damaged header"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (True, 6), }", "has the shape"),
        ("__import__('os').mkdir('harm')", "damaged header"),
        ("(" * 9000, "damaged header"),
    ],
)
def test_headers_of_npz(header, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    raw = header.encode()
    entry = b"\x93NUMPY\x01\x00" + len(raw).to_bytes(2, "little") + raw + b"\0" * 24
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("w.npy", entry)
    error = refused(out.getvalue(), 20 * MEGABYTE)
    assert message in error
    assert not (tmp_path / "harm").exists()


# -- cut short and changed ------------------------------------------------------------------------


def _npz() -> bytes:
    out = io.BytesIO()
    np.savez_compressed(out, a=np.arange(6.0).reshape(2, 3), b=np.float32(1))
    return out.getvalue()


def _safetensors(tmp: Path = Path()) -> bytes:
    head = b'{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    return len(head).to_bytes(8, "little") + head + b"\0" * 8


CAFFE = (
    field(1, "net")
    + layer("conv1", "Convolution", blob(range(9), 1, 1, 3, 3), blob([1], 1))
    + layer("bn1", "BatchNorm", blob([2, 4], 2), blob([6, 8], 2), blob([2], 1))
    + old_layer("fc", 14, old_blob(range(6), 1, 1, 2, 3), old_blob([1, 2], 1, 1, 1, 2))
)
GOOD = {
    "zip": zipped(mapping({"model": mapping({"w": tensor(), "b": tensor((3,), (2,))})}), SIX),
    "legacy": legacy(mapping({"w": tensor(), "n": integer(3)}), SIX),
    "torch's zip": (FILES / "zip.pth").read_bytes(),
    "torch's legacy": (FILES / "legacy.pth").read_bytes(),
    "npz": _npz(),
    "safetensors": _safetensors(),
    "caffemodel": CAFFE,
}

each_file = pytest.mark.parametrize("name", sorted(GOOD))


@each_file
def test_good_files_are_good(name):
    assert not isinstance(read(GOOD[name]), FileError)


@each_file
def test_cut_short_at_every_byte(name):
    """Protobuf has no end: a network that is cut between two layers is one of fewer layers."""
    content, whole = GOOD[name], read(GOOD[name])
    for length in range(len(content)):
        try:
            found = weights.read(content[:length])
        except FileError:
            continue
        assert name == "caffemodel"
        for key, array in found.items():
            np.testing.assert_array_equal(array, whole[key])


@each_file
@given(data=st.data())
def test_changed_bytes(name, data):
    content = bytearray(GOOD[name])
    places = st.integers(0, len(content) - 1)
    for place in data.draw(st.lists(places, min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    read(bytes(content))


@each_file
@given(data=st.data())
def test_pieces_moved_and_repeated(name, data):
    content = GOOD[name]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), min_size=2, max_size=2)))
    piece = content[cuts[0] : cuts[1]]
    place = data.draw(st.integers(0, len(content)))
    read(content[:place] + piece * data.draw(st.integers(1, 3)) + content[place:])


@given(st.lists(st.sampled_from([
    b"(", b"N", b"\x88", b"K\x02", b"M\x00\x01", word("a"), word("weight"), b")", b"t", b"\x85",
    b"\x86", b"\x87", b"]", b"a", b"e", b"}", b"s", b"u", b"q\x00", b"q\x01", b"h\x00", b"h\x01",
    b"\x94", ORDERED, b"R", b"b", b"Q", b"\x93", b"ctorch\nFloatStorage\n", tensor(), integer(-1),
    b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch._utils\n_rebuild_parameter\n",
    b"cos\nsystem\n", mapping({"w": tensor()}), integer(2**100), word("storage"),
    b"G\x7f\xf8\0\0\0\0\0\0",
]), max_size=30))  # fmt: skip
def test_opcodes_in_any_order(opcodes):
    read(zipped(b"".join(opcodes), SIX))
    read(legacy(b"".join(opcodes), SIX))


@given(st.lists(st.one_of(
    st.builds(field, st.integers(0, 120), st.integers(0, 2**64 - 1)),
    st.builds(field, st.sampled_from([1, 2, 4, 5, 6, 7, 8, 100]), st.binary(max_size=12)),
    st.builds(lambda n, w: varint(n << 3 | w), st.integers(0, 120), st.integers(0, 7)),
    st.just(layer("conv1", "Convolution", blob(range(9), 1, 1, 3, 3))),
), max_size=8))  # fmt: skip
def test_protobuf_s_fields_in_any_order(fields):
    read(b"\x0a\x00" + b"".join(fields))
    read(field(100, b"".join(fields)))
    read(layer("a", "Convolution", b"".join(fields)))


@given(st.binary(max_size=200))
def test_any_bytes(content):
    read(content)
    for start in (b"\x80\x02", b"PK\x03\x04", b"\x0a", b"\x12", b"\xa2\x06"):
        read(start + content)
    for reader in (pth.read, safetensors.read):
        with pytest.raises(FileError):
            reader(content)
