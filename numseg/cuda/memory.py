"""Device memory that is used again: a step of training allocates nothing after the first.

CUDA takes its time to allocate, and waits for the whole GPU to give memory back. So a block that no
array needs any more is kept, by its size and by the stream it was made for, and the next array of
about that size on that stream has it: whatever still reads the block was queued before, so nothing
needs to wait. If another stream has read it as well, the block's own stream first waits for that
one, on the GPU.

Sizes are rounded up to eighths of a power of two, which wastes an eighth at most. Where a memory
manager was chosen for Numba (RMM, CuPy: ``numba.cuda.set_memory_manager``), it is left to do this.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import Any, NamedTuple

import numpy as np

from numseg.cuda import runtime, streams

SMALLEST = 512
"""Bytes of the smallest block; all begin at multiples of it."""


class Stats(NamedTuple):
    """What the pool has done so far."""

    allocations: int
    """Blocks that were asked of CUDA."""
    kept: int
    """Bytes that wait for a next array."""
    used: int
    """Bytes of arrays that live."""


class Block:
    """Memory that one array owns, with its views; gone with the last of them."""

    def __init__(self, pool: Pool, memory: Any, size: int, place: Any, stream: Any) -> None:
        self.pool, self.memory, self.size, self.place = pool, memory, size, place
        self.stream, self.readers = stream, dict[int, Any]()

    def read_on(self, stream: Any) -> None:
        """Another stream reads it, too."""
        if not streams.same(stream, self.stream):
            self.readers[streams.handle(stream)] = stream

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """Of the simulator's memory."""
        described: dict[str, Any] = self.memory.__array_interface__
        return described

    def __del__(self) -> None:
        try:
            for stream in self.readers.values():
                streams.wait(self.stream, stream)
            self.pool.take_back(self)
        except Exception:  # the interpreter, or CUDA, shuts down
            return


class Pool:
    """Blocks by GPU, stream and size. ``allocate`` makes new ones, of so many bytes."""

    def __init__(self, allocate: Any) -> None:
        self._allocate = allocate
        self._lock = threading.RLock()  # a garbage collection may give blocks back within
        self._free: dict[Any, list[Any]] = defaultdict(list)
        self._allocations = self._kept = self._used = 0

    def block(self, size: int, device: int, stream: Any) -> Block:
        """Memory for ``size`` bytes."""
        size = rounded(size)
        place = device, streams.handle(stream), size
        with self._lock:
            waiting = self._free[place]
            memory = waiting.pop() if waiting else None
            self._kept -= size if memory is not None else 0
        if memory is None:
            memory = self._new(size)
        with self._lock:
            self._used += size
        return Block(self, memory, size, place, stream)

    def take_back(self, block: Block) -> None:
        """Keep the memory for the next array."""
        with self._lock:
            self._free[block.place].append(block.memory)
            self._kept += block.size
            self._used -= block.size

    def trim(self) -> None:
        """Give what waits back to CUDA, which waits for the GPU."""
        with self._lock:
            given, self._free = self._free, defaultdict(list)
            self._kept = 0
        given.clear()

    def stats(self) -> Stats:
        with self._lock:
            return Stats(self._allocations, self._kept, self._used)

    def _new(self, size: int) -> Any:
        with self._lock:
            self._allocations += 1
        try:
            return self._allocate(size)
        except Exception:  # whatever the driver calls it: memory may be short
            if not self.stats().kept:
                raise
            self.trim()
            return self._allocate(size)


def rounded(size: int) -> int:
    """The size of the block for so many bytes: an eighth of a power of two, or SMALLEST."""
    step = max(1 << max((size - 1).bit_length() - 4, 0), SMALLEST)
    return max(-(-size // step), 1) * step


def empty(shape: tuple[int, ...], dtype: Any, strides: tuple[int, ...] | None = None) -> Any:
    """A new device array, its numbers not set; C-contiguous, or with strides that leave no gaps."""
    dtype, stream = np.dtype(dtype), streams.current()
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if size == 0 or not _ours():
        return runtime.cuda.device_array(shape, dtype, strides=strides, stream=stream)
    block = POOL.block(size, runtime.current_gpu(), stream)
    make = runtime.simulated_array if runtime.simulated() else runtime.device_array
    return make(block, tuple(shape), dtype, strides, stream)


def block_of(array: Any) -> Block | None:
    """The pool's block that holds an array, if one does."""
    owner = array._ary if runtime.simulated() else getattr(array.gpu_data, "owner", None)
    while isinstance(owner, np.ndarray):
        owner = owner.base
    return owner if isinstance(owner, Block) else None


def trim() -> None:
    """Give memory that no array uses back to CUDA, for other libraries. Waits for the GPU."""
    POOL.trim()


def stats() -> Stats:
    """What the pool has done so far."""
    return POOL.stats()


def _ours() -> bool:
    return runtime.simulated() or runtime.numba_manages_memory()


POOL = Pool(runtime.allocate)
