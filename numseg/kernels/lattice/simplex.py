"""A point's simplex in the permutohedral lattice, its weights, and how vertices are numbered.

The lattice (Adams, Baek and Davis, 2010): the points of ``d + 1`` integers with sum 0 that leave
one remainder, all the same, when divided by ``d + 1``. A point of d features is put on the plane of
sum 0; the nearest lattice point of remainder 0, and the order of the differences from it, name the
simplex. Its vertices have the remainders 0 to d. docs/permutohedral.md derives all this.

The rules are scalar, for kernels on every device; coordinates are float64 everywhere, so that each
finds the same simplex. Sums are written out in the order in which they are to be rounded: kernels
that call them must not fuse multiply-adds.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from numseg.kernels.machine.jit import rule
from numseg.kernels.pointwise.elementary import floor
from numseg.typing import Array

WORD_BITS = 62
"""Of a key's word, what digits may take."""

MOST_WORDS = 2


@rule
def nearest(place, d):
    """Of the multiples of d + 1, the nearest, divided by d + 1; the lower of two. A whole float.
    (A product that rounding takes over a whole number names a neighbour of the same two.)"""
    low = floor(place * (1.0 / (d + 1)))
    up, down = (low + 1) * (d + 1) - place, place - low * (d + 1)
    return low + 1.0 if up < down else low


@rule
def is_lower(a, b):
    """Does the coordinate with difference a rank behind one, further on, with difference b?"""
    return 1.0 if a < b else 0.0


@rule
def turn(rank, d):
    """What to add to a coordinate's nearest multiple, to bring the sum of all to 0: its rank plus
    the sum of all multiples is ``rank``, and d + 1 times the turn is what to add to that."""
    return 1.0 if rank < 0 else -1.0 if rank > d else 0.0


def scales(d: int) -> Array:
    """What features are multiplied by on their way to the plane, (d,): its axes have the length
    ``sqrt((j + 1) (j + 2))``, and splatting, blurring and slicing together have the standard
    deviation 1 if a step of the lattice is ``sqrt(2/3) (d + 1)`` long."""
    j = np.arange(d)
    return np.sqrt(2.0 / 3.0) * (d + 1) / np.sqrt((j + 1.0) * (j + 2.0))


def slice_factor(d: int) -> float:
    """What the blur, whose weights sum to ``2^(d + 1)``, is divided by at the end, less what is to
    one side."""
    return 1.0 / (1.0 + 2.0**-d)


class Keys(NamedTuple):
    """How a vertex is a number: the digits of its quotients by d + 1, of mixed radix, and its
    remainder. In one word or two, of int64."""

    origin: Array
    """(d,): what is subtracted from a quotient to make its digit."""
    steps: Array
    """(words, d + 1): by how much a key grows with the quotient of each coordinate; 0 for the last,
    which follows from the others. With the remainder, the first word grows by 1."""

    @property
    def words(self) -> int:
        return int(self.steps.shape[0])


def quotients(low: Array, high: Array) -> tuple[Array, Array]:
    """The smallest and the largest quotient of each coordinate but the last that vertices of points
    may have, or vertices beside those, given the range of each feature, (d,)."""
    d = low.size
    ends = np.stack([low, high]).astype(np.float64) * scales(d)
    least, most = ends.min(0), ends.max(0)
    below, above = [np.zeros(d + 1), np.zeros(d + 1)]
    below[:d], above[:d] = np.cumsum(least[::-1])[::-1], np.cumsum(most[::-1])[::-1]
    j = np.arange(d)
    first = np.concatenate([[0.0], least[: d - 1]]), np.concatenate([[0.0], most[: d - 1]])
    below, above = below[:d] - j * first[1], above[:d] - j * first[0]
    # turned, among the vertices of a simplex, beside one; and a sum that was rounded otherwise
    return np.floor(below / (d + 1)) - 4, np.ceil(above / (d + 1)) + 4


def keys(low: Array, high: Array) -> Keys | None:
    """The numbers for points within these ranges of features, (d,); None where MOST_WORDS do not
    suffice."""
    least, most = quotients(low, high)
    d = low.size
    steps, word, room = np.zeros((MOST_WORDS, d + 1), np.int64), 0, d + 1
    if not np.all(np.maximum(np.abs(least), np.abs(most)) < 2.0**31):
        return None
    for j, radix in enumerate((most - least + 1).astype(np.int64).tolist()):
        if room * radix > 2**WORD_BITS:
            word, room = word + 1, 1
            if word == MOST_WORDS:
                return None
        steps[word, j] = room
        room *= radix
    return Keys(least.astype(np.int64), np.ascontiguousarray(steps[: word + 1]))


def ranges(planes: Array) -> tuple[Array, Array]:
    """Of each row of features, (d, points), the smallest and the largest."""
    nothing: Any = np.zeros(planes.shape[0])
    return (planes.min(1), planes.max(1)) if planes.shape[1] else (nothing, nothing)
