"""Device memory that is used again, streams, and arrays that go to the GPU and back."""

from __future__ import annotations

import gc
import threading
from typing import Any

import numpy as np
import pytest

import numseg as ns
from numseg.cuda import memory, runtime, streams
from numseg.cuda.arrays import Cuda

if not runtime.cuda_available():
    pytest.skip(
        "no GPU: NUMBA_ENABLE_CUDASIM=1 pytest tests/cuda, after pip install '.[cuda-test]'",
        allow_module_level=True,
    )

simulator = pytest.mark.skipif(not runtime.simulated(), reason="streams are made up: simulator")


class Stream:
    """A stream that Numba might have made, of a driver that writes down what it is told."""

    def __init__(self, handle: int) -> None:
        self.handle, self.waited = handle, 0

    def synchronize(self) -> None:
        self.waited += 1


Stream.__module__ = "numba.cuda"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """(later, earlier) of each wait of a stream for another."""
    waits: list[tuple[int, int]] = []

    class Event:
        def record(self, stream: Any) -> None:
            self.earlier = streams.handle(stream)

        def wait(self, stream: Any) -> None:
            waits.append((streams.handle(stream), self.earlier))

    monkeypatch.setattr(streams, "_event", Event)
    monkeypatch.setattr(runtime.cuda, "external_stream", Stream, raising=False)
    streams._external.cache_clear()
    yield waits  # type: ignore[misc]
    streams._external.cache_clear()


# -- the pool --------------------------------------------------------------------------------------


def pool() -> memory.Pool:
    return memory.Pool(bytearray)


@pytest.mark.parametrize(
    ("size", "block"),
    [(1, 512), (512, 512), (513, 1024), (4096, 4096), (4097, 4608), (8192, 8192), (8193, 9216),
     (2**20 + 1, 2**20 + 2**17), (2**21, 2**21), (2**40 - 1, 2**40)],
)  # fmt: skip
def test_sizes_are_rounded_to_eighths_of_a_power_of_two(size: int, block: int) -> None:
    assert memory.rounded(size) == block


@pytest.mark.parametrize("size", [1, 511, 513, 5000, 123_456, 2**31 + 7, 3 * 2**35])
def test_rounding_wastes_an_eighth_at_most_and_keeps_alignment(size: int) -> None:
    found = memory.rounded(size)
    assert found % memory.SMALLEST == 0
    assert size <= found <= max(size * 9 / 8, size + memory.SMALLEST)
    assert memory.rounded(found) == found


def test_memory_is_used_again_once_no_array_needs_it() -> None:
    mine = pool()
    first, second = mine.block(1000, 0, 0), mine.block(1000, 0, 0)
    memories = {id(first.memory), id(second.memory)}
    assert len(memories) == 2
    assert mine.stats() == (2, 0, 2048)
    del first, second
    assert mine.stats() == (2, 2048, 0)
    again = [mine.block(size, 0, 0) for size in (513, 1024)]
    assert {id(block.memory) for block in again} == memories
    assert mine.stats() == (2, 0, 2048)


@pytest.mark.parametrize("place", [(1000, 1, 0), (1000, 0, 7), (3000, 0, 0)], ids=str)
def test_other_gpus_streams_and_sizes_have_blocks_of_their_own(place: Any) -> None:
    mine, (size, device, number) = pool(), place
    mine.block(1000, 0, 0)
    mine.block(size, device, Stream(number) if number else 0)
    assert mine.stats().allocations == 2


def test_a_block_waits_for_the_other_streams_that_read_it(told: list[tuple[int, int]]) -> None:
    mine = pool()
    block = mine.block(1, 0, Stream(5))
    for other in (Stream(5), Stream(6), Stream(7), Stream(6)):
        block.read_on(other)
    assert told == []
    del block
    assert told == [(5, 6), (5, 7)]
    assert mine.stats().kept == 512


