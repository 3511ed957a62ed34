"""R-CNN, SPPNet, Fast R-CNN, Faster R-CNN, Mask R-CNN on one picture: what each computes once, and
what for every region. ``python docs/systems.py`` counts, measures, and writes the tables of
docs/systems.md; docs/figures.py draws the first.
"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import numseg as ns
from numseg import detectors
from numseg.data import scene_instances
from numseg.detectors import regions as r
from numseg.detectors.selective_search import selective_search

PAGE = Path(__file__).with_suffix(".md")
SIZE = 600, 800
"""Rows and columns of the image that is counted, as its network sees it."""
SEARCHED, PROPOSED, MASKS = 2000, 300, 100
SMALL_SIZE, SMALL_WIDTH, SMALL_REGIONS = (288, 384), 16, 300
"""What is measured: a sixteenth of VGG-16's multiply-adds for a pixel, and a smaller picture."""


class Count(NamedTuple):
    """Multiply-adds of one system, and how often its convolutions run."""

    system: str
    once: float
    each: float
    regions: int
    passes: int
    masks: float = 0.0

    @property
    def total(self) -> float:
        return self.once + self.each * self.regions + self.masks


def made(name: str, **others: Any) -> Any:
    """A system as published; or another one."""
    return getattr(detectors, name)(in_channels=3, **others)


def cost(graph: Any, *shapes: Any) -> float:
    """Multiply-adds."""
    return graph.summary(*shapes).multiply_adds


def counts() -> list[Count]:
    """Of the published networks, on an image of SIZE."""
    classes, image = 21, (1, 3, *SIZE)
    found = []
    alone = made("rcnn", classes=classes)
    found.append(Count("R-CNN", 0, cost(alone.head, (1, 3, 224, 224)), SEARCHED, SEARCHED))
    for name, title in (("sppnet", "SPPNet"), ("fast_rcnn", "Fast R-CNN")):
        one = made(name, classes=classes)
        features = last_shape(one.trunk, image)
        each = cost(one.head, features, (1, 5))
        found.append(Count(title, cost(one.trunk, image), each, SEARCHED, 1))
    one = made("faster_rcnn_vgg16", classes=classes)
    features = last_shape(one.trunk, image)
    once = cost(one.trunk, image) + cost(one.rpn, features)
    found.append(Count("Faster R-CNN", once, cost(one.head, features, (1, 5)), PROPOSED, 1))
    one = made("mask_rcnn_c4", classes=81)
    features = last_shape(one.trunk, image)
    once, each = cost(one.trunk, image) + cost(one.rpn, features), cost(one.head, features, (1, 5))
    maps = (MASKS, *last_shape(one.looking, features, (1, 5))[1:])
    masks = cost(one.mask, maps) + MASKS * cost(one.looking, features, (1, 5))
    found.append(Count("Mask R-CNN C4", once, each, PROPOSED, 1, masks))
    if hasattr(detectors, "yolov1"):
        one = made("yolov1", classes=21)
        found.append(Count("YOLO v1", cost(one.graph, (1, 3, 448, 448)), 0, 0, 1))
    return found


def last_shape(graph: Any, *shapes: Any) -> tuple[int, ...]:
    """Of what a graph gives."""
    return graph.shapes(*shapes)[graph.outputs[0].source]


# -- measured ---------------------------------------------------------------------------------


class Time(NamedTuple):
    """Milliseconds, medians of turns."""

    system: str
    proposals: float
    once: float
    regions: float


def picture() -> np.ndarray:
    """A generated landscape."""
    return scene_instances(1, SMALL_SIZE, seed=3)[0].image.astype(np.float32) / 255


