"""Pictures of how good a detector is: its worst mistakes, and precision over recall."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from numseg import checks
from numseg.data.images import as_input
from numseg.data.instances import Detections, Instances
from numseg.errors import ArgumentError
from numseg.files import optional
from numseg.training.average_precision import AveragePrecision
from numseg.training.mistakes import Mistake, mistakes
from numseg.typing import Array


@checks.named("mistakes_picture")
def mistakes_picture(
    images: Sequence[Array],
    truth: Sequence[Instances],
    found: Sequence[Detections],
    classes: Sequence[str],
    *,
    each: int = 4,
    iou_threshold: float = 0.5,
    comparison: str = ">=",
    of: str = "boxes",
    offset: int = 0,
) -> bytes:
    """A PNG of the worst mistakes: a row for each kind that there is, the worst first.

    Each is cut out of its picture with what is around it. Objects are drawn in solid white lines,
    detections in broken red ones.

    Parameters
    ----------
    images : sequence of array, (C, H, W)
        Of every picture.
    truth, found, iou_threshold, comparison, of, offset
        As in :func:`mistakes`.
    classes : sequence of str
        Names, the background's first.
    each : int
        How many of a kind.

    Raises
    ------
    MissingExtra
        Without matplotlib (extra ``demo``).
    ArgumentError
        As :func:`mistakes`; for another number of images than of pictures.
    """
    each = checks.integer("each", each, minimum=1)
    if len(images) != len(truth):
        raise ArgumentError(f"images has {len(images)} pictures, but truth has {len(truth)}")
    every = mistakes(
        truth, found, iou_threshold=iou_threshold, comparison=comparison, of=of, offset=offset
    )
    rows = [(kind, all[:each]) for kind, all in every.items() if all]
    figure = _matplotlib("figure").Figure(
        figsize=(2.2 * each + 0.4, 2.5 * max(len(rows), 1)), layout="constrained"
    )
    for row, (kind, worst) in enumerate(rows):
        for column, one in enumerate(worst):
            axes = figure.add_subplot(len(rows), each, row * each + column + 1)
            _draw(axes, one, images[one.picture], truth[one.picture], found[one.picture], classes)
            if column == 0:
                axes.set_ylabel(f"{kind} ({len(every[kind])})", fontsize=10)
    if not rows:
        figure.text(0.5, 0.5, "no mistakes", ha="center", va="center")
    return png(figure)


def _draw(
    axes: Any, one: Mistake, image: Array, truth: Instances, found: Detections, names: Sequence[str]
) -> None:
    """One mistake, with what is around it."""
    shown, said = [], []
    if one.object >= 0:
        shown.append((truth.boxes[one.object], "white", "solid"))
        said.append(f"is {_name(names, truth.labels[one.object])}")
    if one.detection >= 0:
        shown.append((found.boxes[one.detection], "red", "dashed"))
        score = found.scores[one.detection]
        said.insert(0, f"{_name(names, found.labels[one.detection])} {score:.2f}")
    if one.detection >= 0 and one.object >= 0:
        said.append(f"IoU {one.overlap:.2f}")
    low, high = _around(np.array([box for box, _, _ in shown]), image.shape[1:])
    part = as_input(image[:, low[1] : high[1], low[0] : high[0]], 3)
    axes.imshow(np.moveaxis(part, 0, 2), extent=(low[0], high[0], high[1], low[1]),
                interpolation="nearest")  # fmt: skip
    rectangle = optional(
        "matplotlib.patches", "matplotlib", "demo", "drawing the picture"
    ).Rectangle
    for (x0, y0, x1, y1), colour, line in shown:
        for width, ink in ((3.5, "black"), (1.8, colour)):  # seen on any ground
            axes.add_patch(
                rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, lw=width, ec=ink, ls=line)
            )
    axes.set_title(", ".join(said), fontsize=7)
    axes.set(xticks=[], yticks=[], xlabel=f"picture {one.picture}")
    axes.xaxis.label.set_size(7)


def _around(boxes: Array, size: tuple[int, ...]) -> tuple[Array, Array]:
    """Whole pixels around boxes, as x and y: half of their size on each side; at least a pixel of
    the picture, whatever the boxes."""
    edges = np.array(size[::-1])
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    margin = np.maximum((high - low).max() / 2, 8)
    low = np.floor(low - margin).clip(0, edges - 1)
    high = np.ceil(high + margin).clip(low + 1, edges)
    return low.astype(np.int64), high.astype(np.int64)


@checks.named("precision_recall_picture")
def precision_recall_picture(
    scored: AveragePrecision, classes: Sequence[str], *, most: int = 20
) -> bytes:
    """A PNG of precision over recall, a line for each class that has objects.

    The thin line is what was measured, the thick one the best precision at that recall or a larger
    one, under which VOC 2010's average precision is the area.

    Parameters
    ----------
    scored : AveragePrecision
        Of :func:`average_precision`.
    classes : sequence of str
        Names, the background's first.
    most : int
        The classes drawn: those with the lowest AP, if there are more.

    Raises
    ------
    MissingExtra
        Without matplotlib (extra ``demo``).
    ArgumentError
        For another number of names than of classes.
    """
    most = checks.integer("most", most, minimum=1)
    if len(classes) != len(scored.curves):
        raise ArgumentError(
            f"classes has {len(classes)} names, but there are {len(scored.curves)} classes"
        )
    there = [c for c in np.argsort(scored.each, kind="stable") if not math.isnan(scored.each[c])]
    figure = _matplotlib("figure").Figure(figsize=(6.4, 4.6), layout="constrained")
    axes = figure.add_subplot()
    for number, c in enumerate(there[:most]):
        curve, colour = scored.curves[c], f"C{number % 10}"
        style = ("-", "--")[number // 10 % 2]
        recall = np.concatenate([[0], curve.recall, curve.recall[-1:]])
        measured = np.concatenate([curve.precision[:1], curve.precision, [0]])[: len(recall)]
        best = np.concatenate([curve.envelope[:1], curve.envelope, [0]])[: len(recall)]
        axes.plot(recall, measured, color=colour, ls=style, lw=0.6, alpha=0.6)
        label = f"{_name(classes, c)}  {scored.each[c]:.3f}"
        axes.step(recall, best, where="pre", color=colour, ls=style, lw=1.6, label=label)
    axes.set(xlim=(0, 1.01), ylim=(0, 1.03), xlabel="recall", ylabel="precision")
    left = len(there) - most
    axes.set_title(
        f"mean AP {scored.mean:.3f}" + (f" ({left} better classes not drawn)" if left > 0 else ""),
        fontsize=10,
    )
    if there:
        figure.legend(fontsize=8, loc="outside right upper")
    return png(figure)


def _matplotlib(part: str) -> Any:
    return optional(f"matplotlib.{part}", "matplotlib", "demo", "drawing the picture")


def _name(classes: Sequence[str], label: Any) -> str:
    return printable(classes[label] if label < len(classes) else f"class {label}")


def printable(name: str) -> str:
    """A name that fonts can draw: no formulas, no bytes that are no text."""
    return name.encode("utf-8", "replace").decode().replace("$", r"\$")


def png(figure: Any) -> bytes:
    """The bytes of a figure of matplotlib's."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a box stands for a letter the font has not
        figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
