"""Batches on their way to the GPU: the next one is copied there while the last is worked on."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Generator
from typing import Any

import numpy as np

from numseg.cuda import memory, runtime, streams
from numseg.device import Cuda, Device, Host
from numseg.training.batches import Batch
from numseg.typing import Array

Batches = Generator[Batch, None, None]


def uploaded(found: Batches, where: Device) -> Batches:
    """The batches, with their images on the device. To a GPU they go one ahead, by a stream of
    their own and through memory that the GPU can read by itself; closes ``found``."""
    with contextlib.closing(found):
        yield from found if where is Host else _ahead(found)


def _ahead(found: Batches) -> Batches:
    side = runtime.cuda.stream()
    slots = itertools.cycle([Slot(side), Slot(side), Slot(side)])
    waiting: tuple[Slot, Batch] | None = None
    for batch in found:
        slot = next(slots)
        slot.send(batch.x)
        if waiting is not None:
            yield _arrived(*waiting)
        waiting = slot, batch
    if waiting is not None:
        yield _arrived(*waiting)


def _arrived(slot: Slot, batch: Batch) -> Batch:
    return Batch(slot.take(), batch.labels)


class Slot:
    """One batch on its way."""

    def __init__(self, side: Any) -> None:
        self.side, self.sent = side, runtime.cuda.event()
        self.pinned: Array = np.empty(0)
        self.there: Any = None

    def send(self, x: Array) -> None:
        """Queue the copy; the host waits only for what this slot sent before, long ago."""
        self.sent.synchronize()
        if (self.pinned.shape, self.pinned.dtype) != (x.shape, x.dtype):
            self.pinned = runtime.cuda.pinned_array(x.shape, x.dtype)
        self.pinned[...] = x
        with streams.cuda_stream(self.side):
            self.there = Cuda.from_host(self.pinned)
        self.sent.record(self.side)

    def take(self) -> Any:
        """The array, which the current stream waits for."""
        now, there, self.there = streams.current(), self.there, None
        self.sent.wait(now)
        if (block := memory.block_of(there)) is not None:
            block.read_on(now)
        return there.bind(now)
