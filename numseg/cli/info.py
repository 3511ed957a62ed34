"""``numseg info``: what this machine and this installation have."""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

EXAMPLES = """examples:
  numseg info                  what a report of a problem should begin with
  numseg info --clear-cache    remove the compiled kernels; they are compiled again when needed
"""

CORE = ("numpy", "numba", "llvmlite", "scipy")
EXTRAS = (
    "pillow", "scikit-image", "matplotlib", "tqdm", "safetensors", "pycocotools", "numba-cuda",
)  # fmt: skip
FEATURES = ("sse4.2", "avx", "fma", "avx2", "avx512f", "avx512vnni", "neon", "sve")


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "info",
        help="versions, CPU, threads, kernel cache, CUDA",
        description="Show versions, the CPU and its features, threads, the cache and CUDA.",
        epilog=EXAMPLES,
    )
    parser.add_argument("--clear-cache", action="store_true", help="remove the compiled kernels")


def run(args: argparse.Namespace) -> None:
    from numseg.kernels.machine.jit import cache_directory

    if args.clear_cache:
        removed = [_remove(file) for file in _cached(cache_directory())]
        print(f"removed {_amount(removed)} from {cache_directory()}")
        return
    rows = list(_facts(cache_directory()))
    width = max(len(name) for name, _ in rows)
    for name, fact in rows:
        print(f"{name:<{width}}  {fact}")


def _facts(cache: Path) -> Iterator[tuple[str, str]]:
    from numseg import __version__, get_num_threads
    from numseg.cuda.runtime import describe_cuda

    yield "numseg", f"{__version__} ({Path(__file__).parent.parent})"
    yield "python", f"{platform.python_version()} on {platform.platform()}"
    for package in (*CORE, *EXTRAS):
        yield package, _version(package)
    yield "cpu", _cpu()
    yield "threads", str(get_num_threads())
    yield "cache", f"{cache} ({_amount([f.stat().st_size for f in _cached(cache)])})"
    yield "cuda", describe_cuda()


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _cpu() -> str:
    """Its name in LLVM, and which vector instructions it has."""
    from llvmlite import binding

    features = binding.get_host_cpu_features()
    found = " ".join(name for name in FEATURES if features.get(name))
    return f"{binding.get_host_cpu_name()} ({found or 'no vector instructions'})"


def _cached(cache: Path) -> list[Path]:
    """The compiled kernels, and what an interrupted writer left."""
    if not cache.is_dir():
        return []
    return [*cache.glob("numseg.*-*"), *cache.glob(".writing-*")]


def _remove(file: Path) -> int:
    size = file.stat().st_size
    file.unlink(missing_ok=True)
    return size


def _amount(sizes: list[int]) -> str:
    return f"{len(sizes)} compiled kernels, {sum(sizes) / 1e6:.1f} MB"
