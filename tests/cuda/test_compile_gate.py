"""The gate lets good kernels pass, and stops each kind of bad one. Needs the compilers, no GPU."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numba import int32

from numseg.cuda import cubins, runtime

pytest.importorskip("numba_cuda", reason="needs the CUDA compilers: pip install '.[cuda-test]'")
if runtime.simulated():
    pytest.skip(
        "the simulator compiles nothing: pytest tests/cuda/test_compile_gate.py",
        allow_module_level=True,
    )

from numseg.cuda.launch import Doubles, Ints, Kernel, Reals, Tiled, _configured, kernel, thread
from numseg.cuda.runtime import cuda
from numseg.errors import DeviceError
from numseg.kernels.machine.jit import read_payload
from numseg.ops.registry import OPERATORS
from numseg.testing import compile_gate
from numseg.testing.compile_gate import compile_kernel, kernels


@kernel
def good(x: Reals, y: Reals) -> None:
    pixel, _ = thread()
    if pixel < x.size:
        y[pixel] = x[pixel] * x.dtype.type(0.5) + x.dtype.type(1)


@kernel
def doubles(x: Reals, y: Reals) -> None:
    pixel, _ = thread()
    if pixel < x.size:
        y[pixel] = x[pixel] * 0.1


@kernel
def means_to_compute_in_float64(x: Reals, scale: Doubles, y: Reals) -> None:
    pixel, _ = thread()
    if pixel < x.size:
        y[pixel] = y.dtype.type(scale.dtype.type(x[pixel]) * scale[0])


@kernel
def adds_up_from_an_int(x: Reals, y: Reals) -> None:
    total = 0
    for i in range(x.size):
        total += x[i]
    y[0] = total


@kernel
def keeps_an_array_in_memory(x: Reals, y: Reals, order: Ints) -> None:
    pixel, _ = thread()
    row = cuda.local.array(64, np.float32)
    for i in range(64):
        row[order[i]] = x[pixel + i]
    y[pixel] = row[order[pixel]]


@kernel
def races(x: Reals, y: Reals) -> None:
    pixel, _ = thread()
    cuda.atomic.add(y, 0, x[pixel])


@kernel
def divides_in_64_bits(x: Reals, y: Reals, wide: int) -> None:
    pixel, _ = thread()
    y[(pixel * wide) // (wide + 1)] = x[pixel]


def looping(x: Reals, y: Reals) -> None:
    """Eight multiply-adds of registers in a loop that only counts besides."""
    pixel, _ = thread()
    a, total = x[pixel], x[pixel + 1]
    i = int32(0)
    while i < x.size:
        total = total * a + a
        total = total * a + a
        total = total * a + a
        total = total * a + a
        total = total * a + a
        total = total * a + a
        total = total * a + a
        total = total * a + a
        i = int32(i + 1)
    y[pixel] = total


def takes_shared_memory(x: Reals, y: Reals) -> None:
    shared = cuda.shared.array(6 * 1024, x.dtype)
    pixel, _ = thread()
    shared[pixel] = x[pixel]
    cuda.syncthreads()
    y[pixel] = shared[pixel + 1]


def rows(made: Kernel) -> list[compile_gate.Row]:
    return [compile_kernel(made, d, cc) for d in ("float32", "float64") for cc in [(8, 0), (9, 0)]]


def test_small_grids_come_without_advice() -> None:
    """Warnings are errors here; Numba has one for every grid of fewer than 128 blocks."""
    launch = _configured(good.compiled, (1, 1), (32, 8))
    assert launch is _configured(good.compiled, (1, 1), (32, 8))
    assert (launch.griddim, launch.blockdim) == ((1, 1, 1), (32, 8, 1))


def test_a_good_kernel_passes() -> None:
    for row in rows(good):
        assert row.faults() == []
        assert 0 < row.registers < 32
        assert 8 <= row.instructions < 100
        assert (row.spilled, row.float64, row.float_atomics, row.divisions) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("made", "fault", "dtypes"),
    [
        (doubles, "float64 instructions", {"float32"}),
        (adds_up_from_an_int, "float64 instructions", {"float32"}),
        (keeps_an_array_in_memory, "bytes spilled to memory", {"float32", "float64"}),
        (races, "1 atomics on real numbers", {"float32", "float64"}),
    ],
)
def test_a_bad_kernel_is_stopped(made: Kernel, fault: str, dtypes: set[str]) -> None:
    for row in rows(made):
        found = row.faults()
        assert len(found) == (1 if row.dtype in dtypes else 0), found
        for one in found:
            assert fault in one
            assert f"{made.name} ({row.dtype}, {row.architecture}): " in one


def test_the_share_of_multiply_adds_is_held_to_what_is_declared() -> None:
    for row in rows(Kernel(looping, Tiled(256, 1, 0.5))):
        assert 0.5 < row.share < 1
        assert row.faults() == []
    for row in rows(Kernel(looping, Tiled(256, 1, 0.99))):
        (fault,) = row.faults()
        assert "multiply-adds in the hot loop, declared 99%" in fault


def test_blocks_on_a_multiprocessor_are_held_to_what_is_declared() -> None:
    """By registers, threads and shared memory: 24 KiB a block, and one that the system takes."""
    found = {
        row.architecture: row for row in rows(Kernel(takes_shared_memory, Tiled(256, 7, 0.0)))
        if row.dtype == "float32"
    }  # fmt: skip
    assert [row.shared for row in found.values()] == [24 * 1024] * 2
    assert [row.blocks for row in found.values()] == [164 // 25, min(228 // 25, 2048 // 256)]
    (fault,) = found["sm_80"].faults()
    assert "6 blocks on a multiprocessor, declared 7" in fault
    assert found["sm_90"].faults() == []


def test_only_the_dtypes_that_are_declared_are_compiled() -> None:
    made = Kernel(looping, Tiled(256, 1, 0.0, ("float32",)))
    assert compile_gate.dtypes(made) == ("float32",)
    assert compile_gate.dtypes(good) == ("float32", "float64")


def test_float64_that_is_meant_passes() -> None:
    assert all(row.faults() == [] for row in rows(means_to_compute_in_float64))


def test_64_bit_divisions_are_counted() -> None:
    assert all(row.divisions == 1 and not row.faults() for row in rows(divides_in_64_bits))


def test_finds_every_twin_and_its_kernels() -> None:
    folders = Path(compile_gate.__file__).parents[1] / "ops"
    twins = {f"numseg.ops.{file.parent.name}.cuda" for file in folders.glob("*/cuda.py")}
    twins |= {f"{op.__module__}.cuda" for op in OPERATORS.values() if op.facts.family}
    assert set(compile_gate.twins()) == twins
    names = [k.function.__name__ for k in kernels("numseg.ops.max_pool2d.cuda")]
    assert names == ["_forward", "_mark", "_backward", "_share"]
    assert "numseg.cuda.lattice._insert" in [
        k.name for module in compile_gate.ELSEWHERE for k in kernels(module)
    ]
    assert [k.name for k in kernels("numseg.ops.relu.cuda")] == [
        "numseg.ops.relu.cuda._forward",
        "numseg.ops.relu.cuda._backward",
    ]


def test_a_kernel_behind_its_back_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = ModuleType("numseg.ops.sneaky.cuda")
    module.device_function = cuda.jit(device=True)(lambda x: x)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    assert kernels(module.__name__) == []
    module.hidden = cuda.jit(lambda x: None)
    with pytest.raises(DeviceError, match=r"numseg\.ops\.sneaky\.cuda\.hidden is compiled by cuda"):
        kernels(module.__name__)


def test_an_old_ptxas_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old = tmp_path / "ptxas"
    old.write_text(
        "#!/bin/sh\necho 'V11.0.1; Unsupported .version 9.4' | tee /dev/stderr; exit 1\n"
    )
    old.chmod(0o755)
    monkeypatch.setattr(compile_gate, "_ptxas", lambda: str(old))
    monkeypatch.setattr(compile_gate, "_ptxas_version", lambda: "ptxas 11.0.1")
    with pytest.raises(DeviceError, match=r"ptxas 11\.0\.1\) failed: .*Unsupported \.version 9\.4"):
        compile_kernel(good, "float32", (9, 0))


def test_without_ptxas_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pathfinder = importlib.import_module("cuda.pathfinder")
    monkeypatch.setattr(pathfinder, "find_nvidia_binary_utility", lambda name: None)
    assert compile_gate.main([]) == 2
    assert capsys.readouterr().err == (
        "compile_gate: ptxas is not installed: pip install 'numseg[cuda-test]'\n"
    )


def run(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "numseg.testing.compile_gate", *args]
    return subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **environment}
    )


def test_the_command_fails_on_a_fault(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before {compile_gate.BEGIN} old table {compile_gate.END} after")
    found = [good]
    monkeypatch.setattr(compile_gate, "compiled", lambda: [r for made in found for r in rows(made)])
    assert compile_gate.main(["--write", str(page)]) == 0
    out, err = capsys.readouterr()
    assert "1 kernels, 4 compilations, 0 faults" in out
    assert err == ""
    text = page.read_text()
    assert text.startswith("before ")
    assert text.endswith(" after")
    assert "old table" not in text
    assert "| float32 | sm_90 |" in text
    found.append(doubles)
    assert compile_gate.main([]) == 1
    assert capsys.readouterr().err.count("FAULT") == 2


def test_the_command_says_what_is_missing() -> None:
    done = run(NUMBA_ENABLE_CUDASIM="1")
    assert done.returncode == 2
    assert done.stderr == (
        "compile_gate: the simulator compiles nothing: unset NUMBA_ENABLE_CUDASIM\n"
    )


# -- compiled kernels on disk ----------------------------------------------------------------------


class Gpu:
    """As much of a GPU as compiling for it takes."""

    compute_capability, id = (9, 0), 0


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[Gpu]:
    dispatcher = importlib.import_module("numba.cuda.dispatcher")
    codegen = importlib.import_module("numba.cuda.codegen")
    monkeypatch.setenv("NUMSEG_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(dispatcher, "get_current_device", Gpu)
    monkeypatch.setattr(codegen.devices, "get_context", lambda *_: SimpleNamespace(device=Gpu))
    monkeypatch.setattr(dispatcher._Kernel, "bind", lambda self: self._codelibrary.get_cubin())
    monkeypatch.setattr(runtime.cuda, "get_current_device", Gpu)
    monkeypatch.setattr(runtime, "driver_version", lambda: "13.0")
    cubins._settings.cache_clear()
    yield Gpu  # type: ignore[misc]
    cubins._settings.cache_clear()


def _compiled(kernel: Kernel, dtype: str = "float32") -> tuple[bytes, bool]:
    """The machine code, by a new dispatcher, and whether it was found on disk."""
    dispatcher = runtime.cuda.jit(kernel.function)
    cubins.keep(dispatcher, kernel.name, (kernel.module,))
    made = dispatcher.compile(kernel.signature(dtype))
    return made._codelibrary.get_cubin().code, bool(dispatcher._cache_hits)


def test_a_kernel_is_found_on_disk(
    gpu: type[Gpu], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what it is made of, for what and by what; not if the file is damaged."""
    (kernel, *_) = compile_gate.kernels("numseg.ops.pixel_shuffle2d.cuda")
    code, found = _compiled(kernel)
    assert code
    assert not found
    (file,) = tmp_path.iterdir()
    assert file.name.startswith("numseg.ops.pixel_shuffle2d.cuda._forward-cuda-")
    assert _compiled(kernel) == (code, True)
    for damaged in (b"", file.read_bytes()[:-1]):
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match="is damaged"):
            read_payload(file)
    code, found = _compiled(kernel)  # with another number in its name
    assert not found
    assert _compiled(kernel) == (code, True)  # it was written again
    assert list(tmp_path.iterdir()) == [file]
    cache = cubins.Cubins(kernel.name, (kernel.module,), {})
    signature = kernel.signature("float32")
    others = {cache.file(kernel.signature("float64")), file}
    monkeypatch.setattr(gpu, "compute_capability", (8, 0))
    others.add(cache.file(signature))
    monkeypatch.setattr(runtime, "driver_version", lambda: "12.0")
    cubins._settings.cache_clear()
    others.add(cache.file(signature))
    others.add(cubins.Cubins(kernel.name, ("numseg.cuda.rows",), {}).file(signature))
    assert len(others) == 5


def test_a_cache_that_cannot_be_written_costs_a_compilation(
    gpu: type[Gpu], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "no folder"
    file.write_text("")
    monkeypatch.setenv("NUMSEG_CACHE_DIR", str(file))
    (kernel, *_) = compile_gate.kernels("numseg.ops.pixel_shuffle2d.cuda")
    code, found = _compiled(kernel)
    assert code
    assert not found


def test_kernels_of_formulas_are_kept_by_the_formulas(gpu: type[Gpu]) -> None:
    """Those that are made in a function have no file of their own."""
    (kernel, *_) = compile_gate.kernels("numseg.ops.silu.cuda")
    other = compile_gate.kernels("numseg.ops.sigmoid.cuda")[0]
    signature = kernel.signature("float32")
    files = {k.compiled._cache.file(signature).name.rpartition("-")[2] for k in (kernel, other)}
    assert len(files) == 2
    assert kernel.compiled._cache._enabled
