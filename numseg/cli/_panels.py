"""Pictures of what a network makes of pictures."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from numseg.cli._picture import drawing
from numseg.data import Dataset, DetectionSample, Sample, as_input, encode_image, overlay
from numseg.training.detection_pictures import png, printable
from numseg.typing import Array, ArrayLike

GAP = 4
"""Pixels between panels."""


def panels(sample: Sample, prediction: Array, dataset: Dataset) -> bytes:
    """A PNG: the picture, its truth, what was predicted; ignored pixels are not tinted."""
    truth = np.where(sample.labels == dataset.ignored, -1, sample.labels)
    return beside(sample.image, [truth, prediction], dataset.colours)


def beside(image: Array, labels: Sequence[Array], colours: ArrayLike | None) -> bytes:
    """A PNG: the picture, then the picture with each of the labels; -1 is not tinted."""
    plain = np.rint(as_input(image, 3) * 255).astype(np.uint8)
    gap = np.full((3, plain.shape[1], GAP), 255, np.uint8)
    shown = [part for each in labels for part in (gap, overlay(image, each, colours))]
    return encode_image(np.concatenate([plain, *shown], axis=2))


def file_name(index: int, sample: Sample | DetectionSample) -> str:
    """A name for the picture of a sample, whatever the sample's is."""
    name = re.sub(r"[^\w.-]+", "-", sample.name, flags=re.ASCII)[-60:]
    return f"{index:04d}-{name}.png"


def confusion(matrix: Array, classes: tuple[str, ...]) -> bytes:
    """A PNG of a confusion matrix, each row in shares of the pixels of its class."""
    total = matrix.sum(axis=1, keepdims=True)
    shares = np.divide(matrix, total, out=np.zeros(matrix.shape), where=total > 0)
    count = len(classes)
    side = min(max(3.2 + 0.32 * count, 4.5), 40)
    figure = drawing().Figure(figsize=(side, side), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    names = [printable(name) for name in classes]
    axes.set_xticks(range(count), names, rotation=90, fontsize=8)
    axes.set_yticks(range(count), names, fontsize=8)
    axes.set_xlabel("predicted")
    axes.set_ylabel("truth")
    for row, column in np.argwhere(shares >= 0.005)[:2500]:
        share = shares[row, column]
        colour = "white" if share > 0.5 else "black"
        text = f"{100 * share:.0f}"
        axes.text(column, row, text, ha="center", va="center", fontsize=6, color=colour)
    axes.set_title("percent of each class's pixels", fontsize=9)
    return png(figure)
