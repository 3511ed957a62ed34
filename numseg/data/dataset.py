"""What training and scoring read: pictures with a class for every pixel."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from numseg import checks
from numseg.data.colours import as_colours
from numseg.data.images import check_image
from numseg.data.labels import as_labels
from numseg.errors import ArgumentError, ArgumentTypeError
from numseg.typing import Array

USUALLY_IGNORED = 255
"""The label of pixels to ignore in a dataset that names none; one that no class has."""


class Sample(NamedTuple):
    """A picture and its labels."""

    image: Array
    """(C, H, W), uint8 or uint16; C is 1 (grey) or 3 (red, green, blue)."""
    labels: Array
    """(H, W), any integers: a class, or the dataset's ``ignore_index``."""
    name: str


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A sequence of samples, and the names of their classes.

    ``samples`` may be any sequence; one that reads files when it is indexed will do. Indexing gives
    what the sequence gives; training and scoring read it by :meth:`checked`.

    Raises
    ------
    ArgumentError
        For classes that are not names, an ``ignore_index`` that is not an integer, colours that do
        not fit.
    """

    samples: Sequence[Sample]
    classes: tuple[str, ...]
    ignore_index: int | None = None
    """The label of pixels that are neither trained on nor scored. Where none is named it is 255, or
    -100 if there are so many classes that 255 is one."""
    colours: Any = None
    """What the classes are drawn in, (C, 3) of uint8; :func:`numseg.data.palette` for None."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", class_names(self.classes))
        if self.ignore_index is not None:
            ignored = checks.integer("ignore_index", self.ignore_index)
            object.__setattr__(self, "ignore_index", ignored)
        if self.colours is not None:
            colours = as_colours(self.colours, len(self.classes))
            object.__setattr__(self, "colours", tuple(map(tuple, colours.tolist())))

    @property
    def ignored(self) -> int:
        """The label that neither losses nor scores count."""
        if self.ignore_index is not None:
            return self.ignore_index
        return USUALLY_IGNORED if len(self.classes) <= USUALLY_IGNORED else -100

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]

    def __iter__(self) -> Iterator[Sample]:
        return (self[i] for i in range(len(self)))

    def checked(self, index: int) -> Sample:
        """A sample by which one can go: picture and labels are of one size, the labels int64,
        whatever integers they were, and each of them a class or the one to ignore.

        Raises
        ------
        ArgumentError
            That names the sample and what does not fit.
        FileError
            If its files cannot be read.
        """
        given: Any = self[index]
        try:
            image, labels, name = given
        except (TypeError, ValueError):
            kind = type(given).__name__
            raise ArgumentTypeError(
                f"sample {index} is a {kind}, expected (image, labels, name)"
            ) from None
        where = f"sample {index}" + (f" ({name})" if name else "")
        image = check_image(f"{where}: image", image)
        labels = as_labels(f"{where}: labels", labels)
        if labels.shape != image.shape[1:]:
            raise ArgumentError(
                f"{where}: labels are {_by(labels)}, but the picture is {_by(image[0])}"
            )
        check_classes(where, labels, len(self.classes), self.ignored)
        return Sample(image, labels, name)


def check_classes(where: str, labels: Array, classes: int, ignored: int | None) -> None:
    """Every label is a class, or the one to ignore; ``where`` begins the error."""
    if labels.size and 0 <= labels.min() <= labels.max() < classes:
        return
    wrong = labels[((labels < 0) | (labels >= classes)) & (labels != ignored)]
    if wrong.size:
        worst = wrong.min() if wrong.min() < 0 else wrong.max()
        rest = "" if ignored is None else f", and {ignored} to ignore"
        raise ArgumentError(
            f"{where}: holds label {worst}, but there are {classes} classes (0 to {classes - 1}"
            f"{rest}); {np.count_nonzero(wrong == worst)} pixels have it"
        )


def class_names(names: Iterable[str]) -> tuple[str, ...]:
    """Names of classes: at least one."""
    if isinstance(names, (str, bytes)):
        raise ArgumentTypeError(f"classes must be names, got the word {names!r}")
    found = tuple(names)
    for name in found:
        if not isinstance(name, str):
            raise ArgumentTypeError(f"classes must be names, got {name!r} among them")
    if not found:
        raise ArgumentError("classes must be at least one name, got 0")
    return tuple(map(str, found))


def _by(pixels: Array) -> str:
    return " x ".join(map(str, pixels.shape))
