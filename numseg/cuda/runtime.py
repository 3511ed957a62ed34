"""Which CUDA there is: numba-cuda with a GPU, Numba's simulator, or none.

The only module that imports ``numba.cuda``; everything else takes ``cuda`` from here.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import math
from typing import Any

import numpy as np

from numseg.errors import DeviceError, one_line


def simulated() -> bool:
    """Numba's simulator stands in for a GPU (``NUMBA_ENABLE_CUDASIM=1``)."""
    import numba

    return bool(numba.config.ENABLE_CUDASIM)  # type: ignore[attr-defined]


@functools.cache
def _cuda() -> Any:
    if importlib.util.find_spec("numba_cuda") is None:  # Numba has an older numba.cuda of its own
        raise DeviceError(
            "CUDA arrays need numba-cuda, which is not installed: pip install 'numseg[cuda]'"
        )
    return importlib.import_module("numba.cuda")


def cuda_available() -> bool:
    """There is numba-cuda, and a GPU or the simulator."""
    try:
        cuda = _cuda()
        return simulated() or bool(cuda.is_available())
    except DeviceError:
        return False


def describe_cuda() -> str:
    """One line on what there is of CUDA, for people to read."""
    try:
        cuda = _cuda()
    except DeviceError as error:
        return str(error)
    if simulated():
        return "Numba's simulator (NUMBA_ENABLE_CUDASIM)"
    try:
        devices = [
            f"{_text(gpu.name)}, compute capability {'.'.join(map(str, gpu.compute_capability))}"
            for gpu in cuda.list_devices()
        ]
        driver = driver_version()
    except Exception as error:  # without a driver the library fails in many ways
        return f"no device ({one_line(error)[:80]})"
    return f"{'; '.join(devices) or 'no device'} (driver for CUDA {driver})"


def current_gpu() -> int:
    """The number of the GPU that kernels run on now."""
    return getattr(_cuda().get_current_device(), "id", 0)  # the simulator's has no number


def compute_capability() -> tuple[int, int]:
    """Of the GPU that kernels run on now."""
    major, minor = _cuda().get_current_device().compute_capability
    return int(major), int(minor)


def driver_version() -> str:
    """The newest CUDA that the driver knows."""
    return ".".join(map(str, _cuda().cudadrv.driver.driver.get_version()))


def numba_manages_memory() -> bool:
    """No memory manager (RMM, CuPy) was chosen for Numba, which then is Numba's own."""
    manager = type(_cuda().current_context().memory_manager).__name__
    return manager == "NumbaCUDAMemoryManager"


def allocate(size: int) -> Any:
    """Memory of the current GPU, by Numba; given back when the object goes."""
    return _cuda().current_context().memalloc(size)


def device_array(
    block: Any, shape: tuple[int, ...], dtype: Any, strides: tuple[int, ...] | None, stream: Any
) -> Any:
    """An array at the beginning of a block, which it keeps alive."""
    cuda, size = _cuda(), math.prod(shape) * dtype.itemsize
    context, memory = cuda.current_context(), block.memory
    data = cuda.cudadrv.driver.MemoryPointer(context, memory.device_pointer, size, owner=block)
    steps = strides or tuple(dtype.itemsize * math.prod(shape[k + 1 :]) for k in range(len(shape)))
    return cuda.cudadrv.devicearray.DeviceNDArray(shape, steps, dtype, stream, gpu_data=data)


def simulated_array(
    block: Any, shape: tuple[int, ...], dtype: Any, strides: tuple[int, ...] | None, stream: Any
) -> Any:
    """The same in the simulator, whose device memory is the host's."""
    arrays: Any = importlib.import_module("numba.cuda.simulator.cudadrv.devicearray")
    memory = np.ndarray(shape, dtype, np.asarray(block), strides=strides)
    return arrays.FakeCUDAArray(memory, stream=stream)


def empty(shape: tuple[int, ...], dtype: Any) -> Any:
    """A new device array, its numbers not set."""
    from numseg.cuda.memory import empty  # which needs this module

    return empty(shape, dtype)


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def __getattr__(name: str) -> Any:
    """``from numseg.cuda.runtime import cuda``: imported when it is asked for."""
    if name == "cuda":
        return _cuda()
    raise AttributeError(name)
