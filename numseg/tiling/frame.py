"""How a picture of any size lies in an image that a network takes."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from numseg import checks
from numseg.data import as_input
from numseg.errors import ArgumentError
from numseg.graph import Graph, receptive
from numseg.tiling.cut import Cut, Tile
from numseg.tiling.halo import halo
from numseg.typing import Array, Shape

Stride = tuple[Fraction, Fraction]

_SEARCH = 2048
"""How many sizes are looked at for one that the network takes."""


@dataclasses.dataclass(frozen=True)
class Frame:
    """A picture in the image to which it is continued, by its mirror image: to a size that the
    network takes and, for a network without padding, by the margin that it loses (the overlap-tile
    strategy of the U-Net paper)."""

    graph: Graph
    size: tuple[int, int]
    """Of the picture."""
    image: Shape
    """(1, C, H, W): of what it is continued to."""
    margin: tuple[int, int]
    """Rows and columns before the picture's first."""
    classes: int

    @classmethod
    @functools.lru_cache(maxsize=4096)  # datasets have pictures of many sizes, again and again
    def of(cls, graph: Graph, channels: int, rows: int, columns: int) -> Frame:
        """In the smallest image whose output covers the picture; ``graph`` has one output."""
        image = _covering(graph, channels, (rows, columns))
        output = graph.outputs[0].source
        check_stride(output, pixel_stride(graph, output, image))
        _, classes, *out = graph.shapes(image)[output]
        margin = (image[2] - out[0]) // 2, (image[3] - out[1]) // 2
        return cls(graph, (rows, columns), image, margin, classes)

    def tiles(self, tile: int) -> list[tuple[Tile, Tile]]:
        """Tiles of about so many rows and columns, row by row; one, if the picture has no more.

        Raises
        ------
        Inexact
            If the network would give other numbers for tiles than for the whole image: a line that
            names the node.
        """
        if max(self.size) <= checks.integer("tile", tile, minimum=1):
            return [self.whole()]
        halo(self.graph)  # which says why there are no tiles, if there are none
        return Cut(self.graph, self.image).tiles(tile, self.size)

    def whole(self) -> tuple[Tile, Tile]:
        """All in one piece."""
        (h, w), (rows, columns) = self.image[2:], self.size
        return Tile(0, h, 0, rows, 0), Tile(0, w, 0, columns, 0)

    def window(self, place: tuple[Tile, Tile]) -> Window:
        """The pixels of the picture that a tile of the image is made of."""
        rows, columns = (self._pixels(axis, part) for axis, part in enumerate(place))
        down, across = (slice(int(at.min()), int(at.max()) + 1) for at in (rows, columns))
        return Window(down, across, rows - down.start, columns - across.start, self.image[1])

    def _pixels(self, axis: int, tile: Tile) -> Array:
        """The pixel at the border is part of the mirror image."""
        size = self.size[axis]
        at = (np.arange(tile.start, tile.stop) - self.margin[axis]) % (2 * size)
        return np.minimum(at, 2 * size - 1 - at)


class Window(NamedTuple):
    """Pixels of a picture, and how a tile is made of them."""

    rows: slice
    columns: slice
    rows_at: Array
    columns_at: Array
    """Of each row and column of the tile, its place among them."""
    channels: int

    def tile(self, pixels: Array) -> Array:
        """The tile as the network takes it, (C, H, W), given (C, rows, columns) pixels."""
        return as_input(pixels[:, self.rows_at[:, None], self.columns_at], self.channels)


@functools.lru_cache(maxsize=32)
def scores(graph: Graph) -> Graph:
    """The part of the graph that gives its first output."""
    return graph if len(graph.outputs) == 1 else graph.at(graph.outputs[0].source)


def pixel_stride(graph: Graph, name: str, image: Shape) -> Stride | None:
    """Rows and columns of the image from one output pixel to the next, as far as that is known."""
    field = graph.receptive_field(name, image)
    if field is not None:
        return field.stride
    try:  # something on the way reads the whole image, and is spread over what lies beside it
        rows, columns = receptive.centres(graph, graph.plans(image), name)
    except ArgumentError:
        return None
    return rows.stride, columns.stride


def check_stride(name: str, stride: Stride | None) -> None:
    """An output has a pixel for each pixel of the image, as far as that is known."""
    if stride is not None and any(s != 1 for s in stride):
        rows, columns = stride
        raise ArgumentError(
            f"{name} has one pixel for {rows} x {columns} of the image: upsample it to the image"
        )


def _covering(graph: Graph, channels: int, size: Sequence[int]) -> Shape:
    """The smallest image whose output covers so many pixels."""
    output, sizes = graph.outputs[0].source, graph.legal_inputs((1, channels, None, None))
    axes = sizes.rows, sizes.columns
    near = (next(takes.beginning(n), takes.smallest) for takes, n in zip(axes, size, strict=True))
    image = [1, channels, *near]
    for axis, takes in enumerate(axes):
        for length in itertools.islice(takes.beginning(size[axis]), _SEARCH):
            image[2 + axis] = length
            out = graph.shapes(tuple(image))[output]
            if out[2 + axis] >= size[axis] and _aligned(graph, tuple(image), out, axis):
                break
        else:
            raise ArgumentError(
                f"the network takes no image that covers {size[0]} x {size[1]} pixels"
            )
    return tuple(image)


def _aligned(graph: Graph, image: Shape, out: Shape, axis: int) -> bool:
    """Not where scores are interpolated to the image's size, and their grid to a little more of it:
    the 3 x 3 scores of 17 rows at stride 8 are those of 24. Tiles would lie on other grids."""
    if image[2 + axis] != out[2 + axis]:
        return True
    stride = pixel_stride(graph, graph.outputs[0].source, image)
    return stride is None or stride[axis] == 1
