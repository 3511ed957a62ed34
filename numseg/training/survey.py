"""A look at every picture before training starts: what does not fit is found before the work."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from numseg.data.dataset import Dataset, Sample
from numseg.errors import ArgumentError

REMEDY = (
    "if {ignored} stands for a class, map it to one: numseg.data.voc(..., "
    "label_map={{{only}: {only}, {ignored}: {other}}}), or numseg train --label-map "
    "{only}={only},{ignored}={other}"
)


def survey(
    dataset: Dataset, what: str, check: Callable[[Sample], None], advance: Callable[[], Any]
) -> None:
    """Read every sample of a dataset, and see that it fits.

    Parameters
    ----------
    dataset : Dataset
    what : str
        Its pictures, in words: "pictures to train on".
    check : function
        Called with every sample, to see whether the network takes it.
    advance : function
        Called after every sample.

    Raises
    ------
    ArgumentError, FileError
        For a sample that does not fit or cannot be read, with its name; or if every pixel is
        ignored.

    Warns
    -----
    UserWarning
        If all pixels are of one class but for those that are ignored, as in masks of 0 and 255.
    """
    classes = len(dataset.classes)
    counts, ignored = np.zeros(classes, np.int64), 0
    for index in range(len(dataset)):
        sample = dataset.checked(index)
        try:
            check(sample)
        except ArgumentError as error:
            name = f" ({sample.name})" if sample.name else ""
            raise ArgumentError(f"sample {index}{name}: {error}") from None
        left = sample.labels != dataset.ignored
        ignored += left.size - np.count_nonzero(left)
        counts += np.bincount(sample.labels[left], minlength=classes)
        advance()
    there = np.flatnonzero(counts)
    if there.size == 0 and ignored:
        raise ArgumentError(
            f"all pixels of the {len(dataset)} {what} have the label {dataset.ignored}, which is "
            "ignored"
        )
    if there.size == 1 and ignored and classes > 1:
        only = int(there[0])
        remedy = REMEDY.format(ignored=dataset.ignored, only=only, other=0 if only else 1)
        warnings.warn(
            f"the labels of the {len(dataset)} {what} are {only} and {dataset.ignored} only, and "
            f"{dataset.ignored} is ignored: there is nothing to tell {dataset.classes[only]!r} "
            f"from; {remedy}",
            stacklevel=4,
        )
