"""What kernels know of a call of max_unpool2d."""

from __future__ import annotations

from typing import NamedTuple


class Geometry(NamedTuple):
    n: int
    c: int
    h: int
    w: int
    oh: int
    ow: int
    ih: int
    """Size of the plane that switches speak of, the top left corner of the output."""
    iw: int
    image: int
    """From a pixel's switch to that of the same pixel in the next image; likewise:"""
    channel: int
    row: int
    column: int
    summed: bool
    """Values with the same switch add up."""
    all_get: bool
    """Values with the same switch all get its gradient."""

    @property
    def plain(self) -> bool:
        """Switches are places in their output plane."""
        strides = self.image, self.channel, self.row, self.column
        return strides == (0, 0, self.ow, 1) and (self.ih, self.iw) == (self.oh, self.ow)
