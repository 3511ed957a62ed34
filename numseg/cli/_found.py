"""What detectors find, as pictures and as records."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from numseg.cli._panels import GAP
from numseg.data import (
    Detections,
    DetectionSample,
    Instances,
    as_input,
    encode_image,
    palette,
)
from numseg.files import optional
from numseg.typing import Array

LEGIBLE = 480
"""Pictures of fewer rows and columns are drawn enlarged, so that words fit."""

COLUMNS = ("image", "label", "class", "score", "x0", "y0", "x1", "y1")


def drawn(image: Array, found: Detections | Instances, classes: Sequence[str]) -> Array:
    """A picture (3, H, W) uint8 with boxes, names, scores and masks, the surest on top.

    Masks are tinted, each in the colour of its class.
    """
    colours = np.maximum(palette(len(classes)), 40)
    base = np.rint(as_input(image, 3) * 255).astype(np.uint8)
    scores = getattr(found, "scores", None)
    order = np.arange(len(found)) if scores is None else np.argsort(scores, kind="stable")
    for k in order if found.masks is not None else ():
        tint = colours[found.labels[k]].astype(np.uint16)[:, None]
        where = found.masks[k]  # type: ignore[index]
        base[:, where] = ((base[:, where].astype(np.uint16) + tint) // 2).astype(np.uint8)
    factor = max(1, -(-LEGIBLE // max(base.shape[1:])))
    pixels = np.moveaxis(base.repeat(factor, axis=1).repeat(factor, axis=2), 0, 2)
    pillow = {part: _pillow(part) for part in ("Image", "ImageDraw", "ImageFont")}
    canvas = pillow["Image"].fromarray(np.ascontiguousarray(pixels))
    draw, font = pillow["ImageDraw"].Draw(canvas), pillow["ImageFont"].load_default()
    for k in order:
        colour = tuple(map(int, colours[found.labels[k]]))
        words = _letters(classes[found.labels[k]])
        if scores is not None:
            words += f" {scores[k]:.2f}"
        _box(draw, font, found.boxes[k] * factor, colour, words)
    return np.moveaxis(np.asarray(canvas), 2, 0)


def _pillow(part: str) -> Any:
    return optional(f"PIL.{part}", "pillow", "data", "drawing the picture")


def _letters(name: str) -> str:
    """Those that any font has."""
    return name.encode("latin-1", "replace").decode("latin-1")


def _box(draw: Any, font: Any, box: Array, colour: tuple[int, ...], words: str) -> None:
    """A rectangle of two lines, black around the colour, and words above it, or in it at the top
    of the picture."""
    x0, y0, x1, y1 = (int(v) for v in np.rint(box))
    x1, y1 = max(x1 - 1, x0), max(y1 - 1, y0)
    draw.rectangle((x0, y0, x1, y1), outline=(0, 0, 0), width=3)
    draw.rectangle((x0, y0, x1, y1), outline=colour, width=2)
    _, _, width, height = draw.textbbox((0, 0), words, font=font)
    top = max(y0 - height - 3, 0)
    left = max(min(x0, draw.im.size[0] - width - 4), 0)
    draw.rectangle((left, top, left + width + 3, top + height + 3), fill=colour)
    ink = (0, 0, 0) if sum(colour) > 380 else (255, 255, 255)
    draw.text((left + 2, top + 1), words, fill=ink, font=font)


def beside(sample: DetectionSample, found: Detections, classes: Sequence[str]) -> bytes:
    """A PNG: the objects that there are, and what is found with a score of at least a half."""
    sure = found.take(found.scores >= 0.5)
    truth, seen = (drawn(sample.image, one, classes) for one in (sample.instances, sure))
    gap = np.full((3, truth.shape[1], GAP), 255, np.uint8)
    return encode_image(np.concatenate([truth, gap, seen], axis=2))


def as_json(every: Sequence[tuple[Path, Sequence[int], Detections]], names: Sequence[str]) -> bytes:
    """Pictures, their sizes, and what is found in them: boxes x0, y0, x1, y1, the edges in pixels;
    masks as COCO's uncompressed run lengths."""
    content = [
        {
            "image": str(path),
            "size": list(map(int, size)),
            "detections": [_record(found, k, names) for k in range(len(found))],
        }
        for path, size, found in every
    ]
    return (json.dumps(content, indent=1) + "\n").encode("utf-8", "surrogateescape")


def _record(found: Detections, k: int, names: Sequence[str]) -> dict[str, Any]:
    label = int(found.labels[k])
    record: dict[str, Any] = {
        "label": names[label],
        "class": label,
        "score": float(found.scores[k]),
        "box": [float(v) for v in found.boxes[k]],
    }
    if found.masks is not None:
        record["mask"] = run_lengths(found.masks[k])
    return record


def run_lengths(mask: Array) -> dict[str, Any]:
    """A mask (rows, columns) as COCO's JSON has it: how many pixels are not of it, then how many
    are, and so on, column by column."""
    pixels = np.concatenate([[False], mask.ravel(order="F")])
    changes = np.flatnonzero(pixels[1:] != pixels[:-1])
    counts = np.diff(np.concatenate([[0], changes, [mask.size]]))
    return {"size": list(mask.shape), "counts": counts.tolist()}


def as_csv(every: Sequence[tuple[Path, Sequence[int], Detections]], names: Sequence[str]) -> bytes:
    """A line for each detection, without masks."""
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for path, _, found in every:
        for k, label in enumerate(found.labels.tolist()):
            box = map(float, found.boxes[k])
            table.writerow([path, names[label], label, float(found.scores[k]), *box])
    return text.getvalue().encode("utf-8", "surrogateescape")
