"""Argument checks that operators share.

Each raises :class:`~numseg.errors.ArgumentError`, whose message names the argument and both values;
:class:`~numseg.operator.Operator` puts the operator's name in front.
"""

from __future__ import annotations

import math
import operator as _operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from numseg.errors import ArgumentError, ArgumentTypeError, shown
from numseg.typing import Array, ArrayLike

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def floats(**arrays: ArrayLike | None) -> np.dtype[Any]:
    """All arrays are float32, or all are float64; returns which."""
    given = [(name, array.dtype) for name, array in arrays.items() if array is not None]
    for name, dtype in given:
        if dtype not in FLOATS:
            hint = _float_of_another_size(name, dtype)
            raise ArgumentTypeError(f"{name} has dtype {dtype}, expected float32 or float64{hint}")
    first, common = given[0]
    for name, dtype in given[1:]:
        if dtype != common:
            raise ArgumentTypeError(f"{name} has dtype {dtype}, but {first} has {common}")
    return np.dtype(common)


def _float_of_another_size(name: str, dtype: np.dtype[Any]) -> str:
    """What to do about float16, bfloat16 (whose kind is not "f") and their like."""
    if "float" not in dtype.name:
        return ""
    return f": convert it, {name}.astype(np.{'float32' if dtype.itemsize < 4 else 'float64'})"


def integers(**arrays: ArrayLike | None) -> None:
    """All arrays have an integer dtype."""
    for name, array in arrays.items():
        if array is not None and np.dtype(array.dtype).kind not in "iu":
            of_another = "int" in str(array.dtype)  # int4 of ml_dtypes, whose kind is no integer's
            hint = f": convert it, {name}.astype(np.int64)" if of_another else ""
            raise ArgumentTypeError(
                f"{name} has dtype {array.dtype}, expected an integer dtype{hint}"
            )


def axes(name: str, array: ArrayLike, names: str) -> tuple[int, ...]:
    """The array has exactly the axes ``names`` (``"n c h w"``); returns their sizes."""
    expected = names.split()
    if len(array.shape) != len(expected):
        raise ArgumentError(
            f"{name} has shape {tuple(array.shape)}, "
            f"expected {len(expected)} axes ({', '.join(expected)})"
        )
    return tuple(array.shape)


