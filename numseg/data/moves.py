"""Pictures that training varies, with their objects: boxes and masks go where the pixels go."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from numseg import checks
from numseg.chance import Dice
from numseg.data.augment import (
    Axis,
    Colours,
    check_colours,
    chosen_axes,
    colour_amounts,
    piece,
    recoloured,
    scale_between,
)
from numseg.data.detection import DetectionSample
from numseg.data.instances import Instances
from numseg.data.masks import masks_to_boxes
from numseg.typing import Array


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """How pictures with objects are varied. Scaled, cut, coloured, mirrored, in this order, with
    the pixels that :class:`~numseg.training.Sampling` gives for the same numbers.

    Raises
    ------
    ArgumentError
        For numbers out of range.
    """

    crop: int | tuple[int, int] | None = None
    """Rows and columns of a piece, what is beyond a smaller picture being zero; None for the whole
    of every picture, whatever its size."""
    scale: tuple[float, float] = (1.0, 1.0)
    """Pictures are scaled by a factor between these two, rows and columns alike."""
    flip: bool = True
    """Half of the pictures are mirrored left to right."""
    brightness: float = 0.0
    """This and the next three vary colours, as torchvision's ColorJitter does."""
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    min_visible: float = 0.0
    """An object that is cut stays if at least this share of it is left: of its mask's pixels, or of
    its box's area where there are no masks. Nothing must not be left of it."""
    min_size: float = 1.0
    """And if both sides of its box are at least so many pixels. Crowds stay while anything is left
    of them, as what is found there must not count."""
    tighten: bool = True
    """An object that is cut gets the smallest box that holds what is left of its mask; without, or
    where there are no masks, its box is clipped."""
    seed: int = 0

    def __post_init__(self) -> None:
        kept: dict[str, Any] = {"scale": scale_between(self.scale), **colour_amounts(self)}
        if checks.is_sequence(self.crop):
            kept["crop"] = checks.pair("crop", self.crop, 1)
        elif self.crop is not None:
            kept["crop"] = checks.integer("crop", self.crop, 1)
        for name in ("flip", "tighten"):
            kept[name] = checks.flag(name, getattr(self, name))
        kept["min_visible"] = checks.real("min_visible", self.min_visible, 0, 1)
        kept["min_size"] = checks.real("min_size", self.min_size, 0)
        kept["seed"] = checks.integer("seed", self.seed, minimum=0)
        for name, value in kept.items():
            object.__setattr__(self, name, value)

    @property
    def colours(self) -> Colours:
        """By how much colours vary."""
        return Colours(self.brightness, self.contrast, self.saturation, self.hue)


def augmented(
    sample: DetectionSample, how: Augmentation, channels: int, epoch: int, item: int
) -> tuple[Array, Instances]:
    """A picture of an epoch as a network takes it, and its objects, varied by chance.

    Parameters
    ----------
    sample : DetectionSample
    how : Augmentation
    channels : int
        That the network takes.
    epoch, item : int
        On which, and on the seed, all chance depends, and on nothing else.

    Returns
    -------
    x : array, (channels, rows, columns), float32
        In [0, 1].
    instances : Instances
        Those that are left.

    Raises
    ------
    ArgumentError
        For colours that a picture of so many channels has not.

    Examples
    --------
    >>> from numseg.data import scene_instances
    >>> sample = scene_instances(1, 64, seed=7)[0]
    >>> x, instances = augmented(sample, Augmentation(crop=48, scale=(0.5, 1.5)), 3, 0, 0)
    >>> x.shape, instances.masks.shape[1:]
    ((3, 48, 48), (48, 48))
    """
    check_colours(how.colours, channels)
    dice = Dice(how.seed, epoch, item)
    wanted = (how.crop, how.crop) if isinstance(how.crop, int) else how.crop
    rows, columns = chosen_axes(sample.image.shape[1:], wanted, how.scale, dice)
    x, found = moved(
        sample.image, sample.instances, rows, columns, channels,
        min_visible=how.min_visible, min_size=how.min_size, tighten=how.tighten,
    )  # fmt: skip
    if any(how.colours):
        x = recoloured(x, how.colours, dice)
    if wanted is not None:
        x, found = _padded(x, found, wanted)
    if how.flip and dice.one_in(2):
        x, found = flipped(x, found)
    return np.ascontiguousarray(x), found


