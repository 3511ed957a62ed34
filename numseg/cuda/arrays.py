"""CUDA arrays: the counterpart of :class:`numseg.device.Host`."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any

import numpy as np

from numseg.cuda import runtime
from numseg.errors import ArgumentTypeError, DeviceError, one_line
from numseg.typing import Array


class Cuda:
    """The GPU, or Numba's simulator of one.

    Everything runs on CUDA's legacy default stream, in the order of the calls. An array from
    another library is used once the stream that its owner names, if it names one, is done.
    """

    face = "cuda"

    @staticmethod
    def view(name: str, value: Any) -> Any:
        """A Numba view of ``value``, without a copy."""
        if not on_gpu(value):
            if not any(hasattr(value, way) for way in ("__array__", "__dlpack__")):
                raise ArgumentTypeError(f"{name} must be an array, got {type(value).__name__}")
            raise DeviceError(
                f"{name} is on the CPU, but another argument is on the GPU: move one of them"
            )
        _check_current(name, value)
        view = value if hasattr(value, "__cuda_ndarray__") else _adopted(name, value)
        if not view.dtype.isnative:
            raise ArgumentTypeError(
                f"{name} has dtype {view.dtype.str}: a CUDA array must be in native byte order"
            )
        return view

    @staticmethod
    def normal(view: Any) -> Any:
        """The one form kernels are compiled for: C-contiguous."""
        if view.is_c_contiguous():
            return view
        from numseg.cuda.launch import dense  # which needs numba-cuda

        return dense(view)

    @staticmethod
    def empty(shape: tuple[int, ...], dtype: Any) -> Any:
        return runtime.empty(shape, dtype)

    @staticmethod
    def to_host(array: Any) -> Array:
        return np.asarray(array.copy_to_host(), order="C")  # which leaves 0 axes as they are

    @staticmethod
    def from_host(array: Array) -> Any:
        one_run = array.flags.c_contiguous or array.flags.f_contiguous  # all that can be sent
        return runtime.cuda.to_device(array if one_run else array.copy("C"))


def on_gpu(value: Any) -> bool:
    """The value is an array in the memory of a GPU."""
    if isinstance(value, np.ndarray):
        return False
    if hasattr(value, "__cuda_ndarray__"):
        return True
    return _has_interface(value) or _ordinal(value) is not None


def _has_interface(value: Any) -> bool:
    try:
        return hasattr(value, "__cuda_array_interface__")
    except Exception:  # there is one that cannot be had now; _adopted says why
        return True


def _ordinal(value: Any) -> int | None:
    """The number of the GPU that holds the array, as far as the array says."""
    if hasattr(value, "__cuda_ndarray__"):
        context = getattr(getattr(value, "gpu_data", None), "context", None)
        return None if context is None else int(context.device.id)
    try:
        kind, number = value.__dlpack_device__()
    except Exception:  # there is none, or none that DLPack knows: the view says why
        return None
    return number if kind in (2, 13) else None  # kDLCUDA, kDLCUDAManaged


def _check_current(name: str, value: Any) -> None:
    """Kernels run on the current GPU, and an array on another is out of their reach."""
    current = getattr(runtime.cuda.get_current_device(), "id", 0)  # the simulator's has no number
    if (ordinal := _ordinal(value)) not in (None, current):
        raise DeviceError(
            f"{name} is on GPU {ordinal}, but the current one is GPU {current}: "
            f"call within `with numba.cuda.gpus[{ordinal}]:`"
        )


class _Described:
    """Device memory by its ``__cuda_array_interface__``, and who keeps it alive."""

    def __init__(self, interface: dict[str, Any], owner: Any) -> None:
        self.__cuda_array_interface__ = interface
        self.owner = owner


def _adopted(name: str, value: Any) -> Any:
    """Numba's view of another library's array."""
    try:
        interface = getattr(value, "__cuda_array_interface__", None)
        described = _from_dlpack(value) if interface is None else _Described(interface, value)
    except Exception as error:  # PyTorch: the tensor requires grad; DLPack: a dtype without a name
        raise ArgumentTypeError(f"{name} cannot be read on the GPU: {one_line(error)}") from None
    if described.__cuda_array_interface__.get("mask") is not None:
        raise ArgumentTypeError(f"{name} is a masked array; fill it first")
    return _simulated(described) if runtime.simulated() else runtime.cuda.as_cuda_array(described)


def _from_dlpack(value: Any) -> _Described:
    views: Any = importlib.import_module("cuda.core.utils")  # comes with numba-cuda
    memory = views.StridedMemoryView.from_dlpack(value, stream_ptr=1)  # the legacy default stream
    strides = memory.strides
    interface = {
        "shape": memory.shape,
        "strides": strides and tuple(step * memory.dtype.itemsize for step in strides),
        "typestr": memory.dtype.str,
        "data": (memory.ptr, memory.readonly),
        "version": 3,
    }
    return _Described(interface, memory)


def _simulated(described: _Described) -> Any:
    """The simulator's device memory is the host's."""
    arrays: Any = importlib.import_module("numba.cuda.simulator.cudadrv.devicearray")
    interface = {k: v for k, v in described.__cuda_array_interface__.items() if k != "stream"}
    memory = SimpleNamespace(__array_interface__=interface, owner=described)
    return arrays.FakeCUDAArray(np.asarray(memory))
