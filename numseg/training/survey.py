"""A look at every picture before training starts: what does not fit is found before the work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from numseg.data.dataset import Dataset, Sample
from numseg.data.images import check_image
from numseg.errors import ArgumentError
from numseg.training.balance import Frequencies

GREY = (
    "some of {these} have {most} channels, some 1, as the network: colours are made grey. For "
    "colour say in_channels={most}, or numseg train --set in_channels={most}"
)

ONE_CLASS = (
    "the labels of {these} are {only} and {ignored} only, and {ignored} is ignored: there is "
    "nothing to tell {name!r} from. If {ignored} stands for a class, map it to one: "
    "numseg.data.voc(..., label_map={{{only}: {only}, {ignored}: {other}}}), or numseg train "
    "--label-map {only}={only},{ignored}={other}"
)


class Seen(NamedTuple):
    """What all samples of a dataset are together."""

    warnings: list[str]
    """What deserves one: pictures in colour that are made grey because others are grey; all pixels
    of one class but for those that are ignored, as in masks of 0 and 255."""
    frequencies: Frequencies


def survey(
    dataset: Dataset,
    what: str,
    channels: int,
    advance: Callable[[], Any],
    check: Callable[[Sample], Any] | None = None,
) -> Seen:
    """Read every sample of a dataset, and see that it fits.

    Parameters
    ----------
    dataset : Dataset
    what : str
        Its pictures, in words: "pictures to train on".
    channels : int
        How many the network takes.
    advance : function
        Called after every sample.
    check : function, optional
        What else must be so, called with every sample.

    Returns
    -------
    Seen

    Raises
    ------
    ArgumentError, FileError
        For a sample that does not fit or cannot be read, with its name; or if every pixel is
        ignored.
    """
    counts, ignored = Frequencies.none(len(dataset.classes)), 0
    kinds: set[int] = set()
    for index in range(len(dataset)):
        sample = dataset.checked(index)
        try:
            check_image("image", sample.image, channels)
            if check is not None:
                check(sample)
        except ArgumentError as error:
            name = f" ({sample.name})" if sample.name else ""
            raise ArgumentError(f"sample {index}{name}: {error}") from None
        kinds.add(len(sample.image))
        left = sample.labels[sample.labels != dataset.ignored]
        ignored += sample.labels.size - left.size
        counts = counts.counted(left)
        advance()
    these = f"the {len(dataset)} {what}"
    said = _one_class(dataset, these, np.flatnonzero(counts.pixels).tolist(), bool(ignored))
    if len(kinds) > 1 and channels == 1:
        said.append(GREY.format(these=these, most=max(kinds)))
    return Seen(said, counts)


def _one_class(dataset: Dataset, these: str, there: list[int], ignored: bool) -> list[str]:
    """Whether there is something to learn, as far as the classes that are there tell."""
    if not there and ignored:
        raise ArgumentError(
            f"all pixels of {these} have the label {dataset.ignored}, which is ignored"
        )
    if len(there) != 1 or not ignored or len(dataset.classes) == 1:
        return []
    (only,) = there
    name, other = dataset.classes[only], 0 if only else 1
    return [
        ONE_CLASS.format(these=these, only=only, name=name, other=other, ignored=dataset.ignored)
    ]
