"""Files are written whole or not at all, on real disks that refuse."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest

from numseg import FileError, MissingExtra
from numseg.files import optional, remove_parts, write_whole
from numseg.interop import safetensors


def test_a_file_is_replaced(tmp_path):
    path = tmp_path / "new" / "file"
    write_whole(path, b"one")
    write_whole(path, b"two")
    assert path.read_bytes() == b"two"
    assert os.listdir(path.parent) == ["file"]


@pytest.fixture
def small_disk():
    """No file may grow beyond 4096 bytes: the operating system refuses, as on a full disk."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_refuses_leaves_the_earlier_file(tmp_path, small_disk):
    path = tmp_path / "file"
    write_whole(path, b"earlier")
    with pytest.raises(FileError, match=r"cannot write .*file: .*; the earlier file is intact"):
        write_whole(path, bytes(5000))
    assert path.read_bytes() == b"earlier"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_at_any_step_leaves_the_earlier_file(tmp_path, monkeypatch, step):
    path = tmp_path / "file"
    write_whole(path, b"earlier")

    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, step, full)
    with pytest.raises(FileError, match="No space left on device; the earlier file is intact"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"earlier"
    assert os.listdir(tmp_path) == ["file"]


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileError, match="cannot write"):
        write_whole(tmp_path / "file" / "below", b"")


def test_interruption_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "file", b"new")
    assert os.listdir(tmp_path) == []


def test_what_killed_writers_left_is_removed(tmp_path):
    for name in (".file.00aa11bb.part", ".other.00aa11bb.part", "file"):
        (tmp_path / name).write_bytes(b"")
    remove_parts(tmp_path / "file")
    assert sorted(os.listdir(tmp_path)) == [".other.00aa11bb.part", "file"]


def test_optional_packages():
    assert optional("math", "math", "all", "counting").sqrt(4) == 2
    with pytest.raises(MissingExtra, match=r"flying needs wings, .*pip install 'numseg\[air\]'"):
        optional("no_such_package.part", "wings", "air", "flying")


def test_safetensors_round_trip(tmp_path):
    path = tmp_path / "w.safetensors"
    arrays = {
        "b": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "a": np.array(7, np.int64),
        "c": np.array([1.5], ">f8"),
    }
    safetensors.save(path, arrays, {"epoch": 3, "classes": ["ä", "b"]})
    found, metadata = safetensors.load(path)
    assert metadata == {"epoch": 3, "classes": ["ä", "b"]}
    assert sorted(found) == ["a", "b", "c"]
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype.newbyteorder("=")
    first = path.read_bytes()
    safetensors.save(path, dict(reversed(arrays.items())), metadata)
    assert path.read_bytes() == first


def test_damaged_weights(tmp_path):
    path = tmp_path / "w.safetensors"
    safetensors.save(path, {"w": np.ones(100, np.float32)}, {})
    good = path.read_bytes()
    for content in (b"", b"words", good[:50], good[:-1], b"\xff" * 8 + good[8:], good + b"x"):
        path.write_bytes(content)
        with pytest.raises(FileError, match="is damaged or not a safetensors file") as error:
            safetensors.load(path)
        assert "\n" not in str(error.value)
    with pytest.raises(FileError, match="no such file"):
        safetensors.load(tmp_path / "none")
    with pytest.raises(FileError, match="is a folder"):
        safetensors.load(tmp_path)


def test_files_of_others(tmp_path):
    """No metadata of ours, and a type that NumPy has not."""
    import safetensors.numpy as package

    plain = tmp_path / "plain.safetensors"
    plain.write_bytes(package.save({"w": np.ones(2)}))
    assert safetensors.load(plain)[1] == {}
    plain.write_bytes(package.save({"w": np.ones(2)}, {"numseg": "[1]"}))
    with pytest.raises(FileError, match="its metadata is not numseg's"):
        safetensors.load(plain)
    header = b'{"w":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}'
    plain.write_bytes(len(header).to_bytes(8, "little") + header + b"\xc0\x3f")
    found = safetensors.load(plain)[0]["w"]  # 0x3fc0 is the upper half of 1.5 in float32
    assert found.dtype == np.float32
    assert found.tolist() == [1.5]
    header = b'{"w":{"dtype":"F8_E5M2","shape":[1],"data_offsets":[0,1]}}'
    plain.write_bytes(len(header).to_bytes(8, "little") + header + b"\0")
    with pytest.raises(FileError, match="has arrays of type 'F8_E5M2', which NumPy has not"):
        safetensors.load(plain)
