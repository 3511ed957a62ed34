"""What kernels know of a call of max_pool2d."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Geometry(NamedTuple):
    n: int
    c: int
    h: int
    w: int
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
    drop_nan: bool
    first_nan: bool
    """Though dropped, NaN stays where it is the first pixel of its window."""
    lowest: float
    shared: bool
    """All that are as large as the winner have a part in the gradient."""
    split: bool
    image: int
    """From a pixel's switch to that of the same pixel in the next image; likewise:"""
    channel: int
    row: int
    column: int

    @property
    def plain(self) -> bool:
        """Switches are places in their plane, and nothing is done to the largest value."""
        places = (self.image, self.channel, self.row, self.column) == (0, 0, self.w, 1)
        return places and not self.drop_nan and self.lowest == -np.inf
