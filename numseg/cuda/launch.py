"""How numseg writes CUDA kernels: what a kernel says about its arguments, and how it is launched.

A kernel states the type of every argument in its annotations, from the few that exist here: flat
arrays (:data:`Reals`, :data:`Doubles`, :data:`Stored`, :data:`Ints`, :data:`Longs`, :data:`Bytes`),
numbers (``int``, ``float``, ``bool``, and wider :data:`Long`, :data:`Double`), and NamedTuples of
numbers, such as an operator's Geometry. So :mod:`numseg.testing.compile_gate` can compile every
kernel of every operator for GPUs that are not there, and no launch can need a kernel that the gate
has not seen.

Index arithmetic is most of what a simple kernel does, and Numba widens every sum and product of
int32 to int64. Four habits keep it cheap (docs/cuda.md has the figures):

- a thread gets its plane and its pixel within the plane from the launch (:func:`launch`,
  :func:`thread`), so nothing is divided to find the plane; the compiler multiplies int32 to int64
  at no cost, so offsets into arrays stay 64 bits wide and arrays have no limit;
- what counts planes, rows or columns is cast back, ``row = int32(row + g.dy)``, and what must be
  divided goes through :func:`quotient`: a 64-bit division is a hundred instructions;
- loops whose start or step varies are ``while`` loops: ``range`` divides to count its turns;
- a real number is made with the array's ``dtype.type``: a bare ``0.1``, or a sum that starts from
  the int 0, computes in float64. The gate refuses that in a float32 kernel.
"""

from __future__ import annotations

import functools
import threading
import typing
import warnings
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import numpy as np
from numba import int32, types, uint32

from numseg.cuda import cubins, streams
from numseg.cuda.runtime import cuda, empty, simulated
from numseg.errors import DeviceError
from numseg.kernels.machine.jit import rule

Reals = Annotated[Any, "real"]
"""A flat array of the operator's dtype, float32 or float64."""
Doubles = Annotated[Any, types.float64]
"""A flat array of float64, whatever the operator's dtype: of a kernel that takes one, float64 is
what it is meant to compute in, and the gate lets it."""
Stored = Annotated[Any, types.float64, "stored"]
"""A flat array of float64 that is only stored to and loaded from: the gate lets conversions."""
Ints = Annotated[Any, types.int32]
"""A flat array of int32: a workspace."""
Longs = Annotated[Any, types.int64]
"""A flat array of int64: switches and labels."""
Bytes = Annotated[Any, types.uint8]
"""A flat array of uint8: marks."""
Long = np.int64
"""A number of 64 bits: a seed, a label."""
Double = np.float64
"""A float64 number, whatever the operator's dtype. It says of a kernel what ``Doubles`` says."""

# In Numba's simulator every CUDA thread is a Python thread: blocks and grids are small there, small
# enough that tiny tests stride over planes.
THREADS, WARP, MAX_ROWS = (16, 4, 2) if simulated() else (256, 32, 65_535)
"""Threads of a block; the fewest that share a plane; the most blocks CUDA takes along y."""

FULL = 32 if simulated() else 2**18
"""Threads that keep a GPU busy; not asked of the GPU, so that each one gives the same bits."""

LIMIT = 2**30 - 1
"""Of planes, of elements of one plane, and of every int, such as those in a Geometry: the sum of
two of them fits in int32."""

KEPT = 256
"""Tuples of numbers that a kernel keeps packed."""

NUMBERS = bool, int, float, Long, Double
"""Become boolean, int32, the operator's dtype, int64 and float64."""


class Tiled(NamedTuple):
    """What a kernel by tiles declares: it is launched by blocks, and the gate holds it to this."""

    threads: int
    """Of a block."""
    blocks: int
    """That a multiprocessor holds at a time, at least."""
    share: float
    """Of the instructions in the hot loop, how many are multiply-adds in float32, at least."""
    dtypes: tuple[str, ...] = ("float32", "float64")
    share64: float | None = None
    """Of float64 where that is less: a load of 128 bits brings half as many numbers."""


