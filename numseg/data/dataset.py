"""What training and scoring read: pictures with a class for every pixel."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from numseg.typing import Array


class Sample(NamedTuple):
    """A picture and its labels."""

    image: Array
    """(C, H, W), uint8 or uint16; C is 1 (grey) or 3 (red, green, blue)."""
    labels: Array
    """(H, W), uint8: a class, or the dataset's ``ignore_index``."""
    name: str


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A sequence of samples, and the names of their classes.

    ``samples`` may be any sequence; one that reads files when it is indexed will do.
    """

    samples: Sequence[Sample]
    classes: tuple[str, ...]
    ignore_index: int | None = None
    """The label of pixels that are neither trained on nor scored."""

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)
