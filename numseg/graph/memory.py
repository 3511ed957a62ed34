"""Which results of an inference may have each other's memory, from when they are needed.

A block that nobody needs any more may be kept for a later one, so that its pages need not be asked
for again; but never so that a run holds more at once than it would if all memory were given back
at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from numseg.plan import Spec


class Block(NamedTuple):
    """Memory of results."""

    spec: Spec
    first: int
    """The step that fills it first."""
    last: int
    """The last that reads it."""
    kept: bool = False
    """The caller gets it: nobody else has it, before or after."""

    @property
    def nbytes(self) -> int:
        return self.spec.nbytes


def peak(blocks: Sequence[Block]) -> int:
    """Bytes at once, if each block is given back after its last step."""
    return int(_held(blocks).max(initial=0))


def _held(blocks: Sequence[Block]) -> np.ndarray:
    """Bytes during each step. What the caller gets is held to the end."""
    steps = 1 + max((block.last for block in blocks), default=-1)
    held = np.zeros(steps, np.int64)
    for block in blocks:
        held[block.first : steps if block.kept else block.last + 1] += block.nbytes
    return held


def shared(blocks: Sequence[Block], small: int) -> tuple[list[int], dict[int, int]]:
    """For each block the one whose memory it has, which begins with it or before it; and for those
    the step after which it is given back. Blocks below ``small`` bytes have their
    own."""
    held = _held(blocks)
    most = int(held.max(initial=0))
    shares = list(range(len(blocks)))
    ends: dict[int, int] = {}  # of memory that may go on: the last step of who has it now
    for number in sorted(shares, key=lambda j: blocks[j].first):
        block = blocks[number]
        if block.kept or block.nbytes < small:
            continue
        found = []
        for owner, end in ends.items():
            size = blocks[owner].nbytes
            if end < block.first and size >= block.nbytes:
                idle, used = held[end + 1 : block.first], held[block.first : block.last + 1]
                room = idle.max(initial=0) + size, used.max(initial=0) + size - block.nbytes
                if max(room) <= most:
                    found.append((size, -end, owner))
        if found:
            size, end, owner = min(found)
            held[1 - end : block.first] += size
            held[block.first : block.last + 1] += size - block.nbytes
            shares[number] = owner
            ends[owner] = block.last
        else:
            ends[number] = block.last
    lasts: dict[int, int] = {}
    for block, owner in zip(blocks, shares, strict=True):
        lasts[owner] = max(lasts.get(owner, 0), block.last)
    return shares, lasts
