"""Where arrays live. The only module that asks which devices exist and that imports numba.cuda."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from numseg.errors import ArgumentTypeError, DeviceError
from numseg.typing import Array


class Host:
    """The CPU: NumPy arrays."""

    face = "cpu"

    @staticmethod
    def view(name: str, value: Any) -> Array:
        """A NumPy view of ``value``, without a copy."""
        if isinstance(value, np.ma.MaskedArray):
            raise ArgumentTypeError(f"{name} is a masked array; fill it first")
        if isinstance(value, np.ndarray):
            return value.view(np.ndarray)
        if hasattr(value, "__array_interface__") or hasattr(value, "__array__"):
            return np.asarray(value)
        if hasattr(value, "__dlpack__"):
            return np.from_dlpack(value)
        raise ArgumentTypeError(f"{name} must be an array, got {type(value).__name__}")

    @staticmethod
    def normal(view: Array) -> Array:
        """The one form kernels are compiled for: C-contiguous, native byte order, aligned, and
        typed read-only, so that a kernel that writes to an input does not compile."""
        native = view.dtype.newbyteorder("=")
        array = np.require(view.astype(native, copy=False), requirements=("C", "A")).view()
        array.flags.writeable = False
        return array

    @staticmethod
    def empty(shape: tuple[int, ...], dtype: Any) -> Array:
        return np.empty(shape, dtype)

    @staticmethod
    def to_host(array: Any) -> Array:
        return np.asarray(array)

    @staticmethod
    def from_host(array: Array) -> Any:
        return array


class Cuda:
    """The GPU, or Numba's simulator of one."""

    face = "cuda"

    @staticmethod
    def view(name: str, value: Any) -> Any:
        if not _on_gpu(value):
            raise DeviceError(
                f"{name} is on the CPU, but another argument is on the GPU: move one of them"
            )
        if not _is_cuda_array(value):
            raise DeviceError(
                f"{name} ({type(value).__name__}) is on the GPU but has no "
                "__cuda_array_interface__: pass it through cupy.from_dlpack first"
            )
        return value if hasattr(value, "__cuda_ndarray__") else _cuda().as_cuda_array(value)

    @staticmethod
    def normal(view: Any) -> Any:
        if view.is_c_contiguous():
            return view
        dense = Cuda.empty(view.shape, view.dtype)
        dense.copy_to_device(view)
        return dense

    @staticmethod
    def empty(shape: tuple[int, ...], dtype: Any) -> Any:
        return _cuda().device_array(shape, dtype)

    @staticmethod
    def to_host(array: Any) -> Array:
        return np.ascontiguousarray(array.copy_to_host())

    @staticmethod
    def from_host(array: Array) -> Any:
        return _cuda().to_device(array)


Device = type[Host] | type[Cuda]


def of(values: list[Any]) -> Device:
    """The device the arrays choose: CUDA as soon as one of them is there."""
    return Cuda if any(map(_on_gpu, values)) else Host


def _on_gpu(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return False
    if _is_cuda_array(value):
        return True
    kind = getattr(value, "__dlpack_device__", None)
    return kind is not None and kind()[0] == 2  # kDLCUDA


def _is_cuda_array(value: Any) -> bool:
    """Numba's own arrays say so by ``__cuda_ndarray__``, in the simulator too."""
    return hasattr(value, "__cuda_ndarray__") or hasattr(value, "__cuda_array_interface__")


@functools.cache
def _cuda() -> Any:
    try:
        from numba import cuda
    except ImportError as error:
        raise DeviceError(
            "CUDA arrays need numba-cuda, which is not installed: pip install 'numseg[cuda]'"
        ) from error
    return cuda


def describe_cuda() -> str:
    """One line on what there is of CUDA, for people to read."""
    import numba

    try:
        cuda = _cuda()
    except DeviceError as error:
        return str(error)
    if numba.config.ENABLE_CUDASIM:  # type: ignore[attr-defined]
        return "Numba's simulator (NUMBA_ENABLE_CUDASIM)"
    try:
        devices = [
            f"{_text(gpu.name)}, compute capability {'.'.join(map(str, gpu.compute_capability))}"
            for gpu in cuda.list_devices()
        ]
    except Exception as error:  # without a driver the library fails in many ways
        return f"no device ({' '.join(str(error).split())[:80]})"
    return "; ".join(devices) or "no device"


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def __getattr__(name: str) -> Any:
    """``from numseg.device import cuda`` in the ``cuda.py`` faces."""
    if name == "cuda":
        return _cuda()
    raise AttributeError(name)
