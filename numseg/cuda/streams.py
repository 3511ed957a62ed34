"""Which CUDA stream work is queued on, and how one stream waits for another without the host."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from numseg.cuda import runtime
from numseg.errors import ArgumentTypeError, DeviceError

LEGACY = 1
"""CUDA's number of the legacy default stream; 0 means the same, and Numba says 0."""

_stream: ContextVar[Any] = ContextVar("numseg_cuda_stream", default=0)


@contextlib.contextmanager
def cuda_stream(stream: Any) -> Iterator[None]:
    """Queue what runs within the ``with`` block on a CUDA stream.

    Kernels, copies and results of numseg's calls in this thread or task are queued on it, in the
    order of the calls, and the calls return before the work is done. Outside of such a block work
    is queued on CUDA's legacy default stream.

    Parameters
    ----------
    stream : object or int
        A stream of Numba (``numba.cuda.stream()``), of PyTorch or CuPy, anything with
        ``__cuda_stream__``, or a ``cudaStream_t`` as a number; 0 or 1 is the legacy default stream,
        2 the default stream of each thread. It must be of the current GPU, and live until its work
        is done.

    Raises
    ------
    ArgumentTypeError
        If it is none of these.
    DeviceError
        Without CUDA.

    Notes
    -----
    An array that names another stream (Numba's ``array.stream``, the ``stream`` of its
    ``__cuda_array_interface__``) is waited for by this stream, by an event; the host does not wait.
    Results name the stream that they were made on. What reads them on yet another stream must wait
    for it; ``numseg.asnumpy`` and later calls of numseg do.

    Examples
    --------
    ::

        side = torch.cuda.Stream()
        with torch.cuda.stream(side), ns.cuda_stream(side):
            y = torch.as_tensor(ns.conv2d(x, weight), device="cuda")
    """
    token = _stream.set(as_stream(stream))
    try:
        yield
    finally:
        _stream.reset(token)


def current() -> Any:
    """Numba's object for the stream that work is queued on; 0 for the legacy default stream."""
    return _stream.get()


def queue() -> Any:
    """The same, never 0, which Numba's copies take as the wish to wait until they are done."""
    return _stream.get() or runtime.cuda.legacy_default_stream()


def as_stream(stream: Any) -> Any:
    """Numba's object for a stream of any library."""
    if not runtime.cuda_available():
        raise DeviceError(f"stream: there is no GPU: {runtime.describe_cuda()}")
    if isinstance(stream, bool) or stream is None:
        raise ArgumentTypeError(f"stream must be a CUDA stream or its number, got {stream!r}")
    if _numba_s(stream):
        return stream if handle(stream) > LEGACY else 0
    number = _number(stream)
    if number is None:
        kind = type(stream).__name__
        raise ArgumentTypeError(f"stream must be a CUDA stream or its number, got {kind}")
    return external(number)


def external(number: int) -> Any:
    """Numba's object for the stream of that number."""
    return 0 if number <= LEGACY else _external(number)


@functools.lru_cache(maxsize=64)
def _external(number: int) -> Any:
    return runtime.cuda.external_stream(number)


def handle(stream: Any) -> int:
    """A number by which streams are told apart."""
    if not stream:
        return LEGACY
    number = getattr(stream, "handle", None)  # the simulator's have none
    return id(stream) if number is None else int(number) or LEGACY


def same(one: Any, other: Any) -> bool:
    """Both names mean one stream."""
    return one is other or handle(one) == handle(other)


def wait(later: Any, earlier: Any) -> None:
    """What is queued on ``later`` from now on runs after what ``earlier`` has to do now."""
    if not same(later, earlier):
        event = runtime.cuda.event(timing=False) if not runtime.simulated() else _event()
        event.record(earlier)
        event.wait(later)


def _event() -> Any:
    return runtime.cuda.event()  # the simulator's takes no arguments


def _numba_s(stream: Any) -> bool:
    return type(stream).__module__.startswith("numba") and hasattr(stream, "synchronize")


def _number(stream: Any) -> int | None:
    """The ``cudaStream_t`` that an object says it is."""
    if isinstance(stream, int):
        return stream if stream >= 0 else None
    if hasattr(stream, "__cuda_stream__"):
        _, number = stream.__cuda_stream__()
        return int(number)
    for name in ("cuda_stream", "ptr"):  # PyTorch's, CuPy's
        if isinstance(number := getattr(stream, name, None), int):
            return number
    return None
