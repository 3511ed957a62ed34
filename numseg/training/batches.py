"""Batches of an epoch. All chance in them comes from (seed, epoch, item), so any epoch can be had
without those before it, and a resumed run sees what an uninterrupted one would."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import numpy as np

from numseg import checks
from numseg.chance import Dice, permutation
from numseg.data.augment import (
    Colours,
    check_colours,
    chosen_axes,
    colour_amounts,
    piece,
    recoloured,
    scale_between,
)
from numseg.data.dataset import Dataset
from numseg.data.detection import DetectionDataset
from numseg.data.instances import Instances
from numseg.data.moves import Augmentation, augmented
from numseg.errors import ArgumentError
from numseg.typing import Array

T = TypeVar("T")


class Batch(NamedTuple):
    """What one training step sees."""

    x: Array
    """(N, C, rows, columns) float32 in about [0, 1]."""
    labels: Array
    """(N, rows, columns) int64."""


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How training pieces are cut out of pictures."""

    crop: int | tuple[int, int] = 96
    """Rows and columns of a piece; what is beyond a smaller picture is zero, and ignored."""
    batch: int = 8
    repeat: int = 1
    """Pieces of each picture per epoch."""
    flip: bool = True
    """Half of the pieces are mirrored left to right."""
    turn: bool = False
    """Also upside down and on their side: for pictures that have no upright."""
    light: float = 0.0
    """Contrast is multiplied by, and brightness raised by, up to this much either way."""
    seed: int = 0
    drop_last: bool = False
    """Leave out an epoch's last batch where it is smaller than the others, whose statistics batch
    normalisation would take for as good as theirs."""
    scale: tuple[float, float] = (1.0, 1.0)
    """Pictures are scaled by a factor between these two before a piece is cut out of them, rows and
    columns alike, bilinearly; labels by the nearest pixel."""
    brightness: float = 0.0
    """This and the next three vary colours, as torchvision's ColorJitter does: a factor of 1 minus
    to 1 plus so much, at most 1."""
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    """Colours are turned by up to this share of the circle either way, at most 0.5."""

    def __post_init__(self) -> None:
        kept: dict[str, Any] = {
            name: checks.integer(name, getattr(self, name), minimum=1)
            for name in ("batch", "repeat")
        }
        if checks.is_sequence(self.crop):
            kept["crop"] = checks.pair("crop", self.crop, 1)
        else:
            kept["crop"] = checks.integer("crop", self.crop, 1)
        for name in ("flip", "turn", "drop_last"):
            value = getattr(self, name)
            kept[name] = checks.flag(name, bool(value) if value in (0, 1) else value)
        kept["light"] = checks.real("light", self.light, 0, 1)
        kept |= {**colour_amounts(self), "scale": scale_between(self.scale)}
        kept["seed"] = checks.integer("seed", self.seed, minimum=0)
        for name, value in kept.items():  # plain numbers, which a checkpoint holds
            object.__setattr__(self, name, value)
        if self.turn and self.size[0] != self.size[1]:
            raise ArgumentError(f"turn lays pieces on their side, but crop is {self.crop}")

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of a piece."""
        return (self.crop, self.crop) if isinstance(self.crop, int) else self.crop

    @property
    def colours(self) -> Colours:
        """By how much colours vary."""
        return Colours(self.brightness, self.contrast, self.saturation, self.hue)

    def check(self, channels: int) -> None:
        """Raise ArgumentError for what has no meaning for pictures of so many channels."""
        check_colours(self.colours, channels)

    def steps(self, dataset: Dataset) -> int:
        """Batches per epoch; the last one may be smaller, unless it is dropped."""
        return _steps(self, dataset)


class DetectionBatch(NamedTuple):
    """What one training step of a detector sees; images may be of different sizes."""

    images: list[Array]
    """Each (C, rows, columns) float32 in [0, 1]."""
    instances: list[Instances]


@dataclasses.dataclass(frozen=True)
class DetectionSampling(Augmentation):
    """How pictures with objects are varied (:class:`numseg.data.Augmentation`), and how many make a
    batch."""

    batch: int = 2
    repeat: int = 1
    """How often an epoch has each picture."""
    drop_last: bool = False
    """Leave out an epoch's last batch where it is smaller than the others."""

    def __post_init__(self) -> None:
        super().__post_init__()
        kept: dict[str, Any] = {
            name: checks.integer(name, getattr(self, name), minimum=1)
            for name in ("batch", "repeat")
        }
        for name, value in (kept | {"drop_last": checks.flag("drop_last", self.drop_last)}).items():
            object.__setattr__(self, name, value)

    def steps(self, dataset: DetectionDataset) -> int:
        """Batches per epoch; the last one may be smaller, unless it is dropped."""
        return _steps(self, dataset)


