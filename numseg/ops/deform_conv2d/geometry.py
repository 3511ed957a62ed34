"""What kernels know of a call of deform_conv2d."""

from __future__ import annotations

from typing import NamedTuple


class Geometry(NamedTuple):
    n: int
    c: int
    h: int
    w: int
    f: int
    oh: int
    ow: int
    kh: int
    kw: int
    sy: int
    sx: int
    pt: int
    pl: int
    dy: int
    dx: int
    groups: int
    offset_groups: int
    masked: bool
    clamped: bool  # boundary "mxnet"
    flat_start: bool  # boundary "mmcv"
