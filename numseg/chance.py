"""Chance that is the same everywhere: numbers that depend on a seed and on nothing else.

SplitMix64 (Steele, Lea and Flood, 2014) as a hash of a seed and of coordinates. It is integer
arithmetic, so neither the machine nor the version of NumPy changes a bit, and every number can be
had without those before it: a shuffle of epoch 7 needs no state from epoch 6.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.typing import Array

_MASK = (1 << 64) - 1


def _mixed(z: Any) -> Any:
    """SplitMix64's output function, of a Python integer or of an array of uint64."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def hashed(*words: Any) -> Any:
    """64 bits that depend on every word and on their order.

    Words are integers, or arrays of integers that broadcast: then the result is an array of uint64.
    """
    h: Any = 0
    for word in words:
        if isinstance(word, np.ndarray):
            word = word.astype(np.uint64)
        else:
            word = int(word) & _MASK
            word = np.full(1, word, np.uint64) if isinstance(h, np.ndarray) else word
        h = _mixed(((h ^ word) + 0x9E3779B97F4A7C15) & _MASK)
    return h


def below(limit: int, *words: Any) -> Any:
    """An integer in ``[0, limit)``, or an int64 array of them, from the words."""
    bits = hashed(*words)
    if isinstance(bits, np.ndarray):
        return ((bits >> 33) % limit).astype(np.int64)
    return (bits >> 33) % limit


def permutation(size: int, *words: int) -> Array:
    """A permutation of ``range(size)``; equal hashes keep their order."""
    return np.argsort(hashed(*words, np.arange(size)), kind="stable")


class Dice:
    """A sequence of throws from one seed."""

    def __init__(self, *words: int) -> None:
        self._seed = hashed(*words)
        self._throws = 0

    def between(self, low: int, high: int) -> int:
        """An integer in ``[low, high]``."""
        self._throws += 1
        return low + int(below(high - low + 1, self._seed, self._throws))

    def one_in(self, chances: int) -> bool:
        """True once in ``chances`` throws."""
        return self.between(1, chances) == 1