def test_what_waits_is_given_back_where_memory_is_short() -> None:
    room = 4

    class Memory:
        def __del__(self) -> None:
            nonlocal room
            room += 1

    def allocate(size: int) -> Memory:
        nonlocal room
        if room == 0:
            raise MemoryError("full")
        room -= 1
        return Memory()

    mine = memory.Pool(allocate)
    blocks = [mine.block(512, 0, 0) for _ in range(3)] + [mine.block(2048, 0, 0)]
    with pytest.raises(MemoryError):
        mine.block(1024, 0, 0)
    del blocks[0]
    kept = mine.block(1024, 0, 0)
    assert mine.stats().kept == 0
    with pytest.raises(MemoryError):
        mine.block(1024, 0, 0)
    del kept, blocks
    assert mine.stats().used == 0
    mine.trim()
    assert (room, mine.stats().kept) == (4, 0)


def test_threads_never_share_a_block() -> None:
    mine, seen, failed = pool(), set[int](), []

    def work() -> None:
        for _ in range(300):
            block = mine.block(700, 0, 0)
            if id(block.memory) in seen:
                failed.append(1)
            seen.add(id(block.memory))
            seen.discard(id(block.memory))

    threads = [threading.Thread(target=work) for _ in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert not failed
    assert mine.stats().used == 0
    assert mine.stats().allocations <= 4


def test_arrays_keep_their_block_as_long_as_a_view_lives() -> None:
    gc.collect()  # what earlier tests left
    before = memory.stats().used
    array = Cuda.empty((3, 5), np.float32)
    block = memory.block_of(array)
    assert block is not None
    view = array.reshape(15)[4:7]
    assert memory.block_of(view) is block
    del array, block
    gc.collect()
    assert memory.stats().used == before + 512
    del view
    gc.collect()
    assert memory.stats().used == before
    assert memory.block_of(Cuda.empty((0,), np.float32)) is None


def test_the_same_calls_again_allocate_nothing() -> None:
    rng = np.random.default_rng(0)
    arrays = [Cuda.from_host(rng.standard_normal(s)) for s in ((1, 1, 4, 4), (2, 1, 3, 3), (2,))]

    def calls() -> None:
        y, saved = ns.conv2d.forward(*arrays)
        ns.conv2d.backward(saved, y)
        Cuda.to_host(ns.mean(ns.permute(y, (0, 2, 3, 1)), 0))

    calls()
    before = memory.stats()
    calls()
    assert memory.stats() == before


def test_columns_stay_columns_on_the_way_there() -> None:
    array = np.arange(6.0).reshape(2, 3).T
    there = Cuda.from_host(array)
    assert there.strides == array.strides
    np.testing.assert_array_equal(Cuda.to_host(there), array)


def test_trim_gives_back_what_no_array_needs() -> None:
    array = Cuda.from_host(np.arange(5))
    Cuda.empty((7, 100), np.float64)
    assert memory.stats().kept > 0
    memory.trim()
    assert memory.stats().kept == 0
    assert Cuda.to_host(array).tolist() == [0, 1, 2, 3, 4]


# -- streams ---------------------------------------------------------------------------------------


class Protocol:
    def __cuda_stream__(self) -> tuple[int, int]:
        return 0, 77


class Torch:
    cuda_stream = 77


class CuPy:
    ptr = 77


@simulator
@pytest.mark.parametrize(
    "stream", [77, Protocol(), Torch(), CuPy(), Stream(77)], ids=lambda s: type(s).__name__
)
def test_streams_of_any_library(stream: Any, told: Any) -> None:
    with ns.cuda_stream(stream):
        assert streams.handle(streams.current()) == 77
        assert Cuda.empty((1,), np.float32).stream is streams.current()
        with ns.cuda_stream(0):
            assert streams.current() == 0
        assert streams.handle(streams.current()) == 77
    assert streams.current() == 0


@pytest.mark.parametrize("stream", [0, 1])
def test_the_default_stream_has_two_numbers(stream: int) -> None:
    with ns.cuda_stream(stream):
        assert streams.current() == 0
        assert streams.handle(streams.current()) == streams.LEGACY


@pytest.mark.parametrize("stream", [None, True, -1, "main", np.zeros(1)], ids=str)
def test_what_is_no_stream_is_refused(stream: Any) -> None:
    with pytest.raises(ns.ArgumentTypeError, match=r"^stream must be a CUDA stream or its number"):
        ns.cuda_stream(stream).__enter__()


def test_kernels_run_on_numbas_streams() -> None:
    """On a GPU, by the driver; in the simulator everything is done at once."""
    x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    with ns.cuda_stream(runtime.cuda.stream()):
        there = ns.asarray(x, device="cuda")
        y = ns.max_pool2d(there, 2)
        np.testing.assert_array_equal(ns.asnumpy(y), [[[[5, 7], [13, 15]]]])
    np.testing.assert_array_equal(ns.asnumpy(ns.max_pool2d(y, 2)), [[[[15]]]])


@simulator
def test_a_launch_is_queued_on_the_stream(told: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from numseg.cuda import launch

    x, queued = Cuda.from_host(np.ones((1, 1, 2, 2), np.float32)), []
    real = launch._configure
    monkeypatch.setattr(
        launch,
        "_configure",
        lambda *args: (queued.append(streams.handle(args[-1])), real(*args))[1],
    )
    ns.relu(x)
    with ns.cuda_stream(9):
        ns.relu(x)
    assert queued == [1, 9]


@simulator
def test_arrays_of_another_stream_are_waited_for_and_the_host_does_not_wait(told: Any) -> None:
    nine, eight = Stream(9), Stream(8)
    with ns.cuda_stream(nine):
        x = Cuda.from_host(np.ones((1, 1, 2, 2), np.float32))
        ns.relu(x)
    assert told == []
    with ns.cuda_stream(eight):
        y = ns.relu(x)
        assert told == [(8, 9)]
        ns.relu(y)
        assert told == [(8, 9)]
    assert nine.waited == eight.waited == 0
    ns.asnumpy(y)  # on the default stream, which waits for 8; then the host waits for it alone
    assert told[0] == (8, 9)
    assert set(told[1:]) == {(1, 8)}
    assert nine.waited == eight.waited == 0
    told.clear()
    del x
    gc.collect()
    assert told == [(9, 8)]  # before the memory of x is used again


# -- there and back --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.bool_])
@pytest.mark.parametrize("shape", [(), (0, 2), (2, 3)])
def test_there_and_back(shape: Any, dtype: Any) -> None:
    x = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    there = ns.asarray(x, device="cuda")
    assert hasattr(there, "copy_to_host")
    back = ns.asnumpy(there)
    assert (back.dtype, back.shape) == (x.dtype, x.shape)
    np.testing.assert_array_equal(back, x)


def test_what_is_there_already_stays() -> None:
    x = np.ones(3)
    assert np.shares_memory(ns.asarray(x), x)
    assert np.shares_memory(ns.asarray(x, "cpu"), x)
    assert np.shares_memory(ns.asnumpy(x), x)
    there = ns.asarray(x, "cuda")
    assert ns.asarray(there) is ns.asarray(there, "cuda") is there


def test_the_copy_does_not_see_later_changes() -> None:
    x = np.ones(3)
    there = ns.asarray(x, "cuda")
    x[:] = 2
    assert ns.asnumpy(there).tolist() == [1, 1, 1]


def test_strided_arrays_come_back() -> None:
    wide = ns.asarray(np.arange(12).reshape(3, 4), "cuda")
    np.testing.assert_array_equal(ns.asnumpy(wide[:, ::2]), [[0, 2], [4, 6], [8, 10]])


@pytest.mark.parametrize("x", [[1, 2], 3.0, None])
def test_what_is_no_array_is_refused(x: Any) -> None:
    with pytest.raises(ns.ArgumentTypeError, match=r"^x must be an array, got"):
        ns.asarray(x, "cuda")


def test_unknown_devices_are_refused() -> None:
    with pytest.raises(ns.ArgumentError, match="device"):
        ns.asarray(np.ones(1), "tpu")