def moved(
    image: Array,
    instances: Instances,
    rows: Axis,
    columns: Axis,
    channels: int,
    *,
    min_visible: float = 0.0,
    min_size: float = 1.0,
    tighten: bool = True,
) -> tuple[Array, Instances]:
    """Part of a scaled picture, as :func:`~numseg.data.augment.piece` gives it, and its objects.

    Masks are those of the nearest pixels. Boxes are scaled by the ratios of the sizes and clipped
    to the piece; what is left too little of is removed, as :class:`Augmentation` says. ``areas``
    go with what is seen; what is cut is truncated.
    """
    layers = np.zeros((*image.shape[1:], 0), bool)
    if instances.masks is not None:
        layers = np.moveaxis(instances.masks, 0, 2)
    x, layers = piece(image, layers, rows, columns, channels)
    ratio = (columns.scaled / columns.size) * (rows.scaled / rows.size)
    scaled = _scaled(instances.boxes, rows, columns)
    limits = np.array([columns.stop - columns.start, rows.stop - rows.start] * 2)
    boxes = scaled.clip(0, limits)
    share = _share(boxes, scaled)
    cut = (boxes != scaled).any(axis=1)
    masks = None
    if instances.masks is not None:
        masks = np.ascontiguousarray(np.moveaxis(layers, 2, 0))
        share = _seen(instances.masks, masks, rows, columns)
        tight = cut & (share > 0) & tighten
        boxes[tight] = masks_to_boxes(masks[tight])
    sides = (boxes[:, 2:] - boxes[:, :2]).min(axis=1)
    enough = (share >= min_visible) & (sides >= min_size)
    found = dataclasses.replace(
        instances,
        boxes=boxes,
        masks=masks,
        truncated=instances.truncated | cut,
        areas=instances.areas * ratio * share,
    )
    return x, found.take((share > 0) & (enough | instances.crowd))


def _scaled(boxes: Array, rows: Axis, columns: Axis) -> Array:
    """Boxes on the piece, not clipped: products first, so that whole factors are exact."""
    scaled, size, start = (
        np.array([getattr(axis, name) for axis in (columns, rows)] * 2, np.float64)
        for name in ("scaled", "size", "start")
    )
    return boxes * scaled / size - start


def _share(boxes: Array, whole: Array) -> Array:
    """The areas of boxes, in shares of the whole ones'; 0 for those without area."""
    area, all_of_it = ((b[:, 2:] - b[:, :2]).prod(axis=1) for b in (boxes, whole))
    return np.divide(area, all_of_it, out=np.zeros(len(boxes)), where=all_of_it > 0)


def _seen(masks: Array, left: Array, rows: Axis, columns: Axis) -> Array:
    """The pixels that are left, in shares of those that the whole scaled masks have."""
    whole = masks
    if (rows.size, columns.size) != (rows.scaled, columns.scaled):
        down = rows._replace(start=0, stop=rows.scaled).nearest()
        across = columns._replace(start=0, stop=columns.scaled).nearest()
        whole = masks[:, down[:, None], across]
    there, all_of_it = (np.count_nonzero(m, axis=(1, 2)) for m in (left, whole))
    return np.divide(there, all_of_it, out=np.zeros(len(left)), where=all_of_it > 0)


def flipped(image: Array, instances: Instances) -> tuple[Array, Instances]:
    """A picture (C, H, W) and its objects, mirrored left to right."""
    x0, y0, x1, y1 = instances.boxes.T
    width = image.shape[2]
    boxes = np.stack([width - x1, y0, width - x0, y1], axis=1)
    masks = None if instances.masks is None else instances.masks[:, :, ::-1]
    return image[:, :, ::-1], dataclasses.replace(instances, boxes=boxes, masks=masks)


def _padded(x: Array, instances: Instances, size: tuple[int, int]) -> tuple[Array, Instances]:
    """Zeros below and to the right, up to the size."""
    below, right = (want - have for want, have in zip(size, x.shape[1:], strict=True))
    if not (below or right):
        return x, instances
    around = (0, 0), (0, below), (0, right)
    masks = None if instances.masks is None else np.pad(instances.masks, around)
    return np.pad(x, around), dataclasses.replace(instances, masks=masks)
