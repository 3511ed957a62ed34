"""Compiled kernels in files: found again, never stale, never mixed up, and never in the way."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tempfile
from collections import namedtuple
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

import numseg
from numseg import faces
from numseg.kernels.machine import jit
from numseg.ops.max_pool2d import cpu

FIVE = np.array([[[[1.0, 5.0, 5.0, 2.0]]]], np.float32)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NUMSEG_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def fresh() -> Any:
    """A kernel of numseg as a new process has it: nothing compiled."""
    return jit.kernel()(cpu._backward.py_func)


def call(kernel: Any, dtype: Any = np.float32) -> tuple[bool, int, int]:
    """Is the result right, and how often was the cache hit and missed?"""
    indices, gy, gx = np.array([[0, 2]]), np.array([[3, 4]], dtype), np.full((1, 3), 9, dtype)
    kernel(0, 1, indices, gy, gx)
    hits, misses = kernel.stats.cache_hits, kernel.stats.cache_misses
    return gx.tolist() == [[3, 0, 4]], sum(hits.values()), sum(misses.values())


def test_a_compiled_kernel_is_found_again(cache: Path) -> None:
    assert call(fresh()) == (True, 0, 1)
    assert call(fresh()) == (True, 1, 0)
    assert [file.name.startswith("numseg.ops.max_pool2d.cpu._backward-") for file in files(cache)]


def test_signatures_are_kept_apart(cache: Path) -> None:
    kernel = fresh()
    call(kernel, np.float32)
    assert call(kernel, np.float64) == (True, 0, 2)
    assert len(files(cache)) == 2
    again = fresh()
    call(again, np.float64)
    assert call(again, np.float32) == (True, 2, 0)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:40],
        lambda content: content[:-1],
        lambda content: content[:500] + bytes([content[500] ^ 1]) + content[501:],
        lambda content: content + b"\0",
        lambda content: jit.hashlib.sha256(b"no pickle").digest() + b"no pickle",
    ],
    ids=["empty", "cut early", "cut late", "a flipped bit", "longer", "another content"],
)
def test_a_damaged_file_is_a_miss_and_is_replaced(cache: Path, damage: Any) -> None:
    call(fresh())
    (file,) = files(cache)
    file.write_bytes(damage(file.read_bytes()))
    assert call(fresh()) == (True, 0, 1)
    assert call(fresh()) == (True, 1, 0)


def test_a_directory_that_cannot_be_is_harmless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a directory")
    monkeypatch.setenv("NUMSEG_CACHE_DIR", str(tmp_path / "file" / "cache"))
    assert call(fresh()) == (True, 0, 1)
    assert call(fresh()) == (True, 0, 1)


@pytest.mark.parametrize("step", ["mkstemp", "fdopen", "replace"])
def test_a_failed_write_is_harmless_and_leaves_nothing(
    cache: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*args: Any, **kwargs: Any) -> Any:
        if step == "fdopen":
            os.close(args[0])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(tempfile if step == "mkstemp" else os, step, fail)
        assert call(fresh()) == (True, 0, 1)
    assert files(cache) == []
    assert call(fresh()) == (True, 0, 1)


def test_a_read_only_cache_is_still_read(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call(fresh(), np.float32)
    monkeypatch.setattr(tempfile, "mkstemp", lambda **_: (_ for _ in ()).throw(PermissionError()))
    assert call(fresh(), np.float64) == (True, 0, 1)
    assert call(fresh(), np.float32) == (True, 1, 0)


def test_what_a_name_does_not_determine_is_not_kept(cache: Path) -> None:
    def made(factor: int) -> Any:
        @jit.kernel()
        def scale(start: int, stop: int, x: Any) -> None:
            for i in range(start, stop):
                x[i] *= factor

        return scale

    for factor in (2, 3):
        x = np.ones(2)
        made(factor)(0, 2, x)
        assert x.tolist() == [factor, factor]
    assert files(cache) == []


def test_a_loop_made_for_rules_depends_on_both_modules() -> None:
    loop = faces.module(numseg.relu, "cpu")._forward.py_func
    rules, loops = loop.__module__, loop.__globals__["__name__"]
    assert (rules, loops) == ("numseg.ops.relu.rules", "numseg.kernels.pointwise.elementwise")
    assert jit.KernelCache(loop, "")._enabled
    digests = [jit.source_digest(*names) for names in ((rules, loops), (rules,), (loops,))]
    assert len({*digests}) == 3
    assert None not in digests
    assert jit.source_digest("somebody.elses", loops) is None


def test_fields_of_another_order_are_another_signature() -> None:
    int64 = numba.int64
    key = jit.KernelCache(cpu._forward.py_func, "")
    codegen = cpu._forward.targetdescr.target_context.codegen()
    names = {
        key._file((numba.types.NamedUniTuple(int64, 2, namedtuple("G", fields)),), codegen)
        for fields in ("a b", "b a")
    }
    assert len(names) == 2


def test_compiler_settings_are_part_of_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    key = jit.KernelCache(cpu._forward.py_func, "")
    codegen = cpu._forward.targetdescr.target_context.codegen()
    plain = key._file((), codegen)
    assert key._file((), codegen) == plain
    monkeypatch.setattr(numba.config, "BOUNDSCHECK", 1)
    assert key._file((), codegen) != plain
    assert jit.KernelCache(cpu._forward.py_func, "fastmath")._file((), codegen) != plain


def test_sources_younger_than_the_process_are_not_trusted(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An edited file is not what this process runs: its digest must not name this machine code."""
    monkeypatch.setattr(jit, "LOADED", 0.0)
    jit.source_digest.cache_clear()
    try:
        assert call(fresh()) == (True, 0, 1)
    finally:
        jit.source_digest.cache_clear()
    assert files(cache) == []


