"""Whose arrays a call on the CPU takes, and what it says of those it does not."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numseg as ns
from numseg.cuda import runtime
from numseg.nets import unet
from numseg.ops.registry import OPERATORS
from numseg.testing import cases

try:
    import ml_dtypes
except ImportError:  # then bfloat16 is not tried
    ml_dtypes = None


class Foreign:
    """An array of another library: DLPack and nothing else."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)


class Refusing:
    """PyTorch's way to refuse, in two lines."""

    shape, dtype = (3,), np.dtype(np.float32)

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.\nUse detach().")


class Hostile(np.ndarray):
    """A subclass that refuses to be computed with."""

    def __array_ufunc__(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("no ufunc is for me")

    def __array_function__(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("nor a function")


class Described:
    """The array interface and nothing else."""

    def __init__(self, array: Any) -> None:
        self.array, self.__array_interface__ = array, array.__array_interface__


class Converted:
    """An array by conversion, which NumPy 2 may be forbidden to do by copying."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        if copy is False:
            raise ValueError("cannot be had without a copy")
        return self.array.copy()


def _mapped(array: Any) -> Any:
    """A file, open for reading."""
    with tempfile.TemporaryFile() as file:
        file.write(array.tobytes() or b" ")
        file.flush()
        if not array.size:
            return _read_only(array)
        return np.memmap(file, array.dtype, "r", shape=array.shape)


def _read_only(array: Any) -> Any:
    array = array.copy()
    array.setflags(write=False)
    return array


KINDS: dict[str, Callable[[Any], Any]] = {
    "DLPack": Foreign,
    "array interface": Described,
    "__array__": Converted,
    "subclass": lambda array: array.view(Hostile),
    "recarray": lambda array: array.view(np.recarray),
    "memmap": _mapped,
    "read-only": _read_only,
    "strides": lambda array: np.repeat(array, 2, -1)[..., ::2] if array.ndim else array,
    "byte order": lambda array: array.astype(array.dtype.newbyteorder()),
}


def _each(entry: Any, make: Callable[[Any], Any]) -> Any:
    if isinstance(entry, (list, tuple)):
        return [make(part) for part in entry]
    return None if entry is None else make(entry)


def _all(op: Any, arguments: dict[str, Any], make: Callable[[Any], Any]) -> list[Any]:
    """What every face of the contract gives for arrays of some kind."""
    arrays = {n: _each(a, make) for n, a in arguments.items() if n in op.inputs}
    given = {**arguments, **arrays}
    y, saved = op.forward(**given)
    first = y[0] if isinstance(y, tuple) else y
    plain = op(**given)
    found = [*(y if isinstance(y, tuple) else [y]), *(plain if isinstance(y, tuple) else [plain])]
    if op.differentiable:
        grad_y = make(np.ones(first.shape, first.dtype))
        found += [grad for grad in op.backward(saved, grad_y) if grad is not None]
        name = op.differentiable[0]
        found.append(op.jvp(**given, tangents={name: arrays[name]})[1])
    assert op.plan(**given).outputs == saved.plan.outputs
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", OPERATORS)
def test_whatever_comes_in_plain_arrays_come_out(name: str, kind: str) -> None:
    """New and writable, but for views, with the same bits; all of the contract."""
    op = OPERATORS[name]
    if kind == "DLPack" and np.lib.NumpyVersion(np.__version__) < "2.1.0":
        pytest.skip("this NumPy exports no read-only arrays")
    arguments = cases.drawn(op, 1, full=True)[0].arguments("integers", np.float32)
    wanted, found = (_all(op, arguments, make) for make in (np.array, KINDS[kind]))
    for one, other in zip(wanted, found, strict=True):
        assert type(other) is np.ndarray
        assert other.flags.writeable or op.facts.view
        assert other.dtype.isnative
        assert (one.dtype, one.tobytes()) == (other.dtype, other.tobytes())
        if other.dtype.kind != "b":
            assert np.from_dlpack(other).tobytes() == one.tobytes()


@pytest.mark.parametrize("name", OPERATORS)
def test_small_floats_are_refused_with_what_to_do(name: str) -> None:
    op = OPERATORS[name]
    arguments = cases.drawn(op, 1, full=True)[0].arguments("integers", np.float32)
    first = op.inputs[0]
    part = f"{first}[0]" if first in op.parameters.sequences else first
    for dtype in (np.float16, getattr(ml_dtypes, "bfloat16", np.float16)):
        given = {**arguments, first: _each(arguments[first], lambda a, t=dtype: a.astype(t))}
        with pytest.raises(ns.ArgumentTypeError) as caught:
            op(**given)
        assert str(caught.value) == (
            f"{name}: {part} has dtype {np.dtype(dtype)}, expected float32 or float64: "
            f"convert it, {part}.astype(np.float32)"
        )


def test_other_dtypes_say_what_to_do_too() -> None:
    x = np.ones((1, 2, 3))
    with pytest.raises(ns.ArgumentTypeError, match=r": convert it, x.astype\(np.float64\)$"):
        ns.relu(x.astype(np.longdouble))
    with pytest.raises(ns.ArgumentTypeError, match=r"masked array; fill it first$"):
        ns.relu(np.ma.masked_array(x))
    with pytest.raises(ns.ArgumentTypeError, match=r"has no view in NumPy: .*\(bfloat16: convert"):
        ns.relu(SmallAndForeign())


class SmallAndForeign:
    """PyTorch's way with a bfloat16."""

    shape, dtype = (3,), "bfloat16"

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("Got unsupported ScalarType BFloat16")


class UnknownDevice:
    """PyTorch's way with a tensor without values."""

    def __dlpack_device__(self) -> Any:
        raise ValueError("Unknown device type meta for Dlpack")

    def __dlpack__(self, **_: Any) -> Any:
        raise ValueError("no values")


def test_a_device_that_dlpack_does_not_know() -> None:
    with pytest.raises(ns.ArgumentTypeError, match=r"^relu: x has no view in NumPy: "):
        ns.relu(UnknownDevice())


class Typed(Foreign):
    """Whose dtype is none of NumPy's."""

    dtype = "float32, of another library"

    @property
    def shape(self) -> Any:
        return self.array.shape


@pytest.mark.parametrize("kind", [Foreign, Typed, KINDS["subclass"]])
def test_graphs_take_them(kind: Any) -> None:
    net = unet(in_channels=1, classes=2, width=2, depth=1, padding="same")
    params, x = net.init(seed=0), np.ones((1, 1, 8, 8), np.float32)
    theirs = {name: kind(array) for name, array in params.items()}
    wanted = net.run(params, x)
    assert net.run(params, kind(x)).tobytes() == wanted.tobytes()
    y, tape = net.forward(params, kind(x))
    assert y.tobytes() == wanted.tobytes()
    grads = net.backward(tape, kind(np.ones_like(y)))
    assert all(type(grad) is np.ndarray for grad in grads.values())
    assert str(net.summary(kind(x))) == str(net.summary(x))
    assert net.run(theirs, x).tobytes() == wanted.tobytes()


def test_takes_dlpack() -> None:
    y = ns.relu(Foreign(np.array([-1.0, 2.0])))
    assert y.tolist() == [0, 2]


def test_says_why_an_array_cannot_be_read() -> None:
    with pytest.raises(ns.ArgumentTypeError) as caught:
        ns.relu(Refusing())
    assert str(caught.value) == (
        "relu: x has no view in NumPy: Can't call numpy() on Tensor that requires grad. "
        "Use detach()."
    )


def test_says_what_there_is_of_cuda() -> None:
    """With or without numba-cuda, a driver, a GPU: one line."""
    line = runtime.describe_cuda()
    assert line
    assert "\n" not in line
    assert isinstance(runtime.cuda_available(), bool)
