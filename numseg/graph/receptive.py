"""Receptive fields: which input pixels an output pixel reads, composed from each plan's reach."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from numseg.errors import ArgumentError
from numseg.geometry import POINTWISE, Reach
from numseg.graph.network import Network
from numseg.operator import Plan
from numseg.typing import Array


@dataclasses.dataclass(frozen=True, eq=False)
class Field:
    """The receptive field of every output pixel of a node.

    Exact to the pixel, and for each output pixel apart: an upsampled pixel's field depends on where
    it lies in its cell. The image counts as if it went on beyond its borders, so padding counts;
    so do the holes of a dilated kernel.
    """

    rows: Array
    """(OH, 2): the first and the last input row that an output row reads; last < first for none."""
    columns: Array
    """(OW, 2): the same for columns."""
    stride: tuple[Fraction, Fraction] | None
    """Input rows and columns from one output pixel to the next; None where paths disagree."""

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns that an output pixel reads, at most."""
        return _longest(self.rows), _longest(self.columns)


def field(graph: Network, plans: Mapping[str, Plan[Any]], name: str) -> Field | None:
    """The field of a node in the first input.

    Walks back from the node: each node on the way hands the union of what is read of its output,
    widened by its own reach, to the values that it reads.
    """
    shape = plans[name].outputs[0].shape
    if len(shape) != 4:
        return None
    rows = _Span.of_pixels(shape[2])
    spans = {name: (rows, rows if shape[2] == shape[3] else _Span.of_pixels(shape[3]))}
    params = {param.name for param in graph.params}
    for node in reversed(graph.nodes):
        read = {value.source for value in node.reads()} - params
        if node.name not in spans or not read:
            continue
        reach = plans[node.name].reach
        if reach is None:
            return None
        through = _both_through(*spans.pop(node.name), reach)
        for source in read:
            repeated = _repeated(plans, source, node.name)
            given = _ones(through) if repeated else through
            known = spans.get(source)
            spans[source] = given if known is None else _united(known, given)
    if graph.inputs[0].name not in spans:
        return None
    rows, columns = spans[graph.inputs[0].name]
    strides = rows.strides, columns.strides
    agreed = all(len(found) == 1 for found in strides)
    stride = (min(strides[0]), min(strides[1])) if agreed else None
    return Field(rows.intervals(), columns.intervals(), stride)


Place: TypeAlias = tuple[Reach, Reach]
"""Where the pixels of a value lie on the first input, along rows and along columns: pixel o is
centred at ``stride * o + first``."""


def places(graph: Network, plans: Mapping[str, Plan[Any]]) -> dict[str, Place | str]:
    """The place of each node and of the first input: Caffe's ``coord_map``, without a layer known
    by name. In its stead a text that says so, where two paths to the node disagree: what it adds
    or stacks up does not lie together. What reads the whole image, or nothing of it, has none.
    """
    known: dict[str, Place | str] = {graph.inputs[0].name: (Reach(), Reach())}
    for node in graph.nodes:
        reach = plans[node.name].reach
        sources = [value.source for value in node.reads() if value.source in known]
        found = {known[s]: s for s in sources if not _repeated(plans, s, node.name)}
        if found and reach is not None:
            known[node.name] = _met(node.name, list(found), reach)
    return known


def _met(name: str, found: Sequence[Place | str], reach: Place) -> Place | str:
    """Where a node's pixels lie, given where what it reads lies."""
    for place in found:
        if isinstance(place, str):
            return place
    if len(found) > 1:
        return f"the pixels that {name} reads do not lie together: {found}"
    return _through(found[0], reach)  # type: ignore[arg-type]


def centres(graph: Network, plans: Mapping[str, Plan[Any]], name: str) -> Place:
    """The place of a node or of the first input; raises where it has none."""
    place = places(graph, plans).get(name)
    if place is None:
        raise ArgumentError(f"{name} reads the whole of {graph.inputs[0].name}, or nothing of it")
    if isinstance(place, str):
        raise ArgumentError(place)
    return place


