"""Networks side by side: a table and a picture of what ``numseg compare`` has found."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from numseg.cli._picture import SCENE_COLOURS, drawing
from numseg.data import SCENE_CLASSES, Dataset, as_input, palette
from numseg.graph.summary import table as laid_out
from numseg.typing import Array

SHOWN = 4
"""Held-out pictures that are drawn."""

HEADS = (
    *("network", "mIoU", "f.w. IoU", "accuracy", "parameters", "mult-adds", "steps"),
    *("ms/step", "ms/picture", "MB/step", "MB/picture"),
)


def table(record: dict[str, Any]) -> str:
    """A line for each network, the best first."""
    networks = record["networks"].items()
    ordered = sorted(networks, key=lambda pair: -(pair[1]["scores"]["mean_iou"] or 0))
    return laid_out(HEADS, [_cells(label, entry) for label, entry in ordered], 1)


def _cells(label: str, entry: dict[str, Any]) -> tuple[str, ...]:
    scores = entry["scores"]
    shares = (scores["mean_iou"], scores["frequency_weighted_iou"], scores["pixel_accuracy"])
    return (
        label,
        *("-" if share is None else f"{share:.4f}" for share in shares),
        f"{entry['parameters']:,}",
        f"{entry['multiply_adds'] / 1e6:,.1f} M",
        f"{entry['epochs'] * entry['steps_per_epoch']:,}",
        f"{entry['step_ms']:.1f}",
        f"{entry['picture_ms']:.1f}",
        f"{entry['step_bytes'] / 1e6:.1f}",
        f"{entry['picture_bytes'] / 1e6:.1f}",
    )


def chosen(dataset: Dataset) -> list[int]:
    """The pictures that are drawn, evenly spread."""
    count = min(SHOWN, len(dataset))
    return [i * len(dataset) // count for i in range(count)]


def drawn(record: dict[str, Any], dataset: Dataset, predictions: dict[str, list[Array]]) -> bytes:
    """A PNG: how each learns, what each costs, and what each sees in the same pictures."""
    labels = list(record["networks"])
    rows = len(chosen(dataset))
    columns = 2 + len(labels)
    width = max(10.0, 2.1 * columns)
    figure = drawing().Figure(figsize=(width, 3.6 + rows * width / columns), layout="constrained")
    top, below = figure.subfigures(2, 1, height_ratios=[3.6, rows * width / columns])
    left, right = top.subplots(1, 2)
    _curves(left, record)
    _costs(right, record)
    _pictures(below.subplots(rows, columns, squeeze=False), dataset, predictions)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    return buffer.getvalue()


def _curves(axes: Any, record: dict[str, Any]) -> None:
    """Held-out mIoU by seconds of training: steps times the time of one."""
    for label, entry in record["networks"].items():
        ious = [epoch["mean_iou"] or 0 for epoch in entry["history"]]
        each = entry["steps_per_epoch"] * entry["step_ms"] / 1000
        axes.plot(each * np.arange(1, len(ious) + 1), ious, marker="o", ms=3, label=label)
    axes.set(xlabel="seconds of training steps", ylabel="mIoU on held-out pictures")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)


def _costs(axes: Any, record: dict[str, Any]) -> None:
    """mIoU by multiply-adds of a picture; a disc's area is the number of parameters."""
    most = max(entry["parameters"] for entry in record["networks"].values())
    for label, entry in record["networks"].items():
        area = 30 + 400 * entry["parameters"] / max(most, 1)
        place = entry["multiply_adds"] / 1e6, entry["scores"]["mean_iou"] or 0
        axes.scatter(*place, s=area, alpha=0.6)
        axes.annotate(f"{label}\n{entry['picture_ms']:.1f} ms", place, fontsize=8, ha="center")
    axes.set(xscale="log", xlabel="million multiply-adds of a picture", ylabel="mIoU")
    axes.margins(0.25)
    axes.grid(alpha=0.3)


def _pictures(panels: Any, dataset: Dataset, predictions: dict[str, list[Array]]) -> None:
    heads = ("picture", "truth", *predictions)
    colours = _colours(dataset)
    for row, index in enumerate(chosen(dataset)):
        sample = dataset.checked(index)
        truth = np.where(sample.labels == dataset.ignored, len(colours) - 1, sample.labels)
        masks = [truth, *(found[row] for found in predictions.values())]
        plain = np.moveaxis(as_input(sample.image, 3), 0, 2)
        shown = [plain, *(colours[mask] for mask in masks)]
        for axes, pixels, head in zip(panels[row], shown, heads, strict=True):
            axes.imshow(pixels, interpolation="nearest")
            axes.set_axis_off()
            if row == 0:
                axes.set_title(head, fontsize=9)


def _colours(dataset: Dataset) -> Array:
    """Of each class, and white for what is ignored."""
    if dataset.colours is not None:
        colours = np.asarray(dataset.colours, np.uint8)
    elif dataset.classes == SCENE_CLASSES:
        colours = SCENE_COLOURS
    else:
        colours = palette(len(dataset.classes))
    return np.concatenate([colours, np.full((1, 3), 255, np.uint8)])
