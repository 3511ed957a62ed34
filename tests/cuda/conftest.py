"""These tests run on a GPU, or, slowly and with tiny shapes, on Numba's simulator of one:

NUMBA_ENABLE_CUDASIM=1 pytest tests/cuda
"""

from __future__ import annotations

import contextvars
import importlib
import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from numseg.cuda import runtime


class Lane(threading.Thread):
    """A CUDA thread of a kernel with barriers. It runs while the block waits for it, up to its next
    barrier or its end, so that lanes take turns, in an order that is the same every time."""

    def __init__(self, work: Callable[[], None], block: Any, place: Any) -> None:
        super().__init__(daemon=True)
        self.work, self.blockIdx, self.threadIdx = work, block, place
        self.context = contextvars.copy_context()  # NumPy's warnings as in the test
        self.mine, self.theirs = threading.Lock(), threading.Lock()
        self.mine.acquire()
        self.theirs.acquire()
        self.error: BaseException | None = None
        self.done = False
        self.start()

    def run(self) -> None:
        self.mine.acquire()
        try:
            self.context.run(self.work)
        except BaseException as error:
            self.error = error
        self.done = True
        self.theirs.release()

    def syncthreads(self) -> None:
        self.theirs.release()
        self.mine.acquire()

    def go_on(self) -> None:
        """Called by the block: up to the next barrier."""
        self.mine.release()
        self.theirs.acquire()
        if self.error is not None:
            raise self.error


def in_turns(work: Callable[[], None], block: Any, places: list[Any]) -> None:
    """A block whose threads wait for each other at barriers, which all of them must come to."""
    lanes = [Lane(work, block, place) for place in places]
    while not lanes[0].done:
        for lane in lanes:
            lane.go_on()
        assert len({lane.done for lane in lanes}) == 1, "some threads end before a barrier"


@pytest.fixture(autouse=True, scope="session")
def _one_thread_after_the_other() -> Iterator[None]:
    """The simulator starts a Python thread for each of CUDA's and waits in a busy loop. Without a
    barrier a block's threads may as well run one after the other, four times as fast; with barriers
    they take turns from one to the next. Every other block runs from the last to the first, so that
    what depends on the order shows."""
    if not (runtime.cuda_available() and runtime.simulated()):
        yield
        return
    kernel: Any = importlib.import_module("numba.cuda.simulator.kernel")
    array = kernel.FakeWithinKernelCUDAArray  # two wrappers around each number that is read
    turns = itertools.cycle((1, -1))

    def run(block: Any, place: tuple[int, ...], *given: Any) -> None:
        args = [arg._item._ary if isinstance(arg, array) else arg for arg in given]
        me: Any = threading.current_thread()
        me.blockIdx = kernel.Dim3(*place)
        threads = [kernel.Dim3(*at) for at in np.ndindex(*block._block_dim)][:: next(turns)]
        if "syncthreads" in block._f.__code__.co_names:
            return in_turns(lambda: block._f(*args), me.blockIdx, threads)
        for thread in threads:
            me.threadIdx = thread
            block._f(*args)

    call = kernel.FakeCUDAKernel.__call__

    def quick(function: Any, *args: Any) -> Any:
        """The simulator searches all that a function of the device knows for `cuda`, at each call,
        to give it another one."""
        if not function._device:
            return call(function, *args)
        if "cuda" not in function.fn.__code__.co_names:
            return function.fn(*args)
        space = function.fn.__globals__
        before, space["cuda"] = space["cuda"], kernel._get_kernel_context()
        try:
            return function.fn(*args)
        finally:
            space["cuda"] = before

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel.BlockManager, "run", run)
        patch.setattr(kernel.FakeCUDAKernel, "__call__", quick)
        yield
