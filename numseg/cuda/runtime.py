"""Which CUDA there is: numba-cuda with a GPU, Numba's simulator, or none.

The only module that imports ``numba.cuda``; everything else takes ``cuda`` from here.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from typing import Any

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
        driver = ".".join(map(str, cuda.cudadrv.driver.driver.get_version()))
    except Exception as error:  # without a driver the library fails in many ways
        return f"no device ({one_line(error)[:80]})"
    return f"{'; '.join(devices) or 'no device'} (driver for CUDA {driver})"


def empty(shape: tuple[int, ...], dtype: Any) -> Any:
    """A new device array, its numbers not set."""
    return _cuda().device_array(shape, dtype)


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def __getattr__(name: str) -> Any:
    """``from numseg.cuda.runtime import cuda``: imported when it is asked for."""
    if name == "cuda":
        return _cuda()
    raise AttributeError(name)
