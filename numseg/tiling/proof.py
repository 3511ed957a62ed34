"""Whether a tile's outputs are those of the whole image, from the plans of both.

A network cut out of its image computes the same numbers where three things hold of every node on
the way to the output:

1. an output pixel reads as many input pixels as in the whole image, as far apart: the reach has the
   same stride and the same width. What adapts to the size of its map, such as a global pooling, has
   another one;
2. the tile begins at a pixel of the node's map, and one that is computed as the map's first is
   (``Plan.grid``: Winograd's algorithm has tiles of its own). At which follows from the node
   before, ``(begin + first' - first) / stride``; it must be whole, and the same by every path;
3. what the kept outputs read of the node's map is there. It may reach beyond the map's end only
   where the image ends too: what lies beyond is the network's own padding then, in both.

Rows and columns are proved apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

from numseg.errors import ArgumentError
from numseg.geometry import Reach
from numseg.graph.network import Network
from numseg.graph.node import Node
from numseg.plan import Plan

Plans: TypeAlias = Mapping[str, Plan[Any]]
AXES = "rows", "columns"


class Inexact(ArgumentError):
    """Tiles would not give the numbers of the whole image: a line that names the node."""


def check(graph: Network, whole: Plans, tile: Plans, axis: int, start: int, kept: range) -> int:
    """The output pixel of the whole image that is the tile's first; raise :class:`Inexact` unless
    the kept ones are the same in both.

    Parameters
    ----------
    graph : Network
        Of one image. Its outputs lie on one grid.
    whole, tile : mapping of str to Plan
        Of the image, and of the tile.
    axis : {0, 1}
        Rows or columns.
    start : int
        The tile's first pixel in the image.
    kept : range
        Output pixels of the whole image that are taken from the tile.
    """
    begins = _begins(graph, whole, tile, axis, start)
    first = begins[graph.outputs[0].source]
    span = kept.start - first, kept.stop - 1 - first
    spans = {value.source: span for value in graph.outputs}
    for node in reversed(graph.nodes):
        if node.name not in spans or node.name not in begins:
            continue
        count, total = (plans[node.name].outputs[0].shape[2 + axis] for plans in (tile, whole))
        span = _held(named(node), axis, begins[node.name], count, total, spans.pop(node.name))
        read = _read(span, _reach(tile[node.name], node, axis))
        for source in {value.source for value in node.reads()} & begins.keys():
            known = spans.get(source, read)
            spans[source] = min(known[0], read[0]), max(known[1], read[1])
    image = graph.inputs[0].name
    reader = next(node for node in graph.nodes if image in {v.source for v in node.reads()})
    count, total = (_size(plans[reader.name], axis) for plans in (tile, whole))
    _held(image, axis, start, count, total, spans[image])
    return first


def check_reach(graph: Network, whole: Plans, other: Plans) -> None:
    """Raise :class:`Inexact` for a node whose pixels read otherwise in images of two sizes."""
    for node in graph.nodes:
        for axis in (0, 1):
            _same_reach(node, whole[node.name], other[node.name], axis)


def _begins(graph: Network, whole: Plans, tile: Plans, axis: int, start: int) -> dict[str, int]:
    """By node: the pixel of the image's map that is the first of the tile's."""
    begins = {graph.inputs[0].name: start}
    for node in graph.nodes:
        if read := {begins[value.source] for value in node.reads() if value.source in begins}:
            begins[node.name] = _begin(node, read, whole[node.name], tile[node.name], axis)
    return begins


def _begin(node: Node, read: set[int], whole: Plan[Any], tile: Plan[Any], axis: int) -> int:
    ours, theirs = _same_reach(node, whole, tile, axis)
    found = {(begin + ours.first - theirs.first) / theirs.stride for begin in read}
    if len(found) > 1 or next(iter(found)).denominator > 1:
        places = " and ".join(map(str, sorted(found)))
        raise Inexact(f"{named(node)}: a tile would begin at pixel {places} of its map")
    at = int(found.pop())
    if whole.grid and at % whole.grid:
        raise Inexact(
            f"{named(node)}: a tile would begin at pixel {at} of its map, but pixels are computed "
            f"alike every {whole.grid}"
        )
    return at


def _same_reach(node: Node, whole: Plan[Any], tile: Plan[Any], axis: int) -> tuple[Reach, Reach]:
    """The tile's and the image's, of the same stride and width, and of no place in particular."""
    if whole.grid is None or tile.grid is None:
        raise Inexact(f"{named(node)} depends on where in the image a pixel lies")
    ours, theirs = _reach(tile, node, axis), _reach(whole, node, axis)
    if ours.stride != theirs.stride or ours.last - ours.first != theirs.last - theirs.first:
        raise Inexact(
            f"{named(node)} depends on the size of its map: a pixel measures {theirs.stride} of "
            f"{_size(whole, axis)} {AXES[axis]}, but {ours.stride} of {_size(tile, axis)}"
        )
    return ours, theirs


def _reach(plan: Plan[Any], node: Node, axis: int) -> Reach:
    if plan.reach is None:
        raise Inexact(f"{named(node)} reads the whole image")
    return plan.reach[axis]


def _held(
    what: str, axis: int, begin: int, count: int, total: int, span: tuple[int, int]
) -> tuple[int, int]:
    """What is read of a map, without what lies beyond the end of the image's, ``total`` long; all
    else must be in the tile's."""
    first, last = span
    if (first < 0 < begin) or (last >= count and begin + count < total):
        raise Inexact(
            f"{what}: {AXES[axis]} {first} to {last} of a tile's map are read, but it has {count}"
        )
    return max(first, 0), min(last, count - 1)


def _read(span: tuple[int, int], reach: Reach) -> tuple[int, int]:
    first, last = span
    ends = reach.stride * first + reach.first, reach.stride * last + reach.last
    return math.ceil(ends[0]), math.floor(ends[1])


def _size(plan: Plan[Any], axis: int) -> int:
    """Rows or columns of the first image that an operator reads."""
    shapes = (getattr(entry, "shape", None) or entry[0].shape for entry in plan.inputs if entry)
    return next(shape for shape in shapes if len(shape) == 4)[2 + axis]


def named(node: Node) -> str:
    """The node and its operator."""
    return f"{node.name} ({node.operator.__name__})"
