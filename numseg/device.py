"""Where arrays live: on the CPU (:class:`Host`) or on a GPU (:class:`numseg.cuda.arrays.Cuda`)."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from numseg.cuda.arrays import Cuda, on_gpu
from numseg.errors import ArgumentTypeError, one_line
from numseg.typing import Array

__all__ = ["Cuda", "Device", "Host", "of", "ready", "seen"]


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


Device = type[Host] | type[Cuda]


def of(values: list[Any]) -> Device:
    """The device the arrays choose: CUDA as soon as one of them is there."""
    return Cuda if any(map(on_gpu, values)) else Host


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