class Kernel:
    """A CUDA kernel that knows the types of its arguments."""

    def __init__(
        self,
        function: Callable[..., None],
        tiled: Tiled | None = None,
        sources: tuple[str, ...] = (),
    ) -> None:
        """``sources``: the modules that it is made of, if its own does not say so."""
        self.module = function.__module__
        self.name = f"{self.module}.{function.__name__}"
        self.function = function
        self.tiled = tiled
        bounds = {} if self.bounds is None or simulated() else {"launch_bounds": self.bounds}
        self.compiled: Any = cuda.jit(**bounds)(function)
        if not simulated():
            cubins.keep(self.compiled, self.name, sources or (self.module,))
        self.hints = typing.get_type_hints(function, include_extras=True)
        self.hints.pop("return", None)
        self._tuples: dict[Any, tuple[Any, Any]] = {}

    @property
    def bounds(self) -> tuple[int, int] | None:
        """CUDA's launch bounds: threads of a block, and blocks of a multiprocessor."""
        return self.tiled and (self.tiled.threads, self.tiled.blocks)

    def signature(self, real: Any) -> tuple[Any, ...]:
        """The Numba types of the arguments, where the operator's dtype is ``real``."""
        return tuple(_numba_type(hint, real) for hint in self.hints.values())

    @property
    def means_float64(self) -> bool:
        """It takes float64 whatever the operator's dtype, and so is meant to compute in it."""
        numbers = [kind for hint in self.hints.values() for kind in _parts(hint)]
        return Doubles in numbers or Double in numbers

    def arguments(self, given: tuple[Any, ...]) -> list[Any]:
        """``given`` in exactly those types: arrays flat, numbers narrow."""
        pairs = list(zip(self.hints.items(), given, strict=True))
        real = next((a.dtype for (_, hint), a in pairs if hint == Reals), np.dtype(np.float32))
        return [self._argument(name, hint, value, real) for (name, hint), value in pairs]

    def _argument(self, name: str, hint: Any, value: Any, real: np.dtype[Any]) -> Any:
        if isinstance(value, tuple):
            return self._packed(name, hint, value, real)
        return _argument(f"{self.name}: {name}", hint, value, real)

    def _packed(self, name: str, hint: Any, value: Any, real: np.dtype[Any]) -> Any:
        """Numbers in a tuple, made once for each geometry: plans, which are kept, hold those."""
        key = name, id(value), real
        kept, packed = self._tuples.get(key, (None, None))
        if kept is not value:
            packed = _argument(f"{self.name}: {name}", hint, value, real)
            if len(self._tuples) >= KEPT:
                self._tuples.clear()
            self._tuples[key] = value, packed  # the value stays, and so its id stays its own
        return packed


kernel = Kernel
"""``@kernel`` makes a :class:`Kernel` of a function with annotated arguments."""


