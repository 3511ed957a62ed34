"""Where training and predictions run: arrays are moved there once, and read back where people or
files want them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from numseg import device
from numseg.device import Cuda, Device, Host, named
from numseg.typing import Array

__all__ = ["all_moved", "copied", "cuda", "labels_moved", "moved", "named", "of", "to_host"]


def of(arrays: Mapping[str, Any]) -> Device:
    """Where the arrays are: on the GPU as soon as one of them is."""
    return device.of(list(arrays.values()))


def moved(array: Any, where: Device) -> Any:
    """The array there; itself, if it is there already."""
    if device.of([array]) is where:
        return array
    return where.from_host(np.asarray(to_host(array), order="C"))


def labels_moved(labels: Array, where: Device) -> Any:
    """Labels that nobody changes any more: there, and remembered here for checks of values."""
    labels = np.asarray(labels, order="C")
    return labels if where is Host else Cuda.from_host(labels, remember=True)


def copied(array: Any) -> Any:
    """A copy, on the same side."""
    return cuda("launch").dense(array) if device.of([array]) is Cuda else np.array(array)


def cuda(name: str = "") -> Any:
    """The kernels of training, or a module of numseg.cuda, which need numba-cuda."""
    return importlib.import_module(f"numseg.cuda.{name}" if name else "numseg.training.cuda")


def all_moved(arrays: Mapping[str, Any], where: Device) -> dict[str, Any]:
    """The same for a dict of arrays."""
    return {name: moved(array, where) for name, array in arrays.items()}


def to_host(array: Any) -> Array:
    """The array in NumPy; a view, if it is on the CPU."""
    return device.asnumpy(array)
