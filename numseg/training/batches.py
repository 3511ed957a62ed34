"""Batches of an epoch. All chance in them comes from (seed, epoch, item), so any epoch can be had
without those before it, and a resumed run sees what an uninterrupted one would."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from numseg import checks
from numseg.data.chance import Dice, permutation
from numseg.data.dataset import Dataset, Sample
from numseg.data.images import as_input
from numseg.typing import Array


class Batch(NamedTuple):
    """What one training step sees."""

    x: Array
    """(N, C, crop, crop) float32 in about [0, 1]."""
    labels: Array
    """(N, crop, crop) int64."""


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How training pieces are cut out of pictures."""

    crop: int = 96
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

    def __post_init__(self) -> None:
        kept: dict[str, Any] = {
            name: checks.integer(name, getattr(self, name), minimum=1)
            for name in ("crop", "batch", "repeat")
        }
        for name in ("flip", "turn", "drop_last"):
            value = getattr(self, name)
            kept[name] = checks.flag(name, bool(value) if value in (0, 1) else value)
        kept["light"] = checks.real("light", self.light, 0, 1)
        kept["seed"] = checks.integer("seed", self.seed, minimum=0)
        for name, value in kept.items():  # plain numbers, which a checkpoint holds
            object.__setattr__(self, name, value)

    def steps(self, dataset: Dataset) -> int:
        """Batches per epoch; the last one may be smaller, unless it is dropped."""
        pieces = len(dataset) * self.repeat
        return pieces // self.batch if self.drop_last else -(-pieces // self.batch)


def batches(dataset: Dataset, sampling: Sampling, channels: int, epoch: int) -> Iterator[Batch]:
    """The batches of one epoch: every picture ``sampling.repeat`` times, in shuffled order."""
    order = permutation(len(dataset) * sampling.repeat, sampling.seed, epoch)
    for start in range(0, sampling.steps(dataset) * sampling.batch, sampling.batch):
        pieces = [
            _piece(dataset, int(item), sampling, channels, Dice(sampling.seed, epoch, int(item)))
            for item in order[start : start + sampling.batch]
        ]
        yield Batch(np.stack([x for x, _ in pieces]), np.stack([labels for _, labels in pieces]))


def _piece(
    dataset: Dataset, item: int, sampling: Sampling, channels: int, dice: Dice
) -> tuple[Array, Array]:
    """A piece of a picture and its labels."""
    image, truth = _cut(dataset.checked(item % len(dataset)), sampling.crop, dataset.ignored, dice)
    x = as_input(image, channels)
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


def _cut(sample: Sample, crop: int, ignored: int, dice: Dice) -> tuple[Array, Array]:
    """A square at a place of the dice's choice, the picture padded where it is smaller."""
    image, labels = sample.image, sample.labels
    rows, columns = (max(crop - size, 0) for size in labels.shape)
    if rows or columns:
        image = np.pad(image, ((0, 0), (0, rows), (0, columns)))
        labels = np.pad(labels, ((0, rows), (0, columns)), constant_values=ignored)
    top, left = (dice.between(0, size - crop) for size in labels.shape)
    return (
        image[:, top : top + crop, left : left + crop],
        labels[top : top + crop, left : left + crop],
    )
