"""These tests run on a GPU, or, slowly and with tiny shapes, on Numba's simulator of one:

NUMBA_ENABLE_CUDASIM=1 pytest tests/cuda
"""

from __future__ import annotations

import importlib
import itertools
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from numseg.cuda import runtime


@pytest.fixture(autouse=True, scope="session")
def _one_thread_after_the_other() -> Iterator[None]:
    """The simulator starts a Python thread for each of CUDA's and waits in a busy loop. No kernel
    here has a barrier, so a block's threads may as well run one after the other, four times as
    fast; every other block from the last to the first, so that what depends on the order shows."""
    if not (runtime.cuda_available() and runtime.simulated()):
        yield
        return
    kernel: Any = importlib.import_module("numba.cuda.simulator.kernel")
    turns = itertools.cycle((1, -1))

    def run(block: Any, place: tuple[int, ...], *args: Any) -> None:
        me: Any = threading.current_thread()
        me.blockIdx = kernel.Dim3(*place)
        for thread in list(np.ndindex(*block._block_dim))[:: next(turns)]:
            me.threadIdx = kernel.Dim3(*thread)
            block._f(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel.BlockManager, "run", run)
        yield
