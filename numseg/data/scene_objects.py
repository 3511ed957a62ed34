"""The things in generated scenes, one by one."""

from __future__ import annotations

import numpy as np

from numseg import checks
from numseg.chance import hashed
from numseg.data.detection import DetectionDataset, DetectionSample
from numseg.data.instances import Instances
from numseg.data.masks import masks_to_boxes
from numseg.data.scenes import HOUSE, SUN, TREE, Canvas
from numseg.typing import Pair

SCENE_OBJECTS = ("background", "sun", "tree", "house")
_NUMBERS = {SUN: 1, TREE: 2, HOUSE: 3}

LEAST_PIXELS = 16
LEAST_SHARE = 4
"""An object of fewer pixels, or of which less than one in four shows, is difficult."""


def scene_instances(
    count: int, size: Pair = 96, seed: int = 0, *, crowds: bool = False
) -> DetectionDataset:
    """The pictures of :func:`scenes`, bit for bit, with the things that stand in them.

    Sun, trees and houses (with their roofs) are objects: their masks are the pixels that show, no
    pixel is of two, and their boxes are the smallest that hold the masks. What is hidden altogether
    is none. ``difficult`` is what has fewer than 16 pixels, or shows less than a quarter of what it
    would with nothing in front of it; ``truncated`` is what reaches the border of the picture.

    Parameters
    ----------
    count, size, seed
        As for :func:`scenes`.
    crowds : bool
        Behind all else there is a grove besides, one region of many trees, whose ``crowd`` is True;
        not where its place is under water. The picture differs in its pixels and in no others.

    Returns
    -------
    DetectionDataset
        Images (3, H, W) of uint8, with masks.

    Raises
    ------
    ArgumentError
        As :func:`scenes`.

    Examples
    --------
    >>> from numseg.data import scene_instances
    >>> data = scene_instances(1, size=64, seed=7)
    >>> [data.classes[label] for label in data[0].instances.labels]
    ['sun', 'house', 'tree', 'house']
    """
    count = checks.integer("count", count, minimum=0)
    rows, columns = checks.pair("size", size, minimum=16)
    seed = checks.integer("seed", seed, minimum=0)
    crowds = checks.flag("crowds", crowds)
    samples = []
    for i in range(count):
        canvas = Canvas(rows, columns, hashed(seed, i))
        image, _ = canvas.landscape(crowds)
        samples.append(DetectionSample(image, _objects(canvas), f"scene-{seed}-{i}"))
    return DetectionDataset(tuple(samples), SCENE_OBJECTS)


def _objects(canvas: Canvas) -> Instances:
    """What shows of the things."""
    every = canvas.owner == np.arange(len(canvas.things))[:, None, None]
    there = every.any(axis=(1, 2))
    masks = every[there]
    things = [thing for thing, shows in zip(canvas.things, there, strict=True) if shows]
    pixels = np.count_nonzero(masks, axis=(1, 2))
    whole = np.array([np.count_nonzero(thing.whole) for thing in things], np.int64)
    crowd = np.array([thing.crowd for thing in things], bool)
    border = masks[:, [0, -1]].any(axis=(1, 2)) | masks[:, :, [0, -1]].any(axis=(1, 2))
    return Instances(
        boxes=masks_to_boxes(masks),
        labels=np.array([_NUMBERS[thing.label] for thing in things], np.int64),
        masks=masks,
        crowd=crowd,
        difficult=~crowd & ((pixels < LEAST_PIXELS) | (LEAST_SHARE * pixels < whole)),
        truncated=border,
    )
