"""Numbers on the GPU: device arrays that the rules of derivatives compute with as with NumPy's.

A rule (:mod:`numseg.derivatives`) is a formula of operators, of signs, and of some of NumPy's
functions. NumPy leaves those to the arrays that they are given, if these have an answer
(``__array_ufunc__``, ``__array_function__``): here operators have, so that a rule stands once for
the CPU and for CUDA. What has no answer is refused; nothing goes to the host on the way.

Three things are otherwise than in NumPy:

- of float32 and float64 comes float32. Statistics are kept in float64 whatever the call's dtype,
  and would make all of its gradients float64;
- what is true is 1, and what is not is 0, in the dtype of what was compared;
- an index makes a copy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from numseg.broadcasting import Geometry, broadcast_shape
from numseg.cuda import choices
from numseg.cuda.arrays import Cuda
from numseg.cuda.launch import Kernel, dense
from numseg.errors import DeviceError
from numseg.ops.abs import abs as absolute
from numseg.ops.add import add
from numseg.ops.concat import concat
from numseg.ops.divide import divide
from numseg.ops.exp import exp
from numseg.ops.log import log
from numseg.ops.maximum import maximum
from numseg.ops.minimum import minimum
from numseg.ops.multiply import multiply
from numseg.ops.pow import pow as power
from numseg.ops.sqrt import sqrt
from numseg.ops.subtract import subtract
from numseg.ops.sum import sum as total
from numseg.plan import Spec, each
from numseg.typing import Shape


class CudaNumbers(Cuda):
    """The GPU of a call that is given numbers: it gives numbers back."""

    @staticmethod
    def view(name: str, value: Any) -> Any:
        return Cuda.view(name, value.array if isinstance(value, Numbers) else value)

    @staticmethod
    def given(entry: Any) -> Any:
        return each(entry, Numbers)


class Numbers(NDArrayOperatorsMixin):
    """A C-contiguous device array that can be computed with. It never changes: ``a += b`` gives a
    new one its name."""

    __cuda_ndarray__ = True
    numseg_device = CudaNumbers

    def __init__(self, array: Any) -> None:
        self.array = array

    @property
    def shape(self) -> Shape:
        return tuple(self.array.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.array.dtype)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def astype(self, dtype: Any) -> Numbers:
        return self if self.dtype == dtype else Numbers(dense(self.array, np.dtype(dtype)))

    def reshape(self, *shape: Any) -> Numbers:
        sizes = list(shape[0] if len(shape) == 1 and isinstance(shape[0], Sequence) else shape)
        if -1 in sizes:
            sizes[sizes.index(-1)] = self.size // max(-math.prod(sizes), 1)
        return Numbers(_shaped(self.array, tuple(sizes)))

    def sum(self, axis: Any = None, dtype: Any = None, *, keepdims: bool = False) -> Numbers:
        """In the dtype of the numbers, whatever is asked: no sum is wider than its terms."""
        return self if axis == () else Numbers(total(self.array, axis, keepdims))

    def __getitem__(self, index: Any) -> Numbers:
        places, shape = _places(index, self.shape)
        if 0 in shape:
            return Numbers(Cuda.empty(shape, self.dtype))
        return Numbers(_shaped(dense(self.array[places]), shape))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **how: Any) -> Any:
        how = {name: value for name, value in how.items() if name not in ("out", "dtype")}
        answer = UFUNCS.get(ufunc)
        if answer is None or method != "__call__" or how:
            raise _refusal()
        return answer(*inputs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        answer = FUNCTIONS.get(function)
        if answer is None:
            raise _refusal()
        return answer(*args, **kwargs)

    def _refused(self, *_: Any, **__: Any) -> Any:
        raise _refusal()

    __array__ = __setitem__ = __iter__ = __bool__ = __int__ = __float__ = __index__ = _refused
    __hash__ = None  # type: ignore[assignment]


def rounded(result: Any, spec: Any) -> Any:
    """As :func:`numseg.faces.rounded`: the result as fresh device arrays of the dtypes of
    ``spec``."""
    if spec is None:
        return None
    if not isinstance(spec, Spec):
        results = result if isinstance(result, (list, tuple)) else [result] * len(spec)
        return tuple(rounded(*pair) for pair in zip(results, spec, strict=True))
    if not isinstance(result, Numbers):
        result = _constant(result, spec.dtype)
    if result.size != spec.size:
        result = _spread(result, spec.shape)
    return _shaped(dense(result.array, spec.dtype), spec.shape)


def _refusal() -> DeviceError:
    return DeviceError("runs on the CPU: copy the arrays (copy_to_host) first")


def _shaped(array: Any, shape: Shape) -> Any:
    return array.reshape(shape) if math.prod(shape) else Cuda.empty(shape, array.dtype)


def _places(index: Any, shape: Shape) -> tuple[tuple[slice, ...], Shape]:
    """An index as slices along all axes, and the shape of what it leaves."""
    entries = list(index) if isinstance(index, tuple) else [index]
    if not any(entry is Ellipsis for entry in entries):
        entries.append(Ellipsis)
    rest = next(i for i, entry in enumerate(entries) if entry is Ellipsis)
    named = sum(entry is not None for entry in entries) - 1
    entries[rest : rest + 1] = [slice(None)] * (len(shape) - named)
    sizes, places, left = iter(shape), [], []
    for entry in entries:
        if entry is None:
            left.append(1)
        elif isinstance(entry, slice):
            places.append(slice(*entry.indices(size := next(sizes))))
            left.append(len(range(size)[entry]))
        elif isinstance(entry, int):
            at = range(next(sizes))[entry]
            places.append(slice(at, at + 1))
        else:
            raise _refusal()
    return tuple(places), tuple(left)


# -- what answers --------------------------------------------------------------------------------


def _narrowest(values: Sequence[Any]) -> np.dtype[Any]:
    """The dtype to compute in."""
    dtypes = [value.dtype for value in values if isinstance(value, Numbers)]
    if any(dtype.kind != "f" for dtype in dtypes):
        raise _refusal()
    return min(dtypes, key=lambda dtype: dtype.itemsize)


def _constant(value: Any, dtype: Any) -> Numbers:
    """Numbers of the host: a parameter, or what follows from the shapes."""
    return Numbers(Cuda.from_host(np.asarray(value, dtype)))


def _alike(*values: Any) -> list[Any]:
    """Device arrays of one dtype."""
    dtype = _narrowest(values)
    return [
        (value.astype(dtype) if isinstance(value, Numbers) else _constant(value, dtype)).array
        for value in values
    ]


def _by(op: Any) -> Callable[..., Numbers]:
    """An operator of one array, or of two, as an answer."""
    return lambda *values: Numbers(op(*_alike(*values)))


def _chosen(kernel: Kernel) -> Callable[[Any, Any], Numbers]:
    """A formula of :mod:`numseg.cuda.choices` as an answer."""

    def answer(a: Any, b: Any) -> Numbers:
        x, other = _alike(a, b)
        shape = broadcast_shape("a", tuple(x.shape), "b", tuple(other.shape))
        y = Cuda.empty(shape, x.dtype)
        choices.fill(kernel, x, other, y, Geometry(tuple(x.shape), tuple(other.shape)))
        return Numbers(y)

    return answer


_greater, _picked = _chosen(choices.greater), _chosen(choices.pick)


def _difference(a: Any, b: Any) -> Numbers:
    """Of float32 and a float64 that is near, as a mean is: its last digits count."""
    if isinstance(b, Numbers) and b.dtype.itemsize > _narrowest([a, b]).itemsize:
        high = b.astype(np.float32)
        low = (b - high.astype(b.dtype)).astype(np.float32)
        return (a - high) - low
    return Numbers(subtract(*_alike(a, b)))


def _power(x: Any, other: Any) -> Numbers:
    if isinstance(other, (int, float)) and other in WHOLE:
        return WHOLE[other](x)
    return Numbers(power(*_alike(x, other)))


WHOLE: dict[float, Callable[[Numbers], Numbers]] = {
    0: lambda x: _spread(_constant(1, x.dtype), x.shape),
    1: lambda x: x,
    2: lambda x: x * x,
    3: lambda x: x * x * x,
    -1: lambda x: 1 / x,
}
"""Powers that take no logarithm."""

UFUNCS: dict[Any, Callable[..., Any]] = {
    np.add: _by(add),
    np.subtract: _difference,
    np.multiply: _by(multiply),
    np.divide: _by(divide),
    np.negative: lambda x: x * -1,
    np.power: _power,
    np.absolute: _by(absolute),
    np.exp: _by(exp),
    np.log: _by(log),
    np.sqrt: _by(sqrt),
    np.maximum: _by(maximum),
    np.minimum: _by(minimum),
    np.floor: lambda x: _chosen(choices.floor)(x, x),
    np.sign: lambda x: _greater(x, 0) - _greater(0, x),
    np.isnan: lambda x: _chosen(choices.not_equal)(x, x),
    np.greater: _greater,
    np.less: lambda a, b: _greater(b, a),
    np.greater_equal: _chosen(choices.greater_equal),
    np.less_equal: lambda a, b: UFUNCS[np.greater_equal](b, a),
    np.equal: _chosen(choices.equal),
    np.not_equal: _chosen(choices.not_equal),
    np.bitwise_and: _by(multiply),
    np.bitwise_or: _by(maximum),
}


def _where(true: Any, a: Any, b: Any) -> Numbers:
    true, yes, no = map(Numbers, _alike(true, a, b))
    picked = _picked(true, yes)
    return picked if isinstance(b, (int, float)) and b == 0 else picked + _picked(1 - true, no)


def _spread(x: Any, shape: Shape) -> Numbers:
    """Repeated along axes of this shape."""
    if x.shape == tuple(shape):
        return x
    y = Cuda.empty(tuple(shape), x.dtype)
    choices.fill(choices.first, x.array, y, y, Geometry(x.shape, tuple(shape)))
    return Numbers(y)


def _full_like(value: float) -> Callable[..., Numbers]:
    def answer(like: Any, dtype: Any = None, *, shape: Any = None) -> Numbers:
        sizes = like.shape if shape is None else shape
        return _spread(_constant(value, dtype or like.dtype), sizes)

    return answer


def _concatenated(arrays: Sequence[Any], axis: int = 0) -> Numbers:
    return Numbers(concat(_alike(*arrays), axis))


def _stacked(arrays: Sequence[Any], axis: int = 0) -> Numbers:
    """Along a new axis."""
    shape = arrays[0].shape
    place = axis if axis >= 0 else len(shape) + 1 + axis
    whole = (*shape[:place], 1, *shape[place:])
    return _concatenated([array.reshape(whole) for array in arrays], place)


FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.where: _where,
    np.sum: lambda x, axis=None, **how: x.sum(axis, **how),
    np.clip: lambda x, low, high: np.minimum(np.maximum(x, low), high),
    np.broadcast_to: _spread,
    np.zeros_like: _full_like(0),
    np.ones_like: _full_like(1),
    np.concatenate: _concatenated,
    np.stack: _stacked,
}
