"""A drawing of a network in SVG: boxes from top to bottom, coarser maps further to the right.

Nodes that follow one another without a branch are one box, as long as the map is as coarse as it
is; activations and the like stand on the line of the node before them. A box stands
below all that it reads. What is read further down runs in the margin to the left of the boxes that
it passes, so lines cross no box.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

from numseg.geometry import POINTWISE
from numseg.graph import receptive
from numseg.graph.network import Network
from numseg.graph.node import Node
from numseg.graph.receptive import Field
from numseg.graph.summary import both, times
from numseg.operator import Plan
from numseg.plan import flat
from numseg.typing import Shape

FONT, LINE, LETTER = 11, 16, 6.65
"""Points of a letter, of a line, and of a letter's width: the font is monospaced."""
PAD, GAP, INDENT, TRACK = 8, 26, 44, 9
"""Within a box, between rows of boxes, from level to level, between lines that run side by side."""
TINTS = ("#eaf2fb", "#e8f5ee", "#fdf3e1", "#fbeae6", "#f1ecf8", "#e9f4f5", "#f4f1e6", "#f3f3f3")
EDGES = ("#4a7fb5", "#4a9a70", "#c08a2b", "#bd6550", "#7d64ad", "#4d959b", "#8f8443", "#777777")


@dataclasses.dataclass(eq=False)
class Box:
    """Some nodes that follow one another, or an input."""

    lines: list[list[str]]
    """Names of nodes: each line has one, and those after it that act on each pixel alone."""
    level: int
    row: int
    reads: list[Box] = dataclasses.field(default_factory=list)
    lane: int = 0
    left: float = 0
    top: float = 0
    width: float = 0
    height: float = 0
    texts: list[tuple[str, str, str]] = dataclasses.field(default_factory=list)
    """By line: the name, the operators, the shape."""
    title: str = ""
    foot: str = ""
    output: bool = False

    @property
    def right(self) -> float:
        return self.left + self.width

    @property
    def bottom(self) -> float:
        return self.top + self.height


class Edge(NamedTuple):
    """From a box to one that does not stand just below it: down in a margin."""

    source: Box
    target: Box
    lane: int
    """To the left of the boxes of this lane."""


def svg(network: Network, shapes: Sequence[Shape], plans: Mapping[str, Plan[Any]]) -> str:
    """The drawing, given the inputs' shapes."""
    boxes = _boxes(network, shapes, plans)
    _write(network, boxes, shapes, plans)
    edges = [(source, box) for box in boxes for source in box.reads]
    far = [(s, t) for s, t in edges if t.row - s.row > 1]
    lanes = sorted({box.level for box in boxes})
    for box in boxes:
        box.lane = lanes.index(box.level)
    tracks = _tracks([Edge(s, t, _margin(boxes, s, t)) for s, t in far])
    _place(boxes, tracks, len(lanes))
    drawn = [_near(s, t) for s, t in edges if t.row - s.row == 1]
    drawn += [_far(edge, track, boxes) for edge, track in tracks.items()]
    width = max(box.right for box in boxes) + 12
    height = max(box.bottom for box in boxes) + 12
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="ui-monospace, DejaVu Sans Mono, '
        f'Menlo, Consolas, monospace" font-size="{FONT}">',
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="white"/>',
        '<g fill="none" stroke="#8a8f98" stroke-width="1.3">', *drawn, "</g>",
        *(line for box in boxes for line in _drawn(box)), "</svg>", "",
    ])  # fmt: skip


# -- boxes --------------------------------------------------------------------------------------


def _boxes(network: Network, shapes: Sequence[Shape], plans: Mapping[str, Plan[Any]]) -> list[Box]:
    """The boxes, each after those that it reads."""
    known = {entry.name: shape for entry, shape in zip(network.inputs, shapes, strict=True)}
    known |= {name: plan.outputs[0].shape for name, plan in plans.items()}
    levels = _levels(network, known, plans)
    read = {node.name: _images(network, node, known) for node in network.nodes}
    readers = Counter(source for sources in read.values() for source in sources)
    readers.update(value.source for value in network.outputs)
    boxes = [Box([[entry.name]], levels[entry.name], 0) for entry in network.inputs]
    ends = {box.lines[0][0]: box for box in boxes}
    for node in network.nodes:
        sources = read[node.name]
        above = list(dict.fromkeys(ends[source] for source in sources))
        first = sources[0] if len(sources) == 1 else ""
        if first in plans and readers[first] == 1 and levels[first] == levels[node.name]:
            (box,) = above
            if known[first] == known[node.name] and _is_small(plans[node.name]):
                box.lines[-1].append(node.name)
            else:
                box.lines.append([node.name])
        else:
            row = max((box.row + 1 for box in above), default=0)
            box = Box([[node.name]], levels[node.name], row, above)
            boxes.append(box)
        ends[node.name] = box
    for value in network.outputs:
        ends[value.source].output = True
    return boxes