def runs() -> dict[str, tuple[Callable[[], Any], Callable[[], Any]]]:
    """Of each system what it computes once, and what of its regions; small and with random weights,
    all on the same convolutions and on as many regions."""
    image = picture()
    small = {"width": SMALL_WIDTH, "classes": 21}
    boxes = selective_search(image, min_size=8, max_regions=SMALL_REGIONS)
    found: dict[str, Any] = {}
    for name, title in (
        ("rcnn", "R-CNN"),
        ("sppnet", "SPPNet"),
        ("fast_rcnn", "Fast R-CNN"),
        ("faster_rcnn_vgg16", "Faster R-CNN"),
        ("mask_rcnn_c4", "Mask R-CNN C4"),
    ):
        one = made(name, **small, **({} if name == "rcnn" else {"min_size": None}))
        params = one.init(seed=0)
        x = r.batch([image], one.settings.scaling, image.dtype).x
        rows = r.rows_of([r.inner(boxes, 1.0, one.settings.offset)], x.dtype)
        found[title] = once(one, params, x), of_regions(one, params, x, rows)
    return found


def once(one: Any, params: Any, x: np.ndarray) -> Callable[[], Any]:
    """The convolutions of the image, and the proposal network with its decisions."""
    if getattr(one, "rpn", None) is not None:

        def run() -> Any:
            _, scores, codes = one.maps(params, x)
            return one.propose(scores[0], codes[0], SMALL_SIZE, 1.0, False)

        return run
    if one.trunk is None:
        return lambda: None
    return lambda: one.trunk.run(one.of(one.trunk, params), x)


def of_regions(one: Any, params: Any, x: np.ndarray, rows: np.ndarray) -> Callable[[], Any]:
    """Scores and codes of the regions."""
    maps = x if one.trunk is None else one.trunk.run(one.of(one.trunk, params), x)
    if hasattr(one, "scored"):
        return lambda: one.scored(params, maps, rows)
    own = one.of(one.scoring, params)
    return lambda: one.scoring.run(own, maps, rows)


def measured(turns: int = 3) -> list[Time]:
    """All, in turns, on one thread."""
    every, image, taken = runs(), picture(), {}
    with ns.num_threads(1):
        searched = [clocked(lambda: selective_search(image)) for _ in range(turns)]
        for turn in range(turns + 1):  # the first compiles and does not count
            for system, parts in every.items():
                times = [clocked(part) for part in parts]
                if turn:
                    taken.setdefault(system, []).append(times)
    search = statistics.median(searched)
    return [
        Time(system, search if "Faster" not in system and "Mask" not in system else 0, *middle)
        for system, times in taken.items()
        for middle in [[statistics.median(column) for column in zip(*times, strict=True)]]
    ]


def clocked(run: Callable[[], Any]) -> float:
    """Milliseconds of a call."""
    begin = time.perf_counter()
    run()
    return 1e3 * (time.perf_counter() - begin)


# -- the page ---------------------------------------------------------------------------------


def counted_table() -> str:
    """The first table."""
    head = (
        "| | passes of the convolutions | once | for each region | regions | all |\n"
        "|---|---|---|---|---|---|"
    )
    rows = [
        f"| {c.system} | {c.passes} | {giga(c.once)} | {giga(c.each)} | {c.regions or ''} | "
        f"{giga(c.total)} |"
        for c in counts()
    ]
    return "\n".join([head, *rows])


def giga(number: float) -> str:
    """In thousands of millions."""
    return f"{number / 1e9:,.3g} G" if number < 1e12 else f"{number / 1e9:,.0f} G"


def measured_table() -> str:
    """The second table."""
    head = (
        "| | selective search | once | its 300 regions | all but the search | R-CNN's time over it "
        "|\n|---|---|---|---|---|---|"
    )
    times = measured()
    whole = {t.system: t.once + t.regions for t in times}
    rows = [
        f"| {t.system} | {f'{t.proposals:,.0f} ms' if t.proposals else ''} | {t.once:,.0f} ms | "
        f"{t.regions:,.0f} ms | {whole[t.system]:,.0f} ms | "
        f"{whole['R-CNN'] / whole[t.system]:.1f} |"
        for t in times
    ]
    return "\n".join([head, *rows])


def main() -> None:
    """Write both tables into the page."""
    text = PAGE.read_text()
    for name, table in (("counted", counted_table()), ("measured", measured_table())):
        print(table, end="\n\n")
        block = f"<!-- {name} -->\n{table}\n<!-- end -->"
        text = re.sub(rf"(?s)<!-- {name} -->.*?<!-- end -->", lambda _, b=block: b, text)
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
