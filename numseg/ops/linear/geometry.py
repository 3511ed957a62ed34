"""What kernels know of a call of linear."""

from __future__ import annotations

from typing import NamedTuple


class Geometry(NamedTuple):
    rows: int
    inputs: int
    outputs: int