def _is_small(plan: Plan[Any]) -> bool:
    """Whether the node acts on each pixel alone, by no more than a few numbers for each channel: an
    activation, a normalisation."""
    arrays = [spec for entry in plan.inputs[1:] for spec in flat(entry)]
    return plan.reach == POINTWISE and all(len(spec.shape) == 1 for spec in arrays)


def _images(network: Network, node: Node, known: Mapping[str, Shape]) -> list[str]:
    """What the node reads, parameters aside."""
    return list(dict.fromkeys(v.source for v in node.reads() if v.source in known))


def _levels(
    network: Network, known: Mapping[str, Shape], plans: Mapping[str, Plan[Any]]
) -> dict[str, int]:
    """How often rows were halved, about; vectors come last."""
    places = receptive.places(network, plans)
    image = known[network.inputs[0].name]
    levels = {}
    for name, shape in known.items():
        place = places.get(name)
        if len(shape) != 4 or len(image) != 4:
            levels[name] = 99 if len(image) == 4 else 0
        else:
            stride = place[0].stride if isinstance(place, tuple) else image[2] / max(shape[2], 1)
            levels[name] = round(math.log2(max(stride, 1)))
    return levels


def _write(
    network: Network, boxes: Sequence[Box], shapes: Sequence[Shape], plans: Mapping[str, Plan[Any]]
) -> None:
    """What stands in the boxes, and how large they are."""
    nodes = {node.name: node for node in network.nodes}
    given = dict(zip((entry.name for entry in network.inputs), shapes, strict=True))
    for box in boxes:
        names = [line[0] for line in box.lines]
        prefix = names[0].rpartition(".")[0]
        shared = len(names) > 1 and prefix and all(n.startswith(f"{prefix}.") for n in names)
        box.title = prefix if shared else ""
        for line in box.lines:
            shape = given[line[0]] if line[0] in given else plans[line[-1]].outputs[0].shape
            operators = [nodes[n].operator.__name__ for n in line if n in nodes] or ["input"]
            name = line[0].removeprefix(f"{prefix}.") if shared else line[0]
            box.texts.append((name, " + ".join(operators), times(shape[1:] or shape)))
        last = box.lines[-1][-1]
        field = receptive.field(network, plans, last) if last in plans else None
        box.foot = _field(field)
        columns = [max(map(len, column)) for column in zip(*box.texts, strict=True)]
        letters = max(sum(columns) + 4, len(box.title), len(box.foot))
        box.width = letters * LETTER + 2 * PAD
        lines = len(box.lines) + bool(box.title) + bool(box.foot)
        box.height = lines * LINE + PAD


def _field(field: Field | None) -> str:
    if field is None:
        return ""
    stride = f", stride {both(field.stride)}" if field.stride else ""
    return f"field {both(field.size)}{stride}"


# -- where they stand ---------------------------------------------------------------------------


def _margin(boxes: Sequence[Box], source: Box, target: Box) -> int:
    """The lane to the left of which a line passes all boxes between two."""
    passed = [box.lane for box in boxes if source.row < box.row < target.row]
    return min(passed, default=target.lane)


def _tracks(edges: Sequence[Edge]) -> dict[Edge, int]:
    """Which lines run beside which: those of one source as one, short ones next to the boxes."""
    taken: dict[tuple[int, int], list[tuple[int, int, Box]]] = {}
    found: dict[Edge, int] = {}
    for edge in sorted(edges, key=lambda e: e.target.row - e.source.row):
        first, last = edge.source.row, edge.target.row
        track = 0
        while any(
            first < other_last and other_first < last and box is not edge.source
            for other_first, other_last, box in taken.get((edge.lane, track), [])
        ):
            track += 1
        taken.setdefault((edge.lane, track), []).append((first, last, edge.source))
        found[edge] = track
    return found


