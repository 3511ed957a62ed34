"""What a graph looks like: a table, and a drawing in Graphviz's language."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from numseg import checks
from numseg.graph import receptive
from numseg.graph.network import Network
from numseg.graph.receptive import Place
from numseg.operator import Plan
from numseg.typing import Shape


class Row(NamedTuple):
    """One node."""

    node: str
    operator: str
    shape: Shape
    """Of its first result."""
    parameters: int
    """Learned numbers; those that several nodes share count where they are first read."""
    multiply_adds: float
    """Half of the floating-point operations."""
    receptive_field: tuple[int, int] | None
    """Rows and columns of the first input that an output pixel reads, at most; None for all."""
    stride: tuple[Fraction, Fraction] | None
    """Rows and columns of the first input from one output pixel to the next."""
    offset: tuple[Fraction, Fraction] | None
    """Where the first output pixel is centred: the row and the column of the first input."""


class Extent(NamedTuple):
    """The receptive field of a node, as far as it is the same for every size of the image."""

    node: str
    size: tuple[int, int] | None
    """Rows and columns of the image that an output pixel reads, at most."""
    stride: tuple[Fraction, Fraction] | None
    offset: tuple[Fraction, Fraction] | None
    """Output pixel ``o`` is centred at ``stride * o + offset``, along each axis."""


@dataclasses.dataclass(frozen=True)
class Extents:
    """A table of receptive fields. ``str(extents)`` is made to be read; ``extents["pool5"]`` is a
    node's."""

    rows: tuple[Extent, ...]

    def __getitem__(self, node: str) -> Extent:
        checks.choice("node", node, [row.node for row in self.rows])
        return next(row for row in self.rows if row.node == node)

    def __str__(self) -> str:
        head = ("node", "field", "stride", "offset")
        return table(head, [(row.node, *map(both, row[1:])) for row in self.rows], 1)


@dataclasses.dataclass(frozen=True)
class Summary:
    """A table of a graph's inputs and nodes. ``str(summary)`` is made to be read."""

    rows: tuple[Row, ...]
    state: int
    """Numbers that are kept but not learned, such as running means."""

    @property
    def parameters(self) -> int:
        return sum(row.parameters for row in self.rows)

    @property
    def multiply_adds(self) -> float:
        return sum(row.multiply_adds for row in self.rows)

    def __str__(self) -> str:
        head = (
            "node",
            "operator",
            "output",
            "parameters",
            "mult-adds",
            "field",
            "stride",
            "offset",
        )
        state = f" (and {self.state:,} of state)" if self.state else ""
        total = f"{self.parameters:,} parameters{state}, {shortened(self.multiply_adds)} mult-adds"
        return table(head, list(map(_cells, self.rows)), 3, total)


def table(head: Sequence[str], lines: Sequence[Sequence[str]], words: int, *foot: str) -> str:
    """Columns: the first so many are words, to the left; the others numbers, to the right."""

    def padded(cells: Sequence[str]) -> str:
        columns = enumerate(zip(cells, widths, strict=True))
        return "  ".join(c.ljust(w) if i < words else c.rjust(w) for i, (c, w) in columns).rstrip()

    widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]
    made = [padded(cells) for cells in (head, *lines)]
    rule = "-" * max(map(len, made))
    return "\n".join([made[0], rule, *made[1:], *([rule, *foot] if foot else [])])


def summarise(graph: Network, shapes: Sequence[Shape], plans: Mapping[str, Plan[Any]]) -> Summary:
    """The table, given the inputs' shapes."""
    trainable = set(graph.trainable)
    sizes = {param.name: param.size for param in graph.params}
    unread = {name: sizes[name] for name in trainable}
    rows = [
        Row(entry.name, "input", shape, 0, 0, None, None, None)
        for entry, shape in zip(graph.inputs, shapes, strict=True)
    ]
    places = receptive.places(graph, plans)
    for node in graph.nodes:
        plan = plans[node.name]
        found = receptive.field(graph, plans, node.name)
        rows.append(
            Row(
                node.name,
                node.operator.__name__,
                plan.outputs[0].shape,
                sum(unread.pop(value.source, 0) for value in node.reads()),
                plan.flops / 2,
                None if found is None else found.size,
                None if found is None else found.stride,
                None if found is None else _offset(places.get(node.name)),
            )
        )
    return Summary(tuple(rows), sum(sizes.values()) - sum(sizes[name] for name in trainable))


def extents(graph: Network, several: Sequence[Mapping[str, Plan[Any]]]) -> Extents:
    """What the plans for images of several sizes agree on."""
    found = [receptive.places(graph, plans) for plans in several]
    ends = several[0], several[-1]

    def extent(name: str) -> Extent:
        fields = [receptive.field(graph, plans, name) for plans in ends]
        places = [places.get(name) for places in found]
        return Extent(
            name,
            _agreed([None if field is None else field.size for field in fields]),
            _agreed(list(map(_stride, places))),
            _agreed(list(map(_offset, places))),
        )

    return Extents(tuple(extent(node.name) for node in graph.nodes))


def _agreed(values: Sequence[Any]) -> Any:
    return values[0] if all(value == values[0] for value in values) else None


def _stride(place: Place | str | None) -> tuple[Fraction, Fraction] | None:
    return (place[0].stride, place[1].stride) if isinstance(place, tuple) else None


def _offset(place: Place | str | None) -> tuple[Fraction, Fraction] | None:
    return (place[0].first, place[1].first) if isinstance(place, tuple) else None


def dot(graph: Network, shapes: Mapping[str, Shape]) -> str:
    """Inputs and nodes, with an arrow for each value; parameters are left out."""
    params = {param.name for param in graph.params}
    outputs = {value.source for value in graph.outputs}
    lines = ["digraph {", "  node [shape=box];"]
    lines += [f"  {_quoted(entry.name)} [shape=ellipse];" for entry in graph.inputs]
    for node in graph.nodes:
        label = [node.name, node.operator.__name__]
        label += [times(shapes[node.name])] if node.name in shapes else []
        bold = ", style=bold" if node.name in outputs else ""
        lines.append(f"  {_quoted(node.name)} [label={_quoted(*label)}{bold}];")
        lines += [
            f"  {_quoted(value.source)} -> {_quoted(node.name)};"
            for value in node.reads()
            if value.source not in params
        ]
    return "\n".join([*lines, "}", ""])


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.node,
        row.operator,
        times(row.shape),
        f"{row.parameters:,}" if row.parameters else "",
        shortened(row.multiply_adds) if row.multiply_adds else "",
        both(row.receptive_field),
        both(row.stride),
        both(row.offset),
    )


def times(shape: Shape) -> str:
    """``1x3x256x256``."""
    return "x".join(map(str, shape)) or "scalar"


def both(sizes: tuple[Any, Any] | None) -> str:
    """Rows and columns, once where they agree."""
    if sizes is None:
        return ""
    rows, columns = sizes
    return f"{rows}" if rows == columns else f"{rows}x{columns}"


def shortened(number: float) -> str:
    """Three digits and a unit."""
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= 0.9995 * size:
            scaled = number / size
            return f"{scaled:.{max(0, 2 - len(str(int(scaled))) + 1)}f} {unit}"
    return f"{number:g}"


def _quoted(*lines: str) -> str:
    escaped = (line.replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return '"' + "\\n".join(escaped) + '"'