@pytest.mark.parametrize(
    ("line", "module", "package"),
    [
        ("from numseg.ops import relu", "numseg.a", "numseg.ops"),
        ("from . import rules", "numseg.ops.relu.cpu", "numseg.ops.relu"),
        ("from .rules import wins", "numseg.ops.relu.cpu", "numseg.ops.relu.rules"),
        ("from ..relu.rules import wins", "numseg.ops.pad.cpu", "numseg.ops.relu.rules"),
        ("from .rules import wins", "numseg.ops.relu/", "numseg.ops.relu.rules"),
        ("from .. import geometry", "numseg.ops/", "numseg"),
    ],
)
def test_where_imports_lead(line: str, module: str, package: str) -> None:
    (node,) = ast.parse(line).body
    assert isinstance(node, ast.ImportFrom)
    assert jit._package(node, module.rstrip("/"), module.endswith("/")) == package


# -- with processes of their own, and a package that may be edited --------------------------------

POOL = """
import sys
import numpy as np, numseg as ns
from numseg.ops.max_pool2d import cpu
x = np.array([[[[1, 5, 5, 2, 0]]]], sys.argv[1] if len(sys.argv) > 1 else "f")
y, indices = ns.max_pool2d(x, (1, 4), return_indices=True)
stats = cpu._forward.stats
print(indices.item(), sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""


@pytest.fixture
def edited(tmp_path: Path, run_script: Any) -> Any:
    """``edited(file, old, new)``: POOL's results with a copy of numseg in which ``file`` says
    ``new`` instead of ``old``."""
    copy = tmp_path / "numseg"
    shutil.copytree(
        Path(numseg.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__")
    )
    where = {"PYTHONPATH": str(tmp_path), "NUMSEG_CACHE_DIR": str(tmp_path / "cache")}

    def run(file: str = "", old: str = "", new: str = "") -> list[str]:
        if file:
            source = (copy / file).read_text()
            assert old in source
            (copy / file).write_text(source.replace(old, new, 1))
        return run_script(POOL, **where).stdout.split()

    assert run() == ["1", "0", "1"]  # the switch, hits, and misses
    assert run() == ["1", "1", "0"]
    return run


def test_an_edit_of_what_machine_code_depends_on_compiles_it_again(edited: Any) -> None:
    rule = "kernels/pooling/maxima.py", "and here < place", "and here > place"
    assert edited(*rule) == ["2", "0", "1"]
    assert edited(rule[0], rule[2], rule[1]) == ["1", "1", "0"]  # as it was
    for change in (
        ("ops/max_pool2d/cpu.py", "@rule\n", "@rule\ndef _new(x):\n    return x\n\n\n@rule\n"),
        ("ops/max_pool2d/geometry.py", "column: int\n", "column: int\n    more: int = 0\n"),
        ("kernels/machine/emitter.py", "PREFETCH_BYTES = 16", "PREFETCH_BYTES = 8"),
    ):
        assert edited(*change) == ["1", "0", "1"], change


def test_an_edit_of_what_it_does_not_depend_on_compiles_nothing(edited: Any) -> None:
    for file in ("operator.py", "plan.py", "checks.py", "ops/max_pool2d/__init__.py"):
        assert edited(file, '"""', '"""Said otherwise: ') == ["1", "1", "0"], file
    for change in (
        ("operator.py", "\nP = ", "\nNEW = 1\nP = "),
        ("ops/max_pool2d/__init__.py", "\n@operator", "\nNEW = 1\n\n@operator"),
        ("ops/pad/cpu.py", "\n", "\nNEW = 1\n"),
        ("ops/max_pool2d/cpu.py", "@rule\n", "# why\n\n@rule\n"),
        ("ops/max_pool2d/cpu.py", "g: Geometry", "g: tuple[int, ...]"),
        ("kernels/machine/emitter.py", '"""', '"""Said otherwise: '),
        ("kernels/pooling/maxima.py", '"""A later', '"""Said otherwise: a later'),
    ):
        assert edited(*change) == ["1", "1", "0"], change


def test_processes_that_write_at_once_do_no_harm(cache: Path, run_script: Any) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-P", "-c", POOL, dtype],
            env=os.environ | {"PYTHONPATH": str(Path(numseg.__file__).parent.parent)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for dtype in ("f", "d", "f", "d")
    ]
    assert [process.communicate(timeout=120)[0].split()[0] for process in processes] == ["1"] * 4
    assert run_script(POOL).stdout.split() == ["1", "1", "0"]
    assert not [file for file in files(cache) if file.name.startswith(".writing")]


def files(cache: Path) -> list[Path]:
    return sorted(cache.iterdir()) if cache.is_dir() else []
