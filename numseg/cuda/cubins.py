"""Compiled CUDA kernels on disk, beside those of the CPU (:mod:`numseg.kernels.machine.jit`).

Numba-cuda can keep what it compiled (``cache=True``), but by the time stamp of one file, and in an
index that processes overwrite for each other. So a kernel is one file here as well, named by a
digest of all that its machine code depends on: the sources that it is made of, its signature and
options, the GPU's compute capability, the versions of Python, of the compilers and of the driver.
A file that cannot be read, written, or made a kernel of costs a compilation, never an error.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.metadata
import pickle
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numba
import numpy as np

from numseg.cuda import runtime
from numseg.kernels.machine.jit import cache_directory, read_payload, source_digest, write_payload

COMPILERS = (
    *("numba-cuda", "cuda-core", "cuda-bindings", "llvmlite"),
    *("nvidia-nvvm", "nvidia-nvjitlink", "nvidia-cuda-nvcc", "nvidia-cuda-nvrtc"),
)
"""Packages that have a part in the machine code."""


class Cubins:
    """What a dispatcher of numba-cuda asks for compiled kernels, and gives them to."""

    def __init__(self, name: str, sources: Sequence[str], options: Any) -> None:
        self._name, self._options = name, repr(sorted(options.items()))
        self._sources = source_digest(*sources)
        self._enabled = self._sources is not None

    @property
    def cache_path(self) -> str:
        return str(cache_directory())

    def file(self, signature: Any) -> Path:
        """Of the kernel for a signature, on the current GPU."""
        fields = [getattr(type_, "fields", None) for type_ in signature]  # names, of a NamedTuple
        capability = runtime.compute_capability()
        key = repr((signature, fields, capability, self._sources, self._options, _settings()))
        digest = hashlib.sha256(key.encode()).hexdigest()[:32]
        return cache_directory() / f"{self._name}-cuda-{digest}"

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        if not self._enabled:
            return None
        dispatcher: Any = importlib.import_module("numba.cuda.dispatcher")
        target_context.refresh()
        try:
            states = pickle.loads(read_payload(self.file(sig)))
            return dispatcher._Kernel._rebuild(**states)
        except Exception:  # no such file, a damaged one, or one of another Numba: compile again
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        if not self._enabled:
            return
        serialize: Any = importlib.import_module("numba.cuda.serialize")
        try:
            write_payload(self.file(sig), serialize.dumps(data._reduce_states()))
        except Exception:  # read-only or full disk, or nothing to pickle: compile again next time
            self._enabled = False

    def enable(self) -> None:
        self._enabled = self._sources is not None

    def disable(self) -> None:
        self._enabled = False

    def flush(self) -> None:
        for file in cache_directory().glob(f"{self._name}-cuda-*"):
            file.unlink(missing_ok=True)


def keep(dispatcher: Any, name: str, sources: Sequence[str]) -> None:
    """Let a dispatcher look for its kernels on disk, which are made of these modules."""
    dispatcher._cache = Cubins(name, sources, dispatcher.targetoptions)


@functools.cache
def _settings() -> tuple[Any, ...]:
    """What machine code depends on besides its source, its signature and the GPU."""
    versions = [sys.version, numba.__version__, np.__version__, runtime.driver_version()]
    for package in COMPILERS:
        try:
            versions.append(importlib.metadata.version(package))
        except importlib.metadata.PackageNotFoundError:  # a toolkit of the system's: the driver's
            versions.append("")
    config: Any = importlib.import_module("numba.cuda.core").config
    names = "OPT", "CUDA_DEBUGINFO_DEFAULT", "CUDA_ENABLE_PYNVJITLINK", "CUDA_FASTMATH"
    return *versions, *(getattr(config, name, None) for name in names)
