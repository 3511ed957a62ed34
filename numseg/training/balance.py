"""Weights of classes, by how often each is there: rare ones count more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from numseg import names
from numseg.data.dataset import Dataset
from numseg.errors import ArgumentError
from numseg.typing import Array


class Frequencies(NamedTuple):
    """How often each class is there; pixels that are ignored count nowhere."""

    pixels: Array
    """(C,) int64: pixels of the class."""
    beside: Array
    """(C,) int64: pixels of all the pictures in which the class is."""

    @classmethod
    def none(cls, classes: int) -> Frequencies:
        """Of no picture."""
        return cls(np.zeros(classes, np.int64), np.zeros(classes, np.int64))

    def counted(self, labels: Array) -> Frequencies:
        """With the labels of one more picture, of which none is ignored."""
        here = np.bincount(labels.reshape(-1), minlength=len(self.pixels))
        return Frequencies(self.pixels + here, self.beside + np.where(here > 0, labels.size, 0))


def median_frequency(found: Frequencies) -> Array:
    """``median(f) / f[c]``, with ``f[c] = pixels[c] / beside[c]``: the share of class c in the
    pictures that have it (Eigen and Fergus, 2015; SegNet). The median is over the classes that are
    there; one that is not has weight 0, for no pixel asks for it."""
    there = found.pixels > 0
    share = found.pixels[there] / found.beside[there]
    return _spread(there, np.median(share) / share)


def inverse_frequency(found: Frequencies) -> Array:
    """``pixels.sum() / (n pixels[c])``, where n classes are there: the weights of all pixels
    together are their number. One that is not there has weight 0."""
    there = found.pixels > 0
    return _spread(there, found.pixels.sum() / (there.sum() * found.pixels[there]))


def _spread(there: Array, weights: Array) -> Array:
    every = np.zeros(len(there))
    every[there] = weights
    return every


Balance = Callable[[Frequencies], Any]

BALANCES: dict[str, Balance] = {
    "median_frequency": median_frequency,
    "inverse_frequency": inverse_frequency,
}
"""By name."""


def weights(balance: str | Balance, found: Frequencies) -> list[float]:
    """A weight for each class.

    Raises
    ------
    ArgumentError
        If a balance of somebody's own gives anything but a finite number, 0 or more, for each.
    """
    given = np.asarray(names.find("balance", balance, BALANCES)(found), np.float64)
    if given.shape != found.pixels.shape:
        raise ArgumentError(f"balance gives {given.shape} weights for {len(found.pixels)} classes")
    if not (np.isfinite(given).all() and given.min() >= 0):
        raise ArgumentError(f"balance gives the weights {given.tolist()}")
    return list(map(float, given))


def class_weights(dataset: Dataset, balance: str | Balance = "median_frequency") -> list[float]:
    """The weights that ``Recipe(balance=...)`` gives the classes of a dataset.

    Parameters
    ----------
    dataset : Dataset
        Every mask is read.
    balance : {"median_frequency", "inverse_frequency"} or function
        :func:`median_frequency`, :func:`inverse_frequency`, or a function of
        :class:`Frequencies`.

    Returns
    -------
    list of float
        One for each class.

    Examples
    --------
    >>> import numpy as np
    >>> from numseg.data import Dataset, Sample
    >>> labels = np.array([[0, 0, 0, 1]])
    >>> picture = Sample(np.zeros((1, 1, 4), np.uint8), labels, "three to one")
    >>> class_weights(Dataset([picture], ("a", "b")), "inverse_frequency")
    [0.6666666666666666, 2.0]
    """
    found = Frequencies.none(len(dataset.classes))
    for index in range(len(dataset)):
        labels = dataset.checked(index).labels
        found = found.counted(labels[labels != dataset.ignored])
    return weights(balance, found)
