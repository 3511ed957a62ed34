"""The parts of aspp2d that are its own, on CUDA: sums of planes, and planes of one value."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.broadcasting import Geometry
from numseg.cuda.arrays import Cuda
from numseg.faces import module
from numseg.ops.add import add
from numseg.ops.multiply import multiply


def total(x: Any, totals: Any, share: float) -> None:
    """The sum of each plane, times a share."""
    module(add, "cuda").backward(x, None, totals, Geometry(x.shape, totals.shape))
    if share != 1:
        number = Cuda.from_host(np.full(1, share, totals.dtype))
        module(multiply, "cuda").forward(totals, number, totals, Geometry((totals.size,), (1,)))


def spread(values: Any, y: Any, share: float) -> None:
    """To each pixel of a plane its value, times a share."""
    shares = Cuda.from_host(np.full((1, 1, *y.shape[2:]), share, y.dtype))
    module(multiply, "cuda").forward(values, shares, y, Geometry(values.shape, shares.shape))
