"""upsample_bicubic2d on the CPU."""

from __future__ import annotations

from typing import Any

from numseg.kernels.sampling.filter_taps import along
from numseg.kernels.sampling.separable import apply
from numseg.typing import Array


def forward(x: Array, y: Array, g: Any) -> None:
    apply(x, y, *along(g, x.dtype))


def backward(gy: Array, gx: Array | None, g: Any) -> None:
    if gx is not None:
        apply(gy, gx, *along(g, gy.dtype, transposed=True))
