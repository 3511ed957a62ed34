"""Names that a terminal cannot show, terminals that are not UTF-8, pipes that close, full disks."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from numseg.training import Checkpoint, make_network, save_checkpoint

NET = {"name": "unet", "in_channels": 3, "classes": 2, "width": 2, "depth": 1, "padding": "same"}
NAMES = ["p ü.png", "p 猫.png", "p \udcff\udce9.png", "p [1]*.png", "-p.png", "p\u2028q.png"]
NAMES = [os.fsdecode(name.encode("utf-8", "surrogateescape")) for name in NAMES]
PLAIN_C = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
TERMINALS = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "strict": {"PYTHONIOENCODING": "ascii:strict"},
    "latin": {"PYTHONIOENCODING": "latin-1"},
    "utf-8": {"PYTHONIOENCODING": "utf-8"},
    "C": {"LC_ALL": "C"},
    "plain C": PLAIN_C,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A network, whose classes have letters of their own, and pictures of many names."""
    folder = tmp_path_factory.mktemp("folder")
    about = {"net": NET, "classes": ["Grün", "猫"]}
    save_checkpoint(folder / "w", Checkpoint(make_network(NET).init(0), {}, 1, [], about))
    for name in NAMES:
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(folder / name)
    return folder


def _run(folder, argv, **settings):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG"))}
    return subprocess.run(
        [sys.executable, "-m", "numseg", *argv], cwd=folder, capture_output=True,
        env=environment | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)} | settings,
    )  # fmt: skip


@pytest.mark.parametrize("terminal", TERMINALS)
def test_any_name_on_any_terminal(folder, tmp_path, terminal):
    argv = ["segment", "--weights", "w", "--out", str(tmp_path), "--", *NAMES]
    found = _run(folder, argv, **TERMINALS[terminal])
    assert found.returncode == 0
    assert b"Traceback" not in found.stderr
    assert len(found.stdout.splitlines()) >= 2 * len(NAMES) + 1
    assert set(NAMES) <= {path.name for path in tmp_path.iterdir()}


def test_a_name_that_is_no_text_keeps_its_bytes(folder, tmp_path):
    """So that what is printed can be handed on to another program."""
    argv = ["segment", NAMES[2], "--weights", "w", "--out", str(tmp_path / NAMES[2])]
    for terminal in ("ascii", "utf-8", "plain C"):
        found = _run(folder, argv, **TERMINALS[terminal])
        assert found.stdout.splitlines()[0] == os.fsencode(tmp_path / NAMES[2])


@pytest.mark.parametrize("terminal", TERMINALS)
def test_an_error_names_the_file_in_one_line(folder, terminal):
    name = os.fsdecode("ü 猫".encode() + b"\xff.png")
    found = _run(
        folder, ["segment", name, "--weights", "w", "--out", "m.png"], **TERMINALS[terminal]
    )
    assert found.returncode == 2
    assert found.stderr.startswith(b"numseg segment: error: ")
    assert found.stderr.endswith(b"\xff.png: no such file\n")
    assert found.stderr.count(b"\n") == 1


@pytest.mark.parametrize("argv", [["--help"], ["train", "--help"], ["info"], ["fly"]])
def test_all_that_is_said_can_be_said_in_ascii(folder, argv):
    found = _run(folder, argv, **TERMINALS["strict"])
    assert b"Traceback" not in found.stderr
    assert found.returncode == (2 if argv == ["fly"] else 0)


def test_a_list_of_such_names(folder, tmp_path):
    """The list is UTF-8 where names are not: they are found, and all is printed."""
    for part in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (tmp_path / part).mkdir(parents=True)
    for name in NAMES:
        for part in ("JPEGImages", "SegmentationClass"):
            Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / part / name)
    names = b"\n".join(os.fsencode(name.removesuffix(".png")) for name in NAMES)
    (tmp_path / "ImageSets/Segmentation/val.txt").write_bytes(names)
    (tmp_path / "classes.txt").write_text("Grün\n猫\n", "utf-8")
    argv = ["evaluate", "w", str(tmp_path), "--classes", str(tmp_path / "classes.txt")]
    argv += ["--worst", str(len(NAMES))]
    for number, terminal in enumerate(("utf-8", "plain C")):
        out = tmp_path / str(number)
        found = _run(folder, [*argv, "--out", str(out)], **TERMINALS[terminal])
        assert found.returncode == 0, found.stderr
        assert b"Traceback" not in found.stderr
        assert b"warning" not in found.stderr
        assert re.findall(rb"(?m)^  \d\.\d{3}  (-?p.*)$", found.stdout)
        assert len(list((out / "worst").iterdir())) == len(NAMES)


TRAIN = ["train", "scenes", "--count", "4", "--size", "16", "--crop", "16", "--width", "2"]
TRAIN += ["--depth", "1", "--epochs", "3", "--out"]


def _redirected(folder, argv, redirection):
    line = f'{sys.executable} -m numseg "$@" {redirection}'
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    return subprocess.run(
        ["bash", "-c", line, "numseg", *argv], cwd=folder, capture_output=True, env=environment,
    )  # fmt: skip


@pytest.mark.parametrize("argv", [["--help"], ["train", "--help"], ["info"]])
def test_a_pipe_that_closes_is_no_error(folder, argv):
    found = _redirected(folder, argv, "| head -1")
    assert found.stderr == b""
    assert found.stdout.count(b"\n") == 1


def test_a_pipe_that_closes_in_training_says_what_is_kept(folder, tmp_path):
    found = _redirected(folder, [*TRAIN, str(tmp_path)], "| exec true")
    said = found.stderr.splitlines()
    assert b" of 3 epochs are in " in said[-2]
    assert said[-1].endswith(b"--resume goes on there")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.safetensors"]


@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">&- 2>&-"])
def test_streams_that_are_closed(folder, tmp_path, redirection):
    found = _redirected(folder, [*TRAIN, str(tmp_path)], redirection)
    assert found.returncode == 0
    assert b"Traceback" not in found.stderr
    assert len(list(tmp_path.iterdir())) == 1
    argv = ["segment", NAMES[0], "--weights", "w", "--out", "/dev/null/m.png"]
    assert _redirected(folder, argv, redirection).returncode == 2


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_one_line(folder):
    found = _redirected(folder, ["info"], "> /dev/full")
    assert found.returncode == 2
    assert found.stderr == b"numseg info: error: [Errno 28] No space left on device\n"


def test_a_stream_of_somebodys_own(monkeypatch, capsys):
    """As notebooks have, without a way to be set."""
    import io

    from numseg.cli import main

    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    assert main(["info"]) == 0
    assert "numseg" in stream.getvalue()
