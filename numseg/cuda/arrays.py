"""CUDA arrays: the counterpart of :class:`numseg.device.Host`."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any

import numpy as np

from numseg.cuda import memory, runtime, streams
from numseg.errors import ArgumentTypeError, DeviceError, one_line
from numseg.typing import Array


class Cuda:
    """The GPU, or Numba's simulator of one.

    Everything is queued on the current stream (:mod:`numseg.cuda.streams`), in the order of the
    calls, and the host waits for nothing but :meth:`to_host`. An array that names another stream
    is used once that one is done with it: by an event, on the GPU.
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
        _ordered(view)
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
        return memory.empty(shape, dtype)

    @staticmethod
    def to_host(array: Any) -> Array:
        """A copy. Waits until what makes the array is done."""
        _ordered(array)
        queue = streams.queue()
        found = np.asarray(array.copy_to_host(stream=queue), order="C")  # leaves 0 axes as they are
        queue.synchronize()
        return found

    @staticmethod
    def from_host(array: Array, remember: bool = False) -> Any:
        """A copy, in columns if the array is. Waits for nothing, unless memory is pinned, which
        must stay as it is until the stream is done. ``remember``: neither changes any more, so
        checks of values may look at the one on the CPU."""
        one_run = array.flags.c_contiguous or array.flags.f_contiguous  # all that can be sent
        repeated = 0 in array.strides  # to Numba; to NumPy an axis of one number may have any step
        array = array if one_run and not repeated else array.copy("C")
        strides = None if array.flags.c_contiguous else array.strides
        there = memory.empty(array.shape, array.dtype, strides)
        if array.size:
            there.copy_to_device(array, stream=streams.queue())
        if remember:
            there.numseg_host = array
        return there

    @staticmethod
    def given(entry: Any) -> Any:
        """A result of a call, or a gradient, as the caller gets it."""
        return entry

    @staticmethod
    def remembered(array: Any) -> Array | None:
        """What the array was copied from, if that may still be looked at."""
        return getattr(array, "numseg_host", None)


def _ordered(array: Any) -> None:
    """Let the current stream wait for the one that an array is of."""
    now = streams.current()
    if array.stream is not now:
        streams.wait(now, array.stream)
        if (block := memory.block_of(array)) is not None:
            block.read_on(now)


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
    current = runtime.current_gpu()
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
    if runtime.simulated():
        return _simulated(described)
    view = runtime.cuda.as_cuda_array(described, sync=False)
    named = described.__cuda_array_interface__.get("stream")
    return view.bind(streams.external(named) if named else streams.current())


def _from_dlpack(value: Any) -> _Described:
    views: Any = importlib.import_module("cuda.core.utils")  # comes with numba-cuda
    # the owner lets this stream wait for what makes the array
    stream = streams.handle(streams.current()) if not runtime.simulated() else streams.LEGACY
    seen = views.StridedMemoryView.from_dlpack(value, stream_ptr=stream)
    strides = seen.strides
    interface = {
        "shape": seen.shape,
        "strides": strides and tuple(step * seen.dtype.itemsize for step in strides),
        "typestr": seen.dtype.str,
        "data": (seen.ptr, seen.readonly),
        "version": 3,
    }
    return _Described(interface, seen)


def _simulated(described: _Described) -> Any:
    """The simulator's device memory is the host's."""
    arrays: Any = importlib.import_module("numba.cuda.simulator.cudadrv.devicearray")
    interface = {k: v for k, v in described.__cuda_array_interface__.items() if k != "stream"}
    there = SimpleNamespace(__array_interface__=interface, owner=described)
    return arrays.FakeCUDAArray(np.asarray(there), stream=streams.current())