def leading_axes(
    name: str, array: ArrayLike, names: str
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The array has the axes ``names`` and any number after them; returns the sizes of both."""
    expected = names.split()
    if len(array.shape) < len(expected):
        raise ArgumentError(
            f"{name} has shape {tuple(array.shape)}, "
            f"expected at least {len(expected)} axes ({', '.join(expected)}, ...)"
        )
    return tuple(array.shape[: len(expected)]), tuple(array.shape[len(expected) :])


def sequence(name: str, value: Any) -> Sequence[Any]:
    """A list or tuple of at least one array. (A NamedTuple, such as a Spec, is one thing.)"""
    if not isinstance(value, (list, tuple)) or hasattr(value, "_fields"):
        raise ArgumentTypeError(f"{name} must be a list or tuple of arrays, got {shown(value)}")
    if not value:
        raise ArgumentError(f"{name} must hold at least one array, got none")
    return value


def dim(value: Any, name: str, array: ArrayLike, argument: str = "dim") -> int:
    """An argument that is the number of an axis of the array, counted from the first."""
    number, count = integer(argument, value), len(array.shape)
    if not -count <= number < count:
        shape = tuple(array.shape)
        raise ArgumentError(f"{argument} is {number}, but {name} has {count} axes: {shape}")
    return number % count


def shape(name: str, array: ArrayLike, expected: Sequence[int], reason: str) -> None:
    """The array has exactly this shape."""
    if tuple(array.shape) != tuple(expected):
        raise ArgumentError(
            f"{name} has shape {tuple(array.shape)}, expected {tuple(expected)} ({reason})"
        )


def labels(name: str, array: Array, classes: int, ignored: Sequence[int | None] = ()) -> None:
    """Every number in the array is a class, or the one that is ignored.

    ``ignored`` is what the argument ``ignore_index`` is; empty where there is no such argument.
    """
    wrong = (array < 0) | (array >= classes)
    for label in ignored:
        if label is not None:  # NumPy would ask every number whether it is None, in Python
            wrong &= array != label
    if wrong.any():
        label = int(array[wrong][0])
        count = np.count_nonzero(array == label)
        rest = "".join(f" or ignore_index = {label}" for label in ignored)
        raise ArgumentError(
            f"{name} has the label {label} in {count} place{'s' if count > 1 else ''}, "
            f"expected labels in [0, {classes}){rest}"
        )


LARGEST = 2**31 - 1
"""The largest size, stride or padding: kernels multiply and add two of them in 64 bits."""


def integer(name: str, value: Any, minimum: int | None = None, maximum: int | None = None) -> int:
    """An integer (Python's or NumPy's, not a bool) in ``[minimum, maximum]``."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = _operator.index(value)
    except TypeError:
        raise ArgumentTypeError(f"{name} must be an integer, got {shown(value)}") from None
    if minimum is not None and number < minimum:
        raise ArgumentError(f"{name} must be at least {minimum}, got {shown(number)}")
    if maximum is not None and number > maximum:
        raise ArgumentError(f"{name} must be at most {maximum}, got {shown(number)}")
    return number


def real(
    name: str,
    value: Any,
    minimum: float = -math.inf,
    maximum: float = math.inf,
    finite: bool = True,
) -> float:
    """A real number in ``[minimum, maximum]``; without ``finite`` any number, NaN included."""
    try:
        if isinstance(value, (str, bytes, bool, np.bool_)):
            raise TypeError
        number = float(value)
    except OverflowError:
        raise ArgumentError(f"{name} is too large for a float: {shown(value)}") from None
    except (TypeError, ValueError):
        raise ArgumentTypeError(f"{name} must be a real number, got {shown(value)}") from None
    if finite and not (math.isfinite(number) and minimum <= number <= maximum):
        raise ArgumentError(f"{name} must lie in [{minimum}, {maximum}], got {shown(number)}")
    return number


def flag(name: str, value: Any) -> bool:
    """A bool."""
    if not isinstance(value, (bool, np.bool_)):
        raise ArgumentTypeError(f"{name} must be True or False, got {shown(value)}")
    return bool(value)


def choice(name: str, value: Any, choices: Sequence[str]) -> str:
    """One of a few words."""
    if not isinstance(value, str) or value not in choices:
        raise ArgumentError(
            f"{name} must be one of {', '.join(map(repr, choices))}, got {shown(value)}"
        )
    return value


def pair(name: str, value: Any, minimum: int) -> tuple[int, int]:
    """One integer for both axes, or two; each at least ``minimum``."""
    if is_sequence(value):
        if len(value) != 2:
            raise ArgumentError(f"{name} must be one integer or two, got {shown(value)}")
        rows, columns = (integer(f"{name}[{i}]", v, minimum, LARGEST) for i, v in enumerate(value))
        return rows, columns
    number = integer(name, value, minimum, LARGEST)
    return number, number


def positive_pair(name: str, value: Any) -> tuple[float, float]:
    """One positive real number for both axes, or two."""
    if is_sequence(value):
        if len(value) != 2:
            raise ArgumentError(f"{name} must be one number or two, got {shown(value)}")
        return positive(f"{name}[0]", value[0]), positive(f"{name}[1]", value[1])
    number = positive(name, value)
    return number, number


def positive(name: str, value: Any) -> float:
    """A positive real number."""
    number = real(name, value, finite=False)
    if not 0 < number <= LARGEST:  # nor is NaN
        raise ArgumentError(f"{name} must be positive and at most {LARGEST}, got {shown(number)}")
    return number


def is_sequence(value: Any) -> bool:
    """Several values, as against one, or a word."""
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return isinstance(value, Sequence) and not isinstance(value, str)
