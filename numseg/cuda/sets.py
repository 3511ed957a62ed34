"""Sums over sets of numbers on CUDA, as pairs (:mod:`numseg.cuda.pairs`).

A set has the same place in each of some *outer* blocks of an array, and there ``inner`` neighbours.
A channel of a batch is a set (the images are the outer blocks), and so is a group of channels of
one image (there is one outer block). A thread has a part of a set: every so many-th number.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from numseg.cuda import pairs
from numseg.cuda.launch import Reals, kernel, launch, thread
from numseg.cuda.runtime import cuda


class Sets(NamedTuple):
    """Sets, and how threads are laid over them."""

    outer: int
    sets: int
    inner: int
    parts: int
    """Of each sum."""
    along: bool
    """Neighbouring threads have neighbouring parts; else, neighbouring sets."""
    blocks: int
    rest: int
    """From a term of a part to its next: so many outer blocks, and so many numbers."""
    per: int = 1
    """Sets that have one statistic."""
    step: int = 0
    """Statistics from one outer block to the next."""
    period: int = 0
    """A number in a set has a weight of its own: sets until the weights come again. Else 0."""


def sets_of(outer: int, sets: int, inner: int, **more: int) -> Sets:
    """In so many parts as fill a GPU; a part's terms lie as far from each other as there are."""
    count = pairs.parts(sets, outer * inner)
    blocks, rest = divmod(count, max(inner, 1))
    return Sets(outer, sets, inner, count, inner > 1, blocks, rest, **more)


@cuda.jit(device=True)
def set_and_part(place: Any, plane: Any, g: Any) -> Any:
    """Of a thread."""
    return (plane, place) if g.along else (place, plane)


def sums_of(
    kernel: Any, quantities: int, g: Sets, dtype: Any, *arrays: Any, how: tuple[Any, ...] = ()
) -> Any:
    """Sums of some quantities over each set, as :func:`pairs.totals`. The kernel is given the
    arrays, the addends to fill, ``how``, and the sets."""
    addends = pairs.room(quantities, g.parts, g.sets, dtype)
    if g.outer * g.inner:
        count = (g.sets, g.parts) if g.along else (g.parts, g.sets)
        launch(kernel, *count, *arrays, addends, *how, g)
    else:
        launch(_nothing, 1, addends.size, addends)
    return pairs.totals(addends)


@kernel
def _nothing(sums: Reals) -> None:
    i, _ = thread()
    if i < sums.size:
        sums[i] = sums.dtype.type(0)


@kernel
def store(sums: Reals, out: Reals) -> None:
    """The sums of one quantity, rounded."""
    i, _ = thread()
    if i < out.size:
        out[i] = pairs.rounded(sums[i], sums[out.size + i])
