"""Where arrays live. The only module that asks which devices exist and that imports numba.cuda."""

from __future__ import annotations

import functools
import importlib
import importlib.util
from types import SimpleNamespace
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
        try:
            if hasattr(value, "__array_interface__") or hasattr(value, "__array__"):
                return np.asarray(value)
            if hasattr(value, "__dlpack__"):
                return np.from_dlpack(value)
        except Exception as error:  # PyTorch: the tensor requires grad, or NumPy lacks its dtype
            raise ArgumentTypeError(f"{name} has no view in NumPy: {_line(error)}") from None
        raise ArgumentTypeError(f"{name} must be an array, got {type(value).__name__}")

    @staticmethod
    def normal(view: Array) -> Array:
        """The one form kernels are compiled for: C-contiguous, native byte order, aligned, and
        typed read-only, so that a kernel that writes to an input does not compile."""
        if not (view.flags.c_contiguous and view.flags.aligned and view.dtype.isnative):
            native = view.dtype.newbyteorder("=")
            view = np.require(view.astype(native, copy=False), requirements=("C", "A"))
        array = view.view()
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
    """The GPU, or Numba's simulator of one.

    Everything runs on CUDA's legacy default stream, in the order of the calls. An array from
    another library is used once the stream that its owner names, if it names one, is done.
    """

    face = "cuda"

    @staticmethod
    def view(name: str, value: Any) -> Any:
        """A Numba view of ``value``, without a copy."""
        if not _on_gpu(value):
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
        kernels: Any = importlib.import_module("numseg.kernels.cuda")  # which imports this module
        return kernels.dense(view)

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
    ask = getattr(value, "__dlpack_device__", None)
    kind, number = ask() if ask is not None else (None, None)
    return number if kind in (2, 13) else None  # kDLCUDA, kDLCUDAManaged


def _check_current(name: str, value: Any) -> None:
    """Kernels run on the current GPU, and an array on another is out of their reach."""
    current = getattr(_cuda().get_current_device(), "id", 0)  # the simulator's has no number
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
        raise ArgumentTypeError(f"{name} cannot be read on the GPU: {_line(error)}") from None
    if described.__cuda_array_interface__.get("mask") is not None:
        raise ArgumentTypeError(f"{name} is a masked array; fill it first")
    return _simulated(described) if simulated() else _cuda().as_cuda_array(described)


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
        return f"no device ({_line(error)[:80]})"
    return f"{'; '.join(devices) or 'no device'} (driver for CUDA {driver})"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def __getattr__(name: str) -> Any:
    """``from numseg.device import cuda`` in the ``cuda.py`` faces."""
    if name == "cuda":
        return _cuda()
    raise AttributeError(name)
