"""Where training and predictions run: arrays are moved there once, and read back where people or
files want them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from numseg import checks, device
from numseg.cuda.runtime import cuda_available, describe_cuda
from numseg.device import Cuda, Device, Host
from numseg.errors import DeviceError
from numseg.typing import Array

DEVICES: dict[str, Device] = {"cpu": Host, "cuda": Cuda}


def named(name: str) -> Device:
    """The device of this name; a DeviceError if it is not there."""
    checks.choice("device", name, tuple(DEVICES))
    if name == "cuda" and not cuda_available():
        raise DeviceError(f"device is 'cuda', but there is none: {describe_cuda()}")
    return DEVICES[name]


def of(arrays: Mapping[str, Any]) -> Device:
    """Where the arrays are: on the GPU as soon as one of them is."""
    return device.of(list(arrays.values()))


def moved(array: Any, where: Device) -> Any:
    """The array there; itself, if it is there already."""
    if device.of([array]) is where:
        return array
    return where.from_host(np.asarray(to_host(array), order="C"))


def all_moved(arrays: Mapping[str, Any], where: Device) -> dict[str, Any]:
    """The same for a dict of arrays."""
    return {name: moved(array, where) for name, array in arrays.items()}


def to_host(array: Any) -> Array:
    """The array in NumPy; a view, if it is on the CPU."""
    where = device.of([array])
    view = where.view("array", array)
    return view if where is Host else where.to_host(where.normal(view)).reshape(view.shape)