def _steps(sampling: Sampling | DetectionSampling, dataset: Dataset | DetectionDataset) -> int:
    pieces = len(dataset) * sampling.repeat
    return pieces // sampling.batch if sampling.drop_last else -(-pieces // sampling.batch)


def batches(
    dataset: Dataset, sampling: Sampling, channels: int, epoch: int, workers: int = 0
) -> Generator[Batch, None, None]:
    """The batches of one epoch: every picture ``sampling.repeat`` times, in shuffled order.

    ``workers`` threads make some batches ahead, at most two each; the batches are the same. They
    end with the generator.
    """
    sampling.check(channels)

    def make(items: Array) -> Batch:
        return _batch(dataset, items, sampling, channels, epoch)

    yield from _every(dataset, sampling, epoch, workers, make)


def detection_batches(
    dataset: DetectionDataset,
    sampling: DetectionSampling,
    channels: int,
    epoch: int,
    workers: int = 0,
) -> Generator[DetectionBatch, None, None]:
    """The batches of one epoch of pictures with objects; arguments as those of :func:`batches`."""

    def make(items: Array) -> DetectionBatch:
        each = (
            augmented(dataset.checked(item % len(dataset)), sampling, channels, epoch, item)
            for item in items.tolist()
        )
        images, instances = zip(*each, strict=True)
        return DetectionBatch(list(images), list(instances))

    yield from _every(dataset, sampling, epoch, workers, make)


def _every(
    dataset: Dataset | DetectionDataset,
    sampling: Sampling | DetectionSampling,
    epoch: int,
    workers: int,
    make: Callable[[Array], T],
) -> Generator[T, None, None]:
    """What is made of each batch's items."""
    order = permutation(len(dataset) * sampling.repeat, sampling.seed, epoch)
    starts = range(0, _steps(sampling, dataset) * sampling.batch, sampling.batch)
    parts = [order[start : start + sampling.batch] for start in starts]
    yield from (map(make, parts) if workers == 0 else _ahead(make, parts, workers))


def _ahead(
    make: Callable[[Array], T], parts: Sequence[Array], workers: int
) -> Generator[T, None, None]:
    """The batches in their order, made by threads, a few ahead of the one that is asked for."""
    pool = ThreadPoolExecutor(workers, "numseg-batches")
    waiting: collections.deque[Future[T]] = collections.deque()
    try:
        for part in parts:
            waiting.append(pool.submit(make, part))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _batch(dataset: Dataset, items: Array, sampling: Sampling, channels: int, epoch: int) -> Batch:
    pieces = [
        _piece(dataset, item, sampling, channels, Dice(sampling.seed, epoch, item))
        for item in items.tolist()
    ]
    return Batch(np.stack([x for x, _ in pieces]), np.stack([labels for _, labels in pieces]))


def _piece(
    dataset: Dataset, item: int, sampling: Sampling, channels: int, dice: Dice
) -> tuple[Array, Array]:
    """A piece of a picture and its labels."""
    sample = dataset.checked(item % len(dataset))
    rows, columns = chosen_axes(sample.labels.shape, sampling.size, sampling.scale, dice)
    x, truth = piece(sample.image, sample.labels, rows, columns, channels)
    if any(sampling.colours):
        x = recoloured(x, sampling.colours, dice)
    below, right = (want - have for want, have in zip(sampling.size, truth.shape, strict=True))
    if below or right:
        x = np.pad(x, ((0, 0), (0, below), (0, right)))
        truth = np.pad(truth, ((0, below), (0, right)), constant_values=dataset.ignored)
    if sampling.flip and dice.one_in(2):
        x, truth = x[:, :, ::-1], truth[:, ::-1]
    if sampling.turn and dice.one_in(2):
        x, truth = x[:, ::-1], truth[::-1]
    if sampling.turn and dice.one_in(2):
        x, truth = x.transpose(0, 2, 1), truth.T
    if sampling.light > 0:
        contrast, brightness = (
            np.float32(dice.between(-1000, 1000) * sampling.light / 1000) for _ in range(2)
        )
        x = x * (1 + contrast) + brightness
    return x, truth
