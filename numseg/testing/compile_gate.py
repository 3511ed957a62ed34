"""Compile every CUDA kernel of every operator for GPUs that need not be there, and judge the code.

    python -m numseg.testing.compile_gate                       # a table; fails on a fault
    python -m numseg.testing.compile_gate --write docs/cuda.md  # and puts the table into the page

Numba compiles each kernel to PTX, for float32 and float64 and for each architecture; NVIDIA's
``ptxas`` makes machine code of that and says how many registers it takes. Needs no GPU and no
driver: ``pip install 'numseg[cuda-test]'`` brings both compilers. It is a fault if a kernel

- spills registers, or keeps an array in memory that was meant for registers,
- computes in float64 although the operator's dtype is float32, and takes no ``Doubles`` or
  ``Double`` to say so,
- adds real numbers with atomics, so that the last bits depend on the order of the threads,
- works by tiles and falls short of what it declares: blocks on a multiprocessor, and the share of
  multiply-adds among the instructions of its hot loop,
- is compiled with ``cuda.jit`` behind the gate's back instead of ``numseg.cuda.launch.kernel``.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib
import importlib.metadata
import importlib.util
import multiprocessing
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numba

from numseg import faces
from numseg.cuda.launch import THREADS, Kernel, Stored, Tiled
from numseg.cuda.runtime import simulated
from numseg.errors import DeviceError
from numseg.ops.registry import OPERATORS
from numseg.testing import machine_code

ARCHITECTURES = (8, 0), (9, 0)
"""Ampere's data centre GPUs and Hopper."""

DTYPES = "float32", "float64"

SHARED = "numseg.cuda.launch"

ELSEWHERE = (
    *(
        f"numseg.cuda.{name}"
        for name in (
            "sorting",
            "rows",
            "lattice",
            "exact",
            "gaussian",
            "bins",
            "separable",
            "regions",
            "implicit_gemm",
            "pairs",
            "sets",
            "losses",
            "normalising",
            "choices",
        )
    ),
    "numseg.training.cuda",
)
"""Kernels that are no operator's, or several operators'."""

BEGIN, END = "<!-- compile gate -->", "<!-- end of compile gate -->"


class Row(NamedTuple):
    """What the compilers made of one kernel."""

    kernel: str
    dtype: str
    architecture: str
    registers: int
    spilled: int
    """Bytes of registers and of local arrays that ended up in memory."""
    float64: int
    """Instructions on float64 in a kernel for float32 that is not meant to have any."""
    float_atomics: int
    divisions: int
    """Of 64-bit integers, a hundred instructions each; harmless outside of loops."""
    instructions: int
    """Of machine code, padding included."""
    shared: int
    """Bytes of shared memory that a block takes."""
    blocks: int
    """That a multiprocessor holds at a time."""
    share: float
    """Of multiply-adds in the hot loop."""
    declared: Tiled | None
    """What the kernel says of its blocks and its share."""

    def faults(self) -> list[str]:
        found = {
            f"{self.spilled} bytes spilled to memory": self.spilled,
            f"{self.float64} float64 instructions": self.float64,
            f"{self.float_atomics} atomics on real numbers": self.float_atomics,
        }
        if least := self.declared:
            share = least.share
            if self.dtype == "float64" and least.share64 is not None:
                share = least.share64
            found |= {
                f"{self.blocks} blocks on a multiprocessor, declared {least.blocks}": (
                    self.blocks < least.blocks
                ),
                f"{self.share:.1%} multiply-adds in the hot loop, declared {share:.0%}": (
                    self.share < share
                ),
            }
        what = f"{self.kernel} ({self.dtype}, {self.architecture})"
        return [f"{what}: {fault}" for fault, count in found.items() if count]


def twins() -> list[str]:
    """The modules ``numseg.ops.<name>.cuda`` that exist, or are made for those of a family."""
    return [
        f"{op.__module__}.cuda"
        for op in OPERATORS.values()
        if op.facts.family or importlib.util.find_spec(f"{op.__module__}.cuda")
    ]


def kernels(module: str) -> list[Kernel]:
    """The kernels a module defines; a DeviceError if an operator hides one from the gate."""
    package, _, name = module.rpartition(".")
    made = [op for op in OPERATORS.values() if op.facts.family and op.__module__ == package]
    members = vars(faces.module(made[0], name) if made else importlib.import_module(module))
    for name, member in members.items() if module != SHARED else ():
        if type(member).__name__ == "CUDADispatcher" and not member.targetoptions.get("device"):
            raise DeviceError(f"{module}.{name} is compiled by cuda.jit: make it a @kernel")
    return [m for m in members.values() if isinstance(m, Kernel) and m.module == module]


def dtypes(kernel: Kernel) -> tuple[str, ...]:
    """Those that a kernel is launched with."""
    return DTYPES if kernel.tiled is None else kernel.tiled.dtypes