def _repeated(plans: Mapping[str, Plan[Any]], source: str, reader: str) -> bool:
    """Whether the reader repeats a source of one pixel all over its image, as a gate is."""
    plan = plans[reader]
    if source not in plans or plan.reach != POINTWISE:
        return False
    return plans[source].outputs[0].shape[2:] == (1, 1) != plan.outputs[0].shape[2:]


def _through(place: Place, reach: Place) -> Place:
    """Through one more operator: its output pixel o is centred among the pixels it reads."""

    def centred(outer: Reach, inner: Reach) -> Reach:
        at = outer.stride * (inner.first + inner.last) / 2 + outer.first
        return Reach(outer.stride * inner.stride, at, at)

    return centred(place[0], reach[0]), centred(place[1], reach[1])


def offset(of: Reach, like: Reach) -> int:
    """The pixel of ``of`` that lies on pixel 0 of ``like``, along one axis."""
    if of.stride != like.stride:
        raise ArgumentError(f"a pixel measures {of.stride} pixels of the input, but {like.stride}")
    at = (like.first - of.first) / of.stride
    if at < 0 or at.denominator > 1:
        raise ArgumentError(f"no pixel lies on the first one: it would be number {at}")
    return int(at)


_NONE = 2**40
"""An empty interval is ``[_NONE, -_NONE]``, so that unions need no case for it."""


Spans: TypeAlias = "tuple[_Span, _Span]"
"""Of rows and of columns; one and the same object as long as both are alike."""


def _both_through(rows: _Span, columns: _Span, reach: tuple[Reach, Reach]) -> Spans:
    if reach is POINTWISE:
        return rows, columns
    through = rows.through(reach[0])
    alike = rows is columns and reach[0] == reach[1]
    return through, through if alike else columns.through(reach[1])


def _ones(spans: Spans) -> Spans:
    rows = spans[0].of_one()
    return rows, rows if spans[0] is spans[1] else spans[1].of_one()


def _united(one: Spans, other: Spans) -> Spans:
    rows = one[0].union(other[0])
    alike = one[0] is one[1] and other[0] is other[1]
    return rows, rows if alike else one[1].union(other[1])


class _Span(NamedTuple):
    """Along one axis: for each output pixel, the interval of pixels read of some value."""

    first: Array
    last: Array
    strides: frozenset[Fraction]

    @classmethod
    def of_pixels(cls, count: int) -> _Span:
        """Each pixel reads itself."""
        return cls(np.arange(count), np.arange(count), frozenset([Fraction(1)]))

    def through(self, reach: Reach) -> _Span:
        """What is read of an operator's input, where this span is read of its output."""
        first = -_floor(-self.first, reach.stride, -reach.first)  # ceil
        last = _floor(self.last, reach.stride, reach.last)
        empty = first > last  # between two pixels, or empty before: _NONE is far enough out
        return _Span(
            np.where(empty, _NONE, first),
            np.where(empty, -_NONE, last),
            frozenset(stride * reach.stride for stride in self.strides),
        )

    def of_one(self) -> _Span:
        """Each pixel reads pixel 0, which is repeated all over the image."""
        zeros = np.zeros_like(self.first)
        return _Span(zeros, zeros, frozenset())

    def union(self, other: _Span) -> _Span:
        return _Span(
            np.minimum(self.first, other.first),
            np.maximum(self.last, other.last),
            self.strides | other.strides,
        )

    def intervals(self) -> Array:
        empty = self.first > self.last
        return np.where(empty[:, None], (0, -1), np.stack([self.first, self.last], 1))


def _floor(pixel: Array, stride: Fraction, shift: Fraction) -> Array:
    """``floor(stride * pixel + shift)`` in integers."""
    scale = math.lcm(stride.denominator, shift.denominator)
    return (pixel * int(stride * scale) + int(shift * scale)) // scale


def _longest(intervals: Array) -> int:
    return int(np.max(intervals[:, 1] - intervals[:, 0] + 1, initial=0))
