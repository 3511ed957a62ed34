"""Whose arrays a call on the CPU takes, and what it says of those it does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numseg as ns
from numseg.cuda import runtime


class Foreign:
    """An array of another library: DLPack and nothing else."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)


class Refusing:
    """PyTorch's way to refuse, in two lines."""

    shape, dtype = (3,), np.dtype(np.float32)

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.\nUse detach().")


def test_takes_dlpack() -> None:
    y = ns.relu(Foreign(np.array([-1.0, 2.0])))
    assert y.tolist() == [0, 2]


def test_says_why_an_array_cannot_be_read() -> None:
    with pytest.raises(ns.ArgumentTypeError) as caught:
        ns.relu(Refusing())
    assert str(caught.value) == (
        "relu: x has no view in NumPy: Can't call numpy() on Tensor that requires grad. "
        "Use detach()."
    )


def test_says_what_there_is_of_cuda() -> None:
    """With or without numba-cuda, a driver, a GPU: one line."""
    line = runtime.describe_cuda()
    assert line
    assert "\n" not in line
    assert isinstance(runtime.cuda_available(), bool)
