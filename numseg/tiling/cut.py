"""An image that a network takes, cut into tiles that give the outputs of the whole."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from numseg import checks
from numseg.errors import ArgumentError
from numseg.graph import Graph, receptive
from numseg.plan import Plan
from numseg.tiling import proof
from numseg.tiling.proof import Inexact
from numseg.typing import Array, Shape

_SEARCH = 256
"""How many windows are tried for one that the network takes."""


class Tile(NamedTuple):
    """A piece of one axis."""

    start: int
    stop: int
    """What is read: ``[start, stop)`` of the image."""
    first: int
    last: int
    """What is written: ``[first, last)`` of the outputs."""
    begin: int
    """The output of the whole image that is the first of the tile's."""

    @property
    def inner(self) -> slice:
        """Where what is written lies in the tile's own outputs."""
        return slice(self.first - self.begin, self.last - self.begin)


@dataclasses.dataclass(frozen=True, eq=False)
class Axis:
    """Rows, or columns, of an image and of what a network makes of it."""

    number: int
    """0 for rows, 1 for columns."""
    inputs: int
    read: Array
    """(outputs, 2): the first and the last input that each output reads; padding counts."""
    stride: Fraction
    """Inputs from one output to the next."""
    step: int
    """Tiles begin at multiples of it: there all maps of the network begin anew."""

    @property
    def outputs(self) -> int:
        return len(self.read)

    def whole(self, wanted: int) -> Tile:
        """The first outputs in one piece."""
        return Tile(0, self.inputs, 0, wanted, 0)

    def cores(self, tile: int, wanted: int) -> list[range]:
        """The first outputs in pieces of about ``tile`` inputs."""
        core = int(max(tile // self.step, 1) * self.step / self.stride)
        return [range(first, min(first + core, wanted)) for first in range(0, wanted, core)]

    def windows(self, cores: Sequence[range]) -> range:
        """Lengths that hold what each of the pieces reads, and begin at a multiple of the step
        where they end with the image: the shortest first. The network may not take it."""
        least = max(stop - self._floor(start) for start, stop in map(self._needed, cores))
        least += (self.inputs - least) % self.step
        return range(least, min(self.inputs, least + _SEARCH * self.step), self.step)

    def starts(self, cores: Sequence[range], window: int) -> Iterator[int]:
        """Where the window of each piece begins."""
        for core in cores:
            yield min(self._floor(self._needed(core)[0]), self.inputs - window)

    def _needed(self, core: range) -> tuple[int, int]:
        """The inputs that a piece reads, ``[start, stop)``, as far as there are any."""
        read = self.read[core.start : core.stop]
        read = read[read[:, 0] <= read[:, 1]]  # others read none
        if not len(read):
            return 0, 1
        start, stop = int(read[:, 0].min()), int(read[:, 1].max()) + 1
        return min(max(start, 0), self.inputs - 1), min(max(stop, 1), self.inputs)

    def _floor(self, start: int) -> int:
        return start // self.step * self.step


class Cut:
    """A network on an image of one size, and how it may be cut.

    Parameters
    ----------
    graph : Graph
        Of one image. Its outputs must lie on one grid: as many rows and columns, as far apart.
    image : (N, C, H, W)
        A shape that the network takes.

    Raises
    ------
    Inexact
        If a node reads the whole image. (:func:`numseg.tiling.halo` finds what adapts to its size.)
    """

    def __init__(self, graph: Graph, image: Shape) -> None:
        self.graph, self.image = graph, tuple(image)
        self.plans: Mapping[str, Plan[Any]] = graph.plans(self.image)
        for node in graph.nodes:
            if self.plans[node.name].reach is None:
                raise Inexact(f"{proof.named(node)} reads the whole image")
        fields = [receptive.field(graph, self.plans, v.source) for v in graph.outputs]
        grids = {f and (len(f.rows), len(f.columns), f.stride) for f in fields}
        field, output = fields[0], graph.outputs[0].source
        if field is None or field.stride is None or len(grids) > 1:
            raise Inexact(f"{output}: what is cut must be images on one grid")
        steps = _steps(receptive.places(graph, self.plans), self.plans)
        read = [_union([f.rows for f in fields if f]), _union([f.columns for f in fields if f])]
        self.axes = tuple(
            Axis(number, self.image[2 + number], read[number], field.stride[number], steps[number])
            for number in (0, 1)
        )

    def tiles(self, tile: int, wanted: Sequence[int] | None = None) -> list[tuple[Tile, Tile]]:
        """Tiles of about so many rows and columns of the image, row by row, whose windows are all
        alike. ``wanted``: how many of the outputs, from the first on; all by default."""
        tile = checks.integer("tile", tile, minimum=1)
        counts = [axis.outputs for axis in self.axes] if wanted is None else wanted
        rows, columns = (self._cut(a, tile, n) for a, n in zip(self.axes, counts, strict=True))
        return [(r, c) for r in rows for c in columns]

    def _cut(self, axis: Axis, tile: int, wanted: int) -> list[Tile]:
        """One axis; in one piece, if no window is shorter than the image."""
        cores = axis.cores(tile, wanted)
        for window in axis.windows(cores) if len(cores) > 1 else ():
            with contextlib.suppress(_NotTaken):
                return list(self._proved(axis, cores, window))
        return [axis.whole(wanted)]

    def _proved(self, axis: Axis, cores: Sequence[range], window: int) -> Iterator[Tile]:
        shape = list(self.image)
        shape[2 + axis.number] = window
        try:
            part = self.graph.plans(tuple(shape))
        except ArgumentError as error:
            raise _NotTaken from error
        for core, start in zip(cores, axis.starts(cores, window), strict=True):
            begin = proof.check(self.graph, self.plans, part, axis.number, start, core)
            yield Tile(start, start + window, core.start, core.stop, begin)


class _NotTaken(Exception):
    """The network does not take a window of this size."""


def _steps(places: Mapping[str, Any], plans: Mapping[str, Plan[Any]]) -> tuple[int, int]:
    """Rows and columns after which all maps of a network begin anew: the least that every stride
    divides, as often as the node's grid says."""
    known = {name: place for name, place in places.items() if not isinstance(place, str)}

    def along(axis: int) -> int:
        strides: list[Fraction] = [
            place[axis].stride * ((plans[name].grid or 1) if name in plans else 1)
            for name, place in known.items()
        ]
        return math.lcm(*(stride.numerator for stride in strides if stride))

    return along(0), along(1)


def _union(intervals: Sequence[Array]) -> Array:
    """What any of several outputs reads."""
    first = functools.reduce(np.minimum, [read[:, 0] for read in intervals])
    last = functools.reduce(np.maximum, [read[:, 1] for read in intervals])
    return np.stack([first, last], axis=1)
