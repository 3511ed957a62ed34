"""Arrays that end where forbidden memory begins, and memory that holds a pattern.

Between :func:`guard` and the end of its ``with``, every array that NumPy allocates stands against
pages that no code may touch: a read or write one byte beyond it ends the process (SIGSEGV), so this
is for a process of its own. All memory that NumPy or ``malloc`` hands out holds a pattern, so that
what a function never writes shows it. Linux with glibc.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import functools
import importlib
import mmap
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

PAGE = mmap.PAGESIZE
MARGIN = 16 * PAGE
"""Forbidden bytes before and after an array: what jumps further is not found."""

PATTERNS = 0x55, 0x2B
"""Two fillings, so that an entry which shows both was never written."""

_owner: list[str] = []
"""Whose arrays are allocated, innermost last; nobody's are the function's own."""

_PERTURB = -6
"""glibc's M_PERTURB: what malloc gives holds the complement of this byte; what is freed, the
byte."""

_SET_HANDLER = 304
"""The place of ``PyDataMem_SetHandler`` in NumPy's table of C functions."""


class Guard(NamedTuple):
    """How arrays stand during a call."""

    end: bool = True
    """Their ends touch forbidden memory; else their beginnings."""
    pattern: int = PATTERNS[0]
    which: str = "*"
    """All of them, those of one argument, or those that the function makes ("")."""
    forbid: str = "all"
    """"all", "writes", or "nothing": the same places, but nothing is forbidden."""


def possible() -> bool:
    """Can memory be guarded on this system?"""
    return sys.platform.startswith("linux") and hasattr(ctypes.CDLL(None), "gnu_get_libc_version")


@contextlib.contextmanager
def guard(how: Guard | None) -> Iterator[None]:
    """Guard what is allocated in here; None: nothing."""
    if how is None:
        yield
        return
    faulthandler.disable()  # a process that dies of this was meant to
    libc, memory = _libc(), _memory()
    previous = memory.set_handler(memory.capsule)
    libc.mallopt(_PERTURB, how.pattern)
    memory.how = how
    try:
        yield
    finally:
        libc.mallopt(_PERTURB, 0)
        memory.set_handler(previous)


@contextlib.contextmanager
def owner(name: str) -> Iterator[None]:
    """What is allocated in here belongs to an argument."""
    _owner.append(name)
    try:
        yield
    finally:
        _owner.pop()


class _Allocator(ctypes.Structure):
    """NumPy's ``PyDataMemAllocator``."""

    _fields_ = (
        ("ctx", ctypes.c_void_p),
        ("malloc", ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)),
        (
            "calloc",
            ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t),
        ),
        (
            "realloc",
            ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t),
        ),
        (
            "free",
            ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t),
        ),
    )


class _Handler(ctypes.Structure):
    """NumPy's ``PyDataMem_Handler`` (NEP 49)."""

    _fields_ = (
        ("name", ctypes.c_char * 127),
        ("version", ctypes.c_uint8),
        ("allocator", _Allocator),
    )


class _Memory:
    """Hands out memory in pages of its own."""

    def __init__(self) -> None:
        self.how = Guard()
        self._libc = _libc()
        self._blocks: dict[int, tuple[int, int, int]] = {}
        """By address: where its pages begin, how many bytes these are, how many were asked for."""
        types: dict[str, Any] = dict(_Allocator._fields_)
        allocator = _Allocator(
            None,
            types["malloc"](lambda ctx, size: self._new(size, None)),
            types["calloc"](lambda ctx, count, size: self._new(count * size, 0)),
            types["realloc"](lambda ctx, old, size: self._moved(old, size)),
            types["free"](lambda ctx, old, size: self._free(old)),
        )
        self._handler = _Handler(b"guarded", 1, allocator)
        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = (
            ctypes.py_object,
            (
                ctypes.c_void_p,
                ctypes.c_char_p,
                ctypes.c_void_p,
            ),
        )
        self._name = b"mem_handler"  # NumPy looks for a capsule of this name
        self.capsule = new(ctypes.addressof(self._handler), self._name, None)
        self.set_handler = _numpy_function(_SET_HANDLER)

    def _new(self, size: int, fill: int | None) -> int | None:
        pages = -(-max(size, 1) // PAGE) * PAGE
        total = pages + 2 * MARGIN
        start = self._libc.mmap(
            None, total, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANON, -1, 0
        )
        if start in (None, ctypes.c_void_p(-1).value):
            return None
        inside = start + MARGIN
        ctypes.memset(inside, ~self.how.pattern & 0xFF, pages)
        address = inside + (pages - size if self.how.end else 0)
        if fill is not None:
            ctypes.memset(address, fill, size)
        whose = _owner[-1] if _owner else ""
        if self.how.which in ("*", whose) and self.how.forbid != "nothing":
            allowed = mmap.PROT_READ if self.how.forbid == "writes" else 0
            self._libc.mprotect(start, MARGIN, allowed)
            self._libc.mprotect(inside + pages, MARGIN, allowed)
        self._blocks[address] = start, total, size
        return int(address)

    def _moved(self, old: int | None, size: int) -> int | None:
        address = self._new(size, None)
        if old and address:
            ctypes.memmove(address, old, min(size, self._blocks[old][2]))
            self._free(old)
        return address

    def _free(self, old: int | None) -> None:
        if old and old in self._blocks:
            start, total, _ = self._blocks.pop(old)
            self._libc.munmap(start, total)


@functools.cache
def _memory() -> _Memory:
    return _Memory()


@functools.cache
def _libc() -> Any:
    libc = ctypes.CDLL(None, use_errno=True)
    size, pointer = ctypes.c_size_t, ctypes.c_void_p
    libc.mmap.restype = pointer
    libc.mmap.argtypes = pointer, size, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long
    libc.munmap.argtypes = pointer, size
    libc.mprotect.argtypes = pointer, size, ctypes.c_int
    return libc


def _numpy_function(place: int) -> Any:
    """A function of NumPy's C interface that takes and returns an object."""
    core = "numpy._core" if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else "numpy.core"
    table = importlib.import_module(f"{core}._multiarray_umath")._ARRAY_API
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    functions = ctypes.cast(pointer(table, None), ctypes.POINTER(ctypes.c_void_p))
    return ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(functions[place])
