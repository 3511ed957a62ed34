"""The door that labels come in by: whatever integers they are, they are int64 from here on."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.errors import ArgumentError, ArgumentTypeError
from numseg.typing import Array


def as_labels(name: str, labels: Any) -> Array:
    """Labels as int64, in which every class and every ``ignore_index`` fits.

    Parameters
    ----------
    name : str
        What an error calls them.
    labels : array of integers or bools, any shape
        True and False are 1 and 0.

    Returns
    -------
    array, int64
        The array itself, if it is that already.

    Raises
    ------
    ArgumentTypeError
        For numbers that are not integers (a class is never a fraction), and masked arrays that hide
        some: what a hidden pixel is would be guessed.
    ArgumentError
        For integers beyond int64.
    """
    if np.ma.is_masked(labels):
        raise ArgumentTypeError(
            f"{name} has masked entries: fill them with the ignore_index (labels.filled(255))"
        )
    array = np.asarray(labels)
    if array.dtype.kind not in "iub":
        raise ArgumentTypeError(f"{name} has dtype {array.dtype}, expected an integer dtype")
    if array.dtype == np.uint64 and array.max(initial=0) > np.iinfo(np.int64).max:
        raise ArgumentError(f"{name} holds {array.max()}, expected at most {2**63 - 1}")
    return array.astype(np.int64, copy=False)
