"""What training and scoring of detectors read: pictures with objects."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from numseg.data.dataset import class_names
from numseg.data.images import check_image
from numseg.data.instances import Instances
from numseg.errors import ArgumentError, ArgumentTypeError
from numseg.typing import Array


class DetectionSample(NamedTuple):
    """A picture and its objects."""

    image: Array
    """(C, H, W), uint8 or uint16; C is 1 (grey) or 3 (red, green, blue)."""
    instances: Instances
    name: str


@dataclasses.dataclass(frozen=True)
class DetectionDataset:
    """A sequence of samples, and the names of their classes.

    ``samples`` may be any sequence; one that reads files when it is indexed will do.

    Raises
    ------
    ArgumentError
        For classes that are not names.
    """

    samples: Sequence[DetectionSample]
    classes: tuple[str, ...]
    """Names; the first is the background's, which no object is."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", class_names(self.classes))

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> DetectionSample:
        return self.samples[index]

    def __iter__(self) -> Iterator[DetectionSample]:
        return (self[i] for i in range(len(self)))

    def checked(self, index: int) -> DetectionSample:
        """A sample by which one can go: labels are classes, and masks have the picture's size.

        Raises
        ------
        ArgumentError
            That names the sample and what does not fit.
        FileError
            If its files cannot be read.
        """
        given: Any = self[index]
        try:
            image, instances, name = given
        except (TypeError, ValueError):
            kind = type(given).__name__
            raise ArgumentTypeError(
                f"sample {index} is a {kind}, expected (image, instances, name)"
            ) from None
        where = f"sample {index}" + (f" ({name})" if name else "")
        image = check_image(f"{where}: image", image)
        if not isinstance(instances, Instances):
            kind = type(instances).__name__
            raise ArgumentTypeError(f"{where}: instances is a {kind}, expected Instances")
        check_objects(where, instances, image.shape[1:], len(self.classes))
        return DetectionSample(image, instances, name)


def check_objects(where: str, instances: Instances, size: Sequence[int], classes: int) -> None:
    """Labels are classes, and masks have the picture's rows and columns; ``where`` begins the
    error."""
    if len(instances) and instances.labels.max() >= classes:
        raise ArgumentError(
            f"{where}: has an object of class {instances.labels.max()}, but there are {classes} "
            f"classes (1 to {classes - 1}, and the background)"
        )
    if instances.masks is not None and instances.masks.shape[1:] != tuple(size):
        (rows, columns), (h, w) = instances.masks.shape[1:], size
        raise ArgumentError(f"{where}: masks are {rows} x {columns}, but the picture is {h} x {w}")