def _place(boxes: Sequence[Box], tracks: Mapping[Edge, int], lanes: int) -> None:
    """Rows from top to bottom, lanes from left to right."""
    lefts, left = [], 12.0
    for lane in range(lanes):
        margin = TRACK * max((t + 1 for e, t in tracks.items() if e.lane == lane), default=0)
        left += max(margin, INDENT if lane else 0) + (TRACK if margin else 0)
        lefts.append(left)
    top = 12.0
    for row in range(1 + max(box.row for box in boxes)):
        standing = sorted((b for b in boxes if b.row == row), key=lambda b: b.lane)
        free = 0.0
        for box in standing:
            box.left, box.top = max(lefts[box.lane], free), top
            free = box.right + 2 * TRACK
        top += max(box.height for box in standing) + GAP


# -- lines --------------------------------------------------------------------------------------


def _near(source: Box, target: Box) -> str:
    """To the box just below: straight down, if one stands above the other."""
    x = max(source.left, target.left) + INDENT
    if x <= min(source.right, target.right) - PAD:
        return _path([(x, source.bottom), (x, target.top)])
    a = min(max(target.left + INDENT, source.left + PAD), source.right - PAD)
    b = min(max(a, target.left + PAD), target.right - PAD)
    middle = target.top - GAP / 2
    return _path([(a, source.bottom), (a, middle), (b, middle), (b, target.top)])


def _far(edge: Edge, track: int, boxes: Sequence[Box]) -> str:
    """Out below the source, down in the margin, in above the target."""
    between = [box.left for box in boxes if edge.source.row < box.row < edge.target.row]
    x = min(between) - TRACK * (track + 1)
    out = edge.source.left + PAD + TRACK
    into = edge.target.left + PAD + TRACK
    rows = {box.row: box.top for box in boxes}
    below = rows[edge.source.row + 1] - GAP / 2 - 5
    above = edge.target.top - GAP / 2 + 3
    points = [(out, edge.source.bottom), (out, below), (x, below)]
    return _path([*points, (x, above), (into, above), (into, edge.target.top)])


def _path(points: Sequence[tuple[float, float]]) -> str:
    """A line with round corners, and an arrow at its end."""
    parts = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for before, at, after in zip(points, points[1:], points[2:], strict=False):
        parts.append(f"L{_point(_toward(at, before))}Q{_point(at)} {_point(_toward(at, after))}")
    (x, y), end = points[-1], _point(points[-1])
    parts.append(f"L{end}M{_point((x - 3, y - 5))}L{end}L{_point((x + 3, y - 5))}")
    return f'<path d="{"".join(parts)}"/>'


def _point(at: tuple[float, float]) -> str:
    return f"{at[0]:.1f} {at[1]:.1f}"


def _toward(at: tuple[float, float], other: tuple[float, float], most: float = 6) -> Any:
    """A few points from here to there, at most half the way."""
    distance = math.dist(at, other)
    share = min(most, distance / 2) / distance if distance else 0
    return at[0] + share * (other[0] - at[0]), at[1] + share * (other[1] - at[1])


def _drawn(box: Box) -> Iterator[str]:
    tint, edge = TINTS[box.lane % len(TINTS)], EDGES[box.lane % len(EDGES)]
    heavy = 2.2 if box.output else 1
    yield (
        f'<rect x="{box.left:.1f}" y="{box.top:.1f}" width="{box.width:.1f}" '
        f'height="{box.height:.1f}" rx="4" fill="{tint}" stroke="{edge}" stroke-width="{heavy}"/>'
    )
    y, left, right = box.top + PAD / 2 + FONT, box.left + PAD, box.right - PAD
    if box.title:
        yield f'<text x="{left:.1f}" y="{y:.1f}" font-weight="bold">{escape(box.title)}</text>'
        y += LINE
    name_width = max(len(name) for name, _, _ in box.texts)
    for name, operators, shape in box.texts:
        yield f'<text x="{left:.1f}" y="{y:.1f}" font-weight="bold">{escape(name)}</text>'
        at = left + (name_width + 2) * LETTER
        yield f'<text x="{at:.1f}" y="{y:.1f}" fill="#333">{escape(operators)}</text>'
        yield f'<text x="{right:.1f}" y="{y:.1f}" text-anchor="end">{shape}</text>'
        y += LINE
    if box.foot:
        yield (
            f'<text x="{right:.1f}" y="{y:.1f}" text-anchor="end" fill="{edge}">{box.foot}</text>'
        )
