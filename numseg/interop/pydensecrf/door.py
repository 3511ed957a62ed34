"""How arguments come in: as strictly as pydensecrf takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from numseg import checks
from numseg.errors import ArgumentError, ArgumentTypeError
from numseg.typing import Array


def array(name: str, value: Any, dtype: Any, axes: str) -> Array:
    """A C-contiguous array of just this dtype, with the axes named: pydensecrf converts nothing."""
    if value is None:
        raise ArgumentTypeError(f"{name} is None, expected an array ({axes.replace(' ', ', ')})")
    given = np.asarray(value)
    if given.dtype != dtype:
        wanted = np.dtype(dtype).name
        raise ArgumentTypeError(
            f"{name} has dtype {given.dtype}, expected {wanted}: {name}.astype(np.{wanted})"
        )
    checks.axes(name, given, axes)
    if not given.flags.c_contiguous:
        raise ArgumentError(
            f"{name} has strides {given.strides}, expected C-contiguous memory: "
            f"np.ascontiguousarray({name})"
        )
    return given


def whole(name: str, value: Any, minimum: int | None = None) -> int:
    """An integer; 5.0 is one too."""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        value = int(value)
    return checks.integer(name, value, minimum)


def widths(name: str, value: Any, count: int) -> Array:
    """One positive number for all axes, or one for each."""
    if not checks.is_sequence(value):
        value = (value,) * count
    if len(value) != count:
        raise ArgumentError(f"{name} has {len(value)} numbers, expected one or {count}")
    return np.array(
        [checks.positive(f"{name}[{i}]", width) for i, width in enumerate(value)], np.float32
    )


def each(name: str, values: Any, count: int, what: str) -> Sequence[float]:
    """At most ``count`` positive numbers."""
    if not checks.is_sequence(values):
        raise ArgumentTypeError(f"{name} must be a sequence of numbers, got {values!r}")
    if len(values) > count:
        raise ArgumentError(f"{name} has {len(values)} numbers, but there are {count} {what}")
    return [checks.positive(f"{name}[{i}]", value) for i, value in enumerate(values)]