def compile_kernel(kernel: Kernel, dtype: str, cc: tuple[int, int]) -> Row:
    """Compile one kernel to machine code and count."""
    (ptx,) = _lowered(kernel, dtype).get_asm_strs(cc=cc)
    architecture = f"sm_{cc[0]}{cc[1]}"
    report, cubin = _assemble(ptx, architecture)
    memory = re.findall(r"(\d+) bytes (?:stack frame|spill stores|spill loads)", report)
    registers = re.search(r"Used (\d+) registers", report)
    if not memory or registers is None:
        raise DeviceError(f"ptxas said nothing about registers and spills, but: {report}")
    shared = re.search(r"(\d+) bytes smem", report)
    code = machine_code.read(cubin, hopper=cc >= (9, 0))
    threads = THREADS if kernel.tiled is None else kernel.tiled.threads
    taken = threads, int(registers[1]), int(shared[1]) if shared else 0
    meant = dtype == "float64" or kernel.means_float64
    allowed = r"\.reg|cvt|ld|st|mov" if Stored in kernel.hints.values() else r"\.reg"
    name = kernel.name.removeprefix("numseg.ops.").removeprefix("numseg.").replace(".cuda.", ".")
    return Row(
        kernel=name,
        dtype=dtype,
        architecture=architecture,
        registers=int(registers[1]),
        spilled=max(map(int, memory)),
        float64=0 if meant else _count(rf"^\s+(?!{allowed})[^/\n]*\.f64\b", ptx),
        float_atomics=_count(r"\b(?:atom|red)\.[\w.]*\.f(?:16|32|64)", ptx),
        divisions=_count(r"\b(?:div|rem)\.[su]64", ptx),
        instructions=code.instructions,
        shared=taken[2],
        blocks=machine_code.MULTIPROCESSORS[cc].holds(*taken),
        share=code.share,
        declared=kernel.tiled,
    )


def table(rows: list[Row]) -> str:
    """The rows in Markdown, and the versions that made them."""
    head = (
        *("kernel", "dtype", "for", "registers", "spilled", "float64", "64-bit div"),
        *("instructions", "shared", "blocks", "FMA"),
    )
    cells = [
        (
            *r[:6],
            r.divisions,
            r.instructions,
            r.shared,
            r.blocks,
            f"{r.share:.0%}" if r.declared else "",
        )
        for r in rows
    ]
    lines = [head, ("---",) * len(head), *cells]
    versions = f"numba {numba.__version__}, numba-cuda {_numba_cuda()}, {_ptxas_version()}"
    body = "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
    return f"{body}\n\nMade by {versions}."


def main(argv: list[str] | None = None) -> int:
    """Compile, print the table, and return 1 where there is a fault."""
    description, _, _ = str(__doc__).partition("\n\n")
    parser = argparse.ArgumentParser(prog="compile_gate", description=description)
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the table into this page")
    options = parser.parse_args(argv)
    try:
        if simulated():
            raise DeviceError("the simulator compiles nothing: unset NUMBA_ENABLE_CUDASIM")
        _ptxas()  # said before the work
        rows = compiled()
    except DeviceError as error:
        print(f"compile_gate: {error}", file=sys.stderr)
        return 2
    print(table(rows))
    if options.write:
        _replace(options.write, table(rows))
    faults = [fault for row in rows for fault in row.faults()]
    for fault in faults:
        print(f"FAULT {fault}", file=sys.stderr)
    names = {row.kernel for row in rows}
    print(f"\n{len(names)} kernels, {len(rows)} compilations, {len(faults)} faults")
    return 1 if faults else 0


def compiled() -> list[Row]:
    """Of all kernels. A process for each core: the compilers use one."""
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        return [row for part in pool.map(_compiled, (SHARED, *ELSEWHERE, *twins())) for row in part]


def _compiled(module: str) -> list[Row]:
    """All kernels of a module, for each dtype and each GPU."""
    return [
        compile_kernel(kernel, dtype, cc)
        for kernel in kernels(module)
        for dtype in dtypes(kernel)
        for cc in ARCHITECTURES
    ]


@functools.lru_cache(maxsize=1)
def _lowered(kernel: Kernel, dtype: str) -> Any:
    """The kernel as LLVM reads it, of which NVVM makes PTX for an architecture. Numba takes longer
    to come so far than NVVM and ptxas together, and writes the same for all that are asked for."""
    compiler: Any = importlib.import_module("numba.cuda.compiler")
    with _pretended_device(ARCHITECTURES[0]):
        library, _ = compiler._compile_pyfunc_with_fixup(
            kernel.function,
            kernel.signature(dtype),
            device=False,
            abi="numba",
            cc=ARCHITECTURES[0],
            launch_bounds=kernel.bounds,
        )
    return library


@contextlib.contextmanager
def _pretended_device(cc: tuple[int, int]) -> Iterator[None]:
    """Numba asks the current GPU what a function called by a kernel is to be compiled for."""
    dispatcher: Any = importlib.import_module("numba.cuda.dispatcher")
    real = dispatcher.get_current_device
    dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=cc)
    try:
        yield
    finally:
        dispatcher.get_current_device = real


def _assemble(ptx: str, architecture: str) -> tuple[str, bytes]:
    """ptxas: what it says, and the machine code."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "kernel.ptx"), Path(folder, "kernel.cubin")
        source.write_text(ptx)
        command = [_ptxas(), "-v", f"-arch={architecture}", str(source), "-o", str(target)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise DeviceError(
                f"{command[0]} ({_ptxas_version()}) failed: {done.stderr.strip()} "
                "(its version must not be older than NVVM's)"
            )
        return done.stderr, target.read_bytes()


def _ptxas() -> str:
    pathfinder: Any = importlib.import_module("cuda.pathfinder")  # comes with numba-cuda
    if (found := pathfinder.find_nvidia_binary_utility("ptxas")) is None:
        raise DeviceError("ptxas is not installed: pip install 'numseg[cuda-test]'")
    return str(found)


def _ptxas_version() -> str:
    said = subprocess.run([_ptxas(), "--version"], capture_output=True, text=True, check=True)
    version = re.search(r"V([\d.]+)", said.stdout)
    return f"ptxas {version[1] if version else 'of unknown version'}"


def _numba_cuda() -> str:
    return importlib.metadata.version("numba-cuda")


def _count(pattern: str, text: str) -> int:
    return len(re.findall(pattern, text, re.MULTILINE))


def _replace(page: Path, text: str) -> None:
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"compile_gate: {page} has no {BEGIN} ... {END} for the table")
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")


if __name__ == "__main__":
    sys.exit(main())
