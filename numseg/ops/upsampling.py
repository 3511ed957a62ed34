"""What the calls of upsample_bilinear2d and upsample_bicubic2d have in common: where their output
pixels lie, and which filter they are weighed by."""

from __future__ import annotations

from typing import Any, NamedTuple

from numseg import checks
from numseg.errors import ArgumentError, shown
from numseg.geometry import COORDINATES, Filter, Line, Reach, filter_reach, grid_of, line, resized
from numseg.plan import Spec
from numseg.typing import ArrayLike

At = tuple[Line, float]


class Places(NamedTuple):
    """The sizes of a call, and where output pixels lie along each axis."""

    sizes: tuple[int, int, int, int, int, int]
    """n, c, h, w, oh, ow"""
    rows: At
    columns: At
    y: Spec

    def reach(self, kind: Filter) -> tuple[Reach, Reach]:
        _, _, h, w, oh, ow = self.sizes
        return filter_reach(h, oh, self.rows, kind), filter_reach(w, ow, self.columns, kind)

    @property
    def grid(self) -> int | None:
        return grid_of(self.rows[1], self.columns[1])

    def flops(self, kind: Filter) -> int:
        """Of sums along rows, and then along columns."""
        n, c, h, w, oh, ow = self.sizes
        taps = [2 * kind.radius] * 2
        if kind.antialias:
            taps = [
                t * max(-(-i // max(o, 1)), 1)
                for t, i, o in zip(taps, (h, w), (oh, ow), strict=True)
            ]
        return n * c * oh * (2 * taps[0] * w + 2 * taps[1] * ow)


def places(
    x: ArrayLike, size: Any, scale_factor: Any, align: Any, recompute: Any, coordinates: Any
) -> Places:
    """Check these arguments, whose words are PyTorch's and ONNX's."""
    dtype = checks.floats(x=x)
    n, c, h, w = checks.axes("x", x, "n c h w")
    (oh, ow), factors = resized(size, scale_factor, recompute, (h, w))
    align = checks.flag("align_corners", align)
    if coordinates is None:
        factors = 0.0 if oh == h else factors[0], 0.0 if ow == w else factors[1]
        coordinates = "align_corners" if align else "half_pixel"
    elif checks.choice("coordinates", coordinates, COORDINATES) and align:
        raise ArgumentError(
            f"give align_corners or coordinates, not both: got {shown(coordinates)}"
        )
    rows = line(h, oh, factors[0], coordinates)
    columns = line(w, ow, factors[1], coordinates)
    return Places((n, c, h, w, oh, ow), rows, columns, Spec((n, c, oh, ow), dtype))


def excluded(exclude_outside: Any, antialias: Any) -> tuple[bool, bool]:
    """Whether to antialias, and whether pixels outside are left out: None means, if the former."""
    antialias = checks.flag("antialias", antialias)
    if exclude_outside is None:
        return antialias, antialias
    return antialias, checks.flag("exclude_outside", exclude_outside)
