"""The types that public signatures speak of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np


class ArrayLike(Protocol):
    """What an operator accepts: anything that has a shape and a dtype and exposes its memory.

    NumPy arrays, and objects that NumPy can view without a copy, run on the CPU; objects with
    ``__cuda_array_interface__`` run on CUDA.
    """

    @property
    def shape(self) -> Any: ...

    @property
    def dtype(self) -> Any: ...


Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"
"""What an operator returns. For CUDA inputs it is a CUDA array with the same attributes."""

Shape: TypeAlias = tuple[int, ...]
Pair: TypeAlias = "int | Sequence[int]"
"""One value for both axes, or ``(rows, columns)``."""

Sides: TypeAlias = "int | Sequence[int] | Sequence[Sequence[int]]"
"""``p``, ``(rows, columns)``, ``(top, bottom, left, right)`` or
``((top, bottom), (left, right))``."""

Padding: TypeAlias = "Sides | str"
"""Four sides, ``"valid"`` or ``"same"``."""
