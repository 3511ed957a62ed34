"""Images of different sizes as one batch, and their objects as it has them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from numseg import boxes as boxes_
from numseg import checks
from numseg.chance import below
from numseg.data.detection import check_objects
from numseg.data.instances import Instances
from numseg.errors import ArgumentError, ArgumentTypeError
from numseg.ops.upsample_bilinear2d import upsample_bilinear2d
from numseg.ops.upsample_nearest2d import upsample_nearest2d
from numseg.typing import Array


class Batch(NamedTuple):
    """Images side by side, each at the top left of its place, with zeros beyond it."""

    x: Array
    """(N, C, H, W)."""
    sizes: list[tuple[int, int]]
    """Rows and columns that each image has there."""
    given: list[tuple[int, int]]
    """Those that it had."""


class Target(NamedTuple):
    """The objects of an image of a batch."""

    boxes: Array
    """(M, 4), dtype of the batch."""
    labels: Array
    masks: Array | None
    """(M, rows, columns), zeros and ones of that dtype."""


@dataclasses.dataclass(frozen=True)
class ImageTransform:
    """What torchvision's detectors do with images first: normalise, resize, pad.

    An image is scaled so that its shorter side has ``min_size`` pixels; or the longer one
    ``max_size``, where it would have more. Sides are rounded down.

    Source: torchvision 0.28, ``models.detection.transform.GeneralizedRCNNTransform``.
    """

    min_size: int | Sequence[int] = 800
    """Of several, a training step draws one for each image, and all else takes the last."""
    max_size: int = 1333
    image_mean: Sequence[float] = (0.485, 0.456, 0.406)
    image_std: Sequence[float] = (0.229, 0.224, 0.225)
    size_divisible: int = 32
    """What rows and columns of a batch are multiples of."""

    def __post_init__(self) -> None:
        several = checks.is_sequence(self.min_size)
        sizes = list(self.min_size) if several else [self.min_size]  # type: ignore[arg-type]
        if not sizes:
            raise ArgumentError("min_size is empty, expected a number or several")
        for size in sizes:
            checks.integer("min_size", size, 1)
        checks.integer("max_size", self.max_size, 1)
        checks.integer("size_divisible", self.size_divisible, 1)
        if len(self.image_mean) != len(self.image_std):
            raise ArgumentError(
                f"image_mean has {len(self.image_mean)} numbers, image_std {len(self.image_std)}"
            )
        for number in self.image_std:
            checks.positive("image_std", number)
        object.__setattr__(self, "min_size", tuple(sizes))

    def batch(self, images: Sequence[Array], dtype: Any, words: Sequence[int] = ()) -> Batch:
        """The images as one array. ``words``, such as seed and step, in training."""
        channels = len(self.image_mean)
        given = [checked(j, image, channels, dtype) for j, image in enumerate(images)]
        scaled = [self._scaled(j, image, dtype, words) for j, image in enumerate(given)]
        x = together(scaled, self.size_divisible)
        return Batch(x, [_size(image) for image in scaled], [_size(image) for image in given])

    def _scaled(self, number: int, image: Array, dtype: Any, words: Sequence[int]) -> Array:
        mean, std = (
            np.array(numbers, dtype)[:, None, None] for numbers in (self.image_mean, self.image_std)
        )
        x = (image - mean) / std
        sizes: Sequence[int] = self.min_size  # type: ignore[assignment]
        size = sizes[below(len(sizes), *words, number) if words else -1]
        short, long = min(_size(image)), max(_size(image))
        scale = min(size / short, self.max_size / long)
        rows, columns = (math.floor(side * scale) for side in _size(image))
        if rows == 0 or columns == 0:
            raise ArgumentError(
                f"images[{number}] has {image.shape[1]} x {image.shape[2]} pixels, of which"
                f" {rows} x {columns} would be left where the longer side is {self.max_size}"
            )
        if (rows, columns) == _size(image):
            return x
        return upsample_bilinear2d(x[None], (rows, columns))[0]

    def targets(
        self, instances: Sequence[Instances], batch: Batch, classes: int, masks: bool = False
    ) -> list[Target]:
        """The objects in the batch, crowds left out."""
        if len(instances) != len(batch.sizes):
            raise ArgumentError(
                f"instances has {len(instances)} entries, images {len(batch.sizes)}"
            )
        return [
            self._target(f"instances[{j}]", one, size, given, batch.x.dtype, classes, masks)
            for j, (one, size, given) in enumerate(
                zip(instances, batch.sizes, batch.given, strict=True)
            )
        ]

    def _target(
        self,
        name: str,
        one: Instances,
        size: tuple[int, int],
        given: tuple[int, int],
        dtype: Any,
        classes: int,
        masks: bool,
    ) -> Target:
        check_truth(name, one, given, classes)
        one = one.take(~one.crowd)
        boxes = resized_boxes(one.boxes.astype(dtype), given, size)
        if not masks:
            return Target(boxes, one.labels, None)
        if len(one) and one.masks is None:
            raise ArgumentError(f"{name} has no masks, which this detector learns")
        if one.masks is None:
            return Target(boxes, one.labels, np.zeros((0, *size), dtype))
        scaled = one.masks.astype(dtype)
        if size != given and len(one):
            scaled = upsample_nearest2d(scaled[None], size)[0]
        return Target(boxes, one.labels, scaled.reshape(len(one), *size))


def together(images: Sequence[Array], every: int = 1) -> Array:
    """Images of one dtype as one array, each at the top left of its place, with zeros beyond it.
    Rows and columns are multiples of ``every``."""
    rows, columns = (
        math.ceil(max(image.shape[axis] for image in images) / every) * every for axis in (1, 2)
    )
    x = np.zeros((len(images), len(images[0]), rows, columns), images[0].dtype)
    for place, image in zip(x, images, strict=True):
        place[:, : image.shape[1], : image.shape[2]] = image
    return x


def resized_boxes(boxes: Array, old: tuple[int, int], new: tuple[int, int]) -> Array:
    """Boxes of an image of ``old`` rows and columns, where it has ``new``."""
    down, right = np.array(new, boxes.dtype) / np.array(old, boxes.dtype)
    return boxes * np.array([right, down, right, down], boxes.dtype)


def checked(number: int, image: Any, channels: int, dtype: Any) -> Array:
    """The image, of so many channels, in the parameters' dtype: float32 goes into float64."""
    array = np.asarray(image)
    name = f"images[{number}]"
    if array.dtype not in checks.FLOATS or not np.can_cast(array.dtype, dtype):
        raise ArgumentTypeError(
            f"{name} has dtype {array.dtype}, expected float32"
            + (" or float64" if np.dtype(dtype) == np.float64 else ", as the parameters have")
        )
    found, rows, columns = checks.axes(name, array, "c h w")
    if found != channels:
        raise ArgumentError(f"{name} has {found} channels, the detector takes {channels}")
    if rows == 0 or columns == 0:
        raise ArgumentError(f"{name} has shape {array.shape}: an image without pixels")
    return array.astype(dtype, copy=False)


def check_truth(name: str, instances: Instances, size: tuple[int, int], classes: int) -> None:
    """Labels and masks fit, and each object shows something of an image of so many rows and
    columns."""
    check_objects(name, instances, size, classes)
    given = instances.boxes[~instances.crowd]
    for number, (x1, y1, x2, y2) in enumerate(boxes_.clip(given, size)):
        if x2 <= x1 or y2 <= y1:
            raise ArgumentError(
                f"{name}.boxes[{number}] is {[float(side) for side in given[number]]},"
                f" which has no area in an image of {size[0]} x {size[1]} pixels"
            )


def dtype_of(params: Mapping[str, Any]) -> Any:
    """That of the parameters, which images are brought to."""
    return checks.floats(**params)


def _size(image: Array) -> tuple[int, int]:
    return image.shape[-2], image.shape[-1]