def launch(kernel: Kernel, planes: int, pixels: int, *args: Any) -> None:
    """Run a kernel with a thread for each pixel of each plane.

    The kernel asks :func:`thread` for its pixel and its first plane, returns where ``pixel >=
    pixels``, and goes on with :func:`next_plane` while ``plane < planes``.
    """
    if planes == 0 or pixels == 0:
        return
    _check_limit("planes", planes)
    _check_limit("elements of a plane", pixels)
    columns = min(max(1 << (pixels - 1).bit_length(), WARP), THREADS)
    rows = THREADS // columns
    grid = -(-pixels // columns), min(-(-planes // rows), MAX_ROWS)
    _configured(kernel.compiled, grid, (columns, rows))(*kernel.arguments(args))


def launch_blocks(kernel: Kernel, blocks: int, *args: Any) -> None:
    """Run a kernel by tiles with so many blocks of as many threads as it declares."""
    assert kernel.tiled is not None
    _check_limit("blocks", blocks)
    _configured(kernel.compiled, (blocks, 1), (kernel.tiled.threads, 1))(*kernel.arguments(args))


def _configured(dispatcher: Any, grid: tuple[int, int], block: tuple[int, int]) -> Any:
    """The kernel, ready to be queued on the current stream."""
    configure = _configure if simulated() else _configure_once
    return configure(dispatcher, grid, block, streams.current())


def _configure(dispatcher: Any, grid: tuple[int, int], block: tuple[int, int], stream: Any) -> Any:
    """Without Numba's advice against small grids: small arrays make them."""
    with _configuring, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dispatcher[grid, block, stream]


_configure_once = functools.lru_cache(maxsize=1024)(_configure)
_configuring = threading.Lock()


@cuda.jit(device=True)
def thread() -> Any:
    """The thread's pixel and its first plane."""
    pixel, plane = cuda.grid(2)
    return int32(pixel), int32(plane)


@cuda.jit(device=True)
def next_plane(plane: Any) -> Any:
    """The thread's plane after ``plane``."""
    return int32(plane + cuda.gridDim.y * cuda.blockDim.y)


class Split(NamedTuple):
    """A sum in ``parts`` parts of at most ``terms`` terms each."""

    parts: int
    terms: int


def split(sums: Any, terms: int) -> tuple[Split, Any]:
    """Split sums of ``terms`` terms each into parts enough to fill a GPU.

    Returns the split, and an array to hold one addend per part and sum, for :func:`add_up`. How
    many there are depends on the sizes only, so the same call gives the same bits on every GPU.
    """
    _check_limit("terms of a sum", terms)
    parts = min(max(FULL // max(sums.size, 1), 1), max(terms, 1))
    length = max(-(-terms // parts), 1)
    parts = max(-(-terms // length), 1)
    addends = sums if parts == 1 else empty((parts, sums.size), sums.dtype)
    return Split(parts, length), addends


def add_up(addends: Any, sums: Any, split: Split) -> None:
    """Add the parts up, in their order."""
    if split.parts > 1:
        launch(_add_up, 1, sums.size, addends, sums, split)


@kernel
def _add_up(addends: Reals, sums: Reals, split: Split) -> None:
    i, _ = thread()
    if i < sums.size:
        total = sums.dtype.type(0)
        for part in range(split.parts):
            total += addends[part * sums.size + i]
        sums[i] = total


@rule
def quotient(a, b):
    """``a // b`` of two numbers that are not negative, in 32 bits."""
    return int32(uint32(a) // uint32(b))


@rule
def first_window(at, k, s, d):
    """The first window that reaches a pixel: ``at`` is its row, or column, in the padded image."""
    rest = at - (k - 1) * d
    return quotient(rest + s - 1, s) if rest > 0 else int32(0)


@rule
def end_window(at, s, count):
    """One past the last of ``count`` windows that starts at or before ``at``."""
    return min(int32(quotient(at, s) + 1), count)


def given(array: Any, dtype: Any) -> Any:
    """The array, or an empty one in its place: kernels ask for its size."""
    return empty((0,), dtype) if array is None else array


def fill(array: Any, value: int) -> None:
    """Set every element of an array of int32."""
    launch(_fill, 1, array.size, array, value)


@kernel
def _fill(array: Ints, value: int) -> None:
    i, _ = thread()
    if i < array.size:
        array[i] = value


def dense(strided: Any, dtype: Any = None) -> Any:
    """A C-contiguous copy of a device array in any layout, as ``dtype`` if that is given."""
    copy = empty(strided.shape, dtype or strided.dtype)
    if copy.size:
        blocks = -(-copy.size // THREADS)
        _configured(_dense, (blocks, 1), (THREADS, 1))(strided, copy.reshape(copy.size))
    return copy


@cuda.jit
def _dense(strided: Any, copy: Any) -> None:
    i = cuda.grid(1)
    if i < copy.size:
        copy[i] = strided.flat[i]


def _check_limit(what: str, number: int) -> None:
    if abs(number) > LIMIT:
        raise DeviceError(f"{what}: {number}, CUDA kernels count up to {LIMIT}")


def _argument(name: str, hint: Any, value: Any, real: np.dtype[Any]) -> Any:
    if hint in NUMBERS:
        return _number(name, value, hint, real)
    if (element := _element(hint, real)) is None:
        numbers = zip(value._fields, value, _fields(hint), strict=True)
        return hint(*(_number(f"{name}.{n}", v, field, real) for n, v, field in numbers))
    if value.dtype != element:
        raise TypeError(f"{name} has dtype {value.dtype}, its annotation says {element}")
    return value.reshape(value.size)


def _number(name: str, value: Any, kind: type, real: np.dtype[Any]) -> Any:
    if kind is bool:
        return bool(value)
    if kind is float:
        with np.errstate(over="ignore"):  # of what float32 does not hold: infinity, as on the CPU
            return real.type(value)
    if kind is Long or kind is Double:
        return kind(value)
    _check_limit(name, value)
    return np.int32(value)


def _numba_type(hint: Any, real: Any) -> Any:
    narrow = {bool: types.boolean, int: types.int32, float: _scalar(real)}
    narrow |= {Long: types.int64, Double: types.float64}
    if hint in NUMBERS:
        return narrow[hint]
    if (element := _element(hint, real)) is not None:
        return types.Array(_scalar(element), 1, "C")
    fields = [narrow[field] for field in _fields(hint)]
    if len(set(fields)) == 1:
        return types.NamedUniTuple(fields[0], len(fields), hint)
    return types.NamedTuple(fields, hint)


def _element(hint: Any, real: Any) -> np.dtype[Any] | None:
    """The dtype of an array argument; None for a tuple of numbers."""
    if typing.get_origin(hint) is not Annotated:
        return None
    element = hint.__metadata__[0]
    return np.dtype(real if element == "real" else str(element))


def _parts(hint: Any) -> tuple[Any, ...]:
    """An argument's type, or those of the numbers in a tuple."""
    single = hint in NUMBERS or typing.get_origin(hint) is Annotated
    return (hint,) if single else _fields(hint)


def _scalar(dtype: Any) -> Any:
    return getattr(types, np.dtype(dtype).name)


@functools.cache
def _fields(tuple_class: type) -> tuple[Any, ...]:
    return tuple(typing.get_type_hints(tuple_class).values())
