"""``pydensecrf.eigen``: its matrices are plain arrays here."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.checks import named
from numseg.interop.pydensecrf.door import array
from numseg.typing import Array

__all__ = ["MatrixXf", "VectorXf", "matrixXf", "vectorXf"]


def MatrixXf() -> Array:
    """An empty matrix, as ``startInference`` gives two of."""
    return np.zeros((0, 0), np.float32)


def VectorXf() -> Array:
    """An empty vector."""
    return np.zeros(0, np.float32)


@named("matrixXf")
def matrixXf(arr: Any) -> Array:
    """A copy of a float32 matrix."""
    return array("arr", arr, np.float32, "rows columns").copy()


@named("vectorXf")
def vectorXf(arr: Any) -> Array:
    """A copy of a float32 vector."""
    return array("arr", arr, np.float32, "elements").copy()
