"""Sizes that a network takes, found by trying.

A network of strides takes sizes in a regular way: what fits depends on the remainder by the step in
which its coarsest node sees the image, and from some size on nothing is too small. So each
remainder is asked far out, where only it matters, and then for the smallest size that fits.

Where nothing fits far out, something asks for a map of one size, as a classifier's linear layer
does: all images fit that have it, as many as the coarsest node's step, and sizes a step apart find
one.
"""

from __future__ import annotations

import bisect
import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple, TypeAlias

from numseg.errors import ArgumentError
from numseg.graph.receptive import Place

MOST = 1024
"""Up to this size one is looked for where nothing fits far out."""


@dataclasses.dataclass(frozen=True)
class Axis:
    """The sizes of one axis: each number of ``firsts``, and every ``step``-th from there on, as far
    as ``largest``, if there is one."""

    step: int
    firsts: tuple[int, ...]
    largest: int | None = None

    def __contains__(self, size: int) -> bool:
        if self.largest is not None and size > self.largest:
            return False
        return any(size >= first and (size - first) % self.step == 0 for first in self.firsts)

    def __iter__(self) -> Iterator[int]:
        """All of them, without end if there is no largest."""
        return self.beginning(self.smallest)

    def __str__(self) -> str:
        if self.largest is not None:
            every = list(self)
            if self.step > 1 or len(every) == 1:
                return ", ".join(map(str, every))
            return f"{self.smallest} to {self.largest}"
        if self.step == 1:
            return f"{self.smallest} or more"
        if len(self.firsts) > 4:
            return f"{', '.join(map(str, itertools.islice(self, 4)))}, ..."
        return ", ".join(f"{self.step} k + {first}" for first in self.firsts)

    @property
    def smallest(self) -> int:
        return min(self.firsts)

    def up_to(self, largest: int) -> list[int]:
        """Those that are no larger."""
        return [size for size in range(self.smallest, largest + 1) if size in self]

    def from_on(self, size: int) -> int:
        """The smallest that is not smaller."""
        found = next(self.beginning(size), None)
        if found is None:
            raise ArgumentError(f"the largest size is {self.largest}, but {size} was asked for")
        return found

    def beginning(self, size: int) -> Iterator[int]:
        """All that are not smaller, without end if there is no largest."""
        first = max(size, self.smallest)
        every: Iterable[int] = itertools.count(first)
        if self.largest is not None:
            every = range(first, self.largest + 1)
        return (size for size in every if size in self)

    def beyond_smallest(self, distance: int) -> int:
        """The first that is so much larger than the smallest, or the largest that there is."""
        size = self.smallest + distance
        return self.from_on(size if self.largest is None else min(size, self.largest))

    def nearest(self, size: int) -> tuple[int, ...]:
        """The largest below and the smallest above, the size itself if it is one of them."""
        if size in self:
            return (size,)
        if self.largest is not None and size > self.largest:
            return (self.largest,)
        below = [s for s in range(max(size - self.step, 0), size) if s in self]
        return (*below[-1:], self.from_on(size))


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Rows and columns of the image that a network takes, each with each of the other."""

    rows: Axis
    columns: Axis
    stride: int
    """The rows and columns from one pixel to the next where the network is coarsest."""

    def __contains__(self, size: tuple[int, int]) -> bool:
        return size[0] in self.rows and size[1] in self.columns

    def __str__(self) -> str:
        if self.rows == self.columns:
            return f"rows and columns: {self.rows}"
        return f"rows: {self.rows}; columns: {self.columns}"

    @property
    def smallest(self) -> tuple[int, int]:
        return self.rows.smallest, self.columns.smallest

    def why_not(self, name: str, size: tuple[int, int]) -> str | None:
        """What to say of a size that is none of these: both values, and the nearest that are."""
        axes = ("rows", self.rows), ("columns", self.columns)
        for (word, axis), found in zip(axes, size, strict=True):
            if found in axis:
                continue
            near = axis.nearest(found)
            if len(near) == 1:
                bound = "at least" if found < near[0] else "at most"
                return f"{name} has {found} {word}, but this network takes {near[0]} {bound}"
            takes = f"the nearest that this network takes are {near[0]} and {near[1]}"
            return f"{name} has {found} {word}; {takes}"
        return None


class Trial(NamedTuple):
    """What the plans say of one size."""

    fits: bool
    planned: int
    """How many nodes could be planned."""
    places: Callable[[], Mapping[str, Place]]
    """Where their pixels lie."""
    square: bool
    """Rows and columns were treated alike."""


Attempt: TypeAlias = Callable[..., Trial]
"""Of rows and columns; and, if asked for, ``checked=False``: whatever the input itself refuses."""


def search(attempt: Attempt) -> Sizes | None:
    """The sizes at which an attempt succeeds; None if there are none."""
    attempt = functools.cache(attempt)
    step, longer = 0, 1
    while longer != step:  # where more fits, a further node may say that the step is longer
        step, far = longer, _far(longer)
        trials = [attempt(far + r, far + r) for r in range(step)]
        classes = [r for r, found in enumerate(trials) if found.fits]
        most = max(classes or range(step), key=lambda r: _known(trials[r]))
        longer = math.lcm(step, *_strides(trials[most], attempt(2 * far + most, 2 * far + most)))
    pair = (far + classes[0], far + classes[0]) if classes else _pair(attempt, far, step)
    if pair is None:
        return _bounded(attempt, far)
    columns = _axis(lambda size: attempt(pair[0], size).fits, step)
    if pair[0] == pair[1] and all(found.square for found in trials):
        return Sizes(columns, columns, step)
    return Sizes(_axis(lambda size: attempt(size, pair[1]).fits, step), columns, step)


def _known(trial: Trial) -> tuple[int, int]:
    """How much a trial says of strides: where paths disagree, a node has no place."""
    return trial.planned, len(trial.places())


def _bounded(attempt: Attempt, far: int) -> Sizes | None:
    """The sizes, where all are below some size."""
    step = max(_strides(attempt(far, far, False), attempt(2 * far, 2 * far, False)), default=1)
    sizes = (s for part in (1, 2) for s in range(step // part or 1, MOST + 1, step // part or 1))
    found = next((size for size in sizes if attempt(size, size).fits), None)
    if found is None:
        return None

    def axis(fits: Callable[[int], bool]) -> Axis:
        around = [s for s in range(max(found - step, 1), found + step + 1) if fits(s)]
        first, last = around[0], around[-1]
        if len(around) == last + 1 - first:
            return Axis(1, (first,), last)
        return Axis(last + 1 - first, tuple(around), last)

    columns = axis(lambda size: attempt(found, size).fits)
    if attempt(found, found).square:
        return Sizes(columns, columns, step)
    return Sizes(axis(lambda size: attempt(size, found).fits), columns, step)


def _strides(small: Trial, large: Trial) -> list[int]:
    """The rows and columns in which nodes see the image, those that are whole (0 is that of one
    pixel which is repeated), and the same for an image of twice the size."""
    ours, theirs = small.places(), large.places()
    both = ours.keys() & theirs.keys()
    pairs = ((a, b) for n in both for a, b in zip(ours[n], theirs[n], strict=True))
    same = {a.stride for a, b in pairs if a.stride == b.stride}
    return [stride.numerator for stride in same if stride and stride.denominator == 1]


def _far(step: int) -> int:
    """A multiple of the step at which nothing is too small: a network that halves n times loses a
    few of its pixels, a multiple of 2**n."""
    return -(-max(4096, 16 * step) // step) * step


def _pair(attempt: Callable[[int, int], Trial], far: int, step: int) -> tuple[int, int] | None:
    """Rows and columns that fit, but no square does."""
    pairs = ((far + r, far + c) for r in range(step) for c in range(step) if r != c)
    return next((pair for pair in pairs if attempt(*pair).fits), None)


def _axis(fits: Callable[[int], bool], step: int) -> Axis:
    """The sizes of one axis."""
    far, firsts = _far(step), list[int]()
    for remainder in range(step):
        if fits(far + remainder):
            near = firsts[-1] + 1 if firsts else 0  # remainders often begin one after the other
            firsts.append(_first(fits, remainder, step, far, near))
    return _shortened(Axis(step, tuple(sorted(firsts))))


def _first(fits: Callable[[int], bool], remainder: int, step: int, far: int, near: int) -> int:
    """The smallest size of a remainder that fits; all larger ones do."""
    sizes = range(remainder or step, far + remainder + 1, step)
    guess = bisect.bisect_left(sizes, near)
    if fits(sizes[guess]) and (guess == 0 or not fits(sizes[guess - 1])):
        return sizes[guess]
    return sizes[bisect.bisect_left(sizes, True, key=fits)]


def _shortened(axis: Axis) -> Axis:
    """The same sizes, by the shortest step."""
    known = set(axis.up_to(max(axis.firsts) + 2 * axis.step))
    for step in range(1, axis.step):
        if axis.step % step == 0:
            firsts = [s for s in sorted(known) if s - step not in known and s <= max(axis.firsts)]
            shorter = Axis(step, tuple(firsts))
            if set(shorter.up_to(max(known))) == known:
                return shorter
    return axis
