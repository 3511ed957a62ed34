"""Where arrays live: on the CPU (:class:`Host`) or on a GPU (:class:`numseg.cuda.arrays.Cuda`)."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from numseg import checks
from numseg.cuda.arrays import Cuda, on_gpu
from numseg.cuda.runtime import cuda_available, describe_cuda
from numseg.errors import ArgumentTypeError, DeviceError, one_line
from numseg.typing import Array

__all__ = ["Cuda", "Device", "Host", "asarray", "asnumpy", "named", "of", "ready", "seen"]


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
            small = re.search(r"float(8|16)", str(getattr(value, "dtype", "")))
            hint = f" ({value.dtype}: convert it to float32)" if small else ""
            raise ArgumentTypeError(
                f"{name} has no view in NumPy: {one_line(error)}{hint}"
            ) from None
        raise ArgumentTypeError(f"{name} must be an array, got {type(value).__name__}")

    @staticmethod
    def normal(view: Array) -> Array:
        """The one form kernels are compiled for: C-contiguous, native byte order, aligned, and
        typed read-only, so that a kernel that writes to an input does not compile."""
        if not (view.flags.c_contiguous and view.flags.aligned and view.dtype.isnative):
            native = view.dtype.newbyteorder("=")
            view = np.require(view.astype(native, copy=False), requirements=("C", "A"))
        array = view.view()
        array.setflags(write=False)
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

    @staticmethod
    def given(entry: Any) -> Any:
        return entry

    @staticmethod
    def remembered(array: Any) -> Array | None:
        return np.asarray(array)


Device = type[Host] | type[Cuda]

DEVICES: dict[str, Device] = {"cpu": Host, "cuda": Cuda}


def named(name: str) -> Device:
    """The device of this name; a DeviceError if it is not there."""
    checks.choice("device", name, tuple(DEVICES))
    if name == "cuda" and not cuda_available():
        raise DeviceError(f"device is 'cuda', but there is none: {describe_cuda()}")
    return DEVICES[name]


def asarray(x: Any, device: str | None = None) -> Any:
    """The array on a device: itself or a view where it is there already, else a copy.

    Parameters
    ----------
    x : array
        NumPy's, or of any library: with ``__cuda_array_interface__``, DLPack, or
        ``__array__``.
    device : {"cpu", "cuda"}, optional
        By default the array stays where it is.

    Returns
    -------
    array
        On the CPU a NumPy array. On the GPU a Numba device array, which has
        ``__cuda_array_interface__``: CuPy, PyTorch and JAX take it without a copy. Operators take
        the arrays of those libraries as well; this is how to move NumPy's.

    Raises
    ------
    ArgumentTypeError
        If x is no array, or its owner does not give it away (a tensor that requires grad).
    DeviceError
        If there is no GPU, or the array is on another GPU than the current one.

    Notes
    -----
    A copy to the GPU is queued on the current stream (:func:`numseg.cuda_stream`), and the call
    returns before it is done; x may be changed at once, unless its memory is pinned. A copy to the
    CPU waits for what makes the array.

    Examples
    --------
    >>> import numpy as np
    >>> asarray(np.arange(3), device="cpu")
    array([0, 1, 2])
    """
    where = of([x])
    view = where.view("x", x)
    target = where if device is None else named(device)
    if target is where:
        return view
    return target.from_host(view) if where is Host else _host_copy(view)


def asnumpy(x: Any) -> Array:
    """The array in NumPy: a view of what is on the CPU, a copy of what is on the GPU.

    Parameters
    ----------
    x : array
        Of any library.

    Returns
    -------
    numpy.ndarray

    Raises
    ------
    ArgumentTypeError
        If x is no array, or its owner does not give it away.

    Notes
    -----
    Waits for what makes the array, and for nothing else.

    Examples
    --------
    >>> import numpy as np
    >>> asnumpy(np.ones(2))
    array([1., 1.])
    """
    array: Array = asarray(x, "cpu")
    return array


def _host_copy(view: Any) -> Array:
    return Cuda.to_host(Cuda.normal(view)).reshape(view.shape)


def of(values: list[Any]) -> Device:
    """The device the arrays choose: CUDA as soon as one of them is there, and among numbers that a
    rule computes with, theirs (:mod:`numseg.ops.numbers`)."""
    if not any(map(on_gpu, values)):
        return Host
    own = (getattr(type(value), "numseg_device", None) for value in values)
    return next(filter(None, own), Cuda)


def seen(name: str, entry: Any) -> Any:
    """Where an argument of ``plan`` may be an array, a shape or a Spec: a view of another library's
    array, whose dtype may be none of NumPy's; of a sequence, one of each; all else as it is."""
    if isinstance(entry, np.ndarray):
        return entry
    if type(entry) in (list, tuple):
        return type(entry)(seen(f"{name}[{i}]", part) for i, part in enumerate(entry))
    ways = "__dlpack__", "__array__", "__array_interface__", "__cuda_array_interface__"
    if isinstance(entry, np.generic) or not any(hasattr(entry, way) for way in ways):
        return entry
    return of([entry]).view(name, entry)


def ready(entry: Any) -> Any:
    """An array argument of a call on the CPU in the form kernels know. TypeError if it is anything
    but NumPy arrays, or None."""
    kind = type(entry)
    if kind is np.ndarray:
        flags = entry.flags
        if flags.c_contiguous and flags.aligned and entry.dtype.isnative:
            if not flags.writeable:
                return entry
            array = entry.view()
            array.setflags(write=False)
            return array
        return Host.normal(entry)
    if entry is None:
        return None
    if kind is list or kind is tuple:
        return tuple(map(ready, entry))
    raise TypeError(f"a {kind.__name__} is no array")
