"""Mistakes in giving: right numbers moved, cut or turned, and divisions that were forgotten."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from numseg.conventions import Arguments
from numseg.testing.prediction import Mistake, Prediction
from numseg.testing.trial import Trial
from numseg.typing import Array


def mistakes(trial: Trial) -> Iterator[Mistake]:
    """Of what is done to the right results, or was not."""
    for words, transform in TRANSFORMS.items():
        yield Mistake(words, functools.partial(_transformed, transform))
    unnormalised = "a missing normalisation: not divided by the sum"
    yield Mistake(unnormalised, _exponentials)
    yield Mistake(f"{unnormalised} of the exponentials", _naive_exponentials)
    if "eps" in trial.op.parameters.names:
        for words, again in NORMALISATIONS.items():
            yield Mistake(words, functools.partial(_normalised, again))
    for words, count in COUNTS.items():
        for verb, power in (("not divided by", 1), ("divided once too often by", -1)):
            yield Mistake(f"{verb} {words}", functools.partial(_scaled, count, power))


# -- results given wrongly ------------------------------------------------------------------------

Known = tuple[Array, Array]
"""A result, and which of its numbers are predicted."""


def _transformed(
    transform: Callable[[Array], Array | Known | None],
    trial: Trial, arguments: Arguments, convention: Arguments,
) -> Prediction | None:  # fmt: skip
    ours = trial.ours(arguments, convention)
    if ours is None or ours.results[0].dtype.kind != "f":
        return None
    with np.errstate(all="ignore"):
        made = transform(ours.results[0])
    known = None
    if isinstance(made, tuple):
        made, known = made
    if made is None:
        return None
    return Prediction([made, *ours.results[1:]], {}, known)


def _plane(turn: Callable[[Array], Any], axes: int = 2) -> Callable[[Array], Any]:
    """Of results with so many axes."""
    return lambda y: turn(y) if y.ndim >= axes else None


def _as_nhwc(y: Array) -> Array:
    return np.moveaxis(y, 1, -1)


def _shifted(rows: int, columns: int) -> Callable[[Array], Known | None]:
    """Moved, and who knows what came in at the border."""

    def moved(y: Array) -> Known | None:
        if y.ndim < 2:
            return None
        known = np.ones(y.shape, bool)
        for axis, by in ((-2, rows), (-1, columns)):
            if by:
                lost = [slice(None)] * y.ndim
                lost[axis] = slice(0, 1) if by > 0 else slice(-1, None)
                known[tuple(lost)] = False
        return np.roll(y, (rows, columns), (-2, -1)), known

    return moved


def _grown(rows: int, columns: int) -> Callable[[Array], Known | None]:
    """With a row or a column more, and who knows what is there."""

    def grown(y: Array) -> Known | None:
        if y.ndim < 2:
            return None
        wider = [(0, 0)] * (y.ndim - 2) + [(0, rows), (0, columns)]
        return np.pad(y, wider), np.pad(np.ones(y.shape, bool), wider)

    return grown


def _alone(axis: int) -> Callable[[Array], Array | None]:
    """Zeros beyond the first image, or the first channel."""

    def first(y: Array) -> Array | None:
        if y.ndim <= axis:
            return None
        place = np.arange(y.shape[axis]).reshape(-1, *[1] * (y.ndim - axis - 1))
        return np.where(place == 0, y, 0)

    return first


TRANSFORMS: dict[str, Callable[[Array], Array | Known | None]] = {
    "rows and columns of the result exchanged": _plane(lambda y: y.swapaxes(-1, -2)),
    "the result's rows in reverse order": _plane(lambda y: y[..., ::-1, :]),
    "the result's columns in reverse order": _plane(lambda y: y[..., ::-1]),
    "the result turned by 180 degrees": _plane(lambda y: y[..., ::-1, ::-1]),
    "the first two axes of the result exchanged": _plane(lambda y: y.swapaxes(0, 1)),
    "the result's channels last: NHWC where the definition has NCHW": _plane(_as_nhwc, 3),
    "the result's channels last in memory: NHWC, in the shape of NCHW": _plane(
        lambda y: np.ascontiguousarray(_as_nhwc(y)).reshape(y.shape), 3
    ),
    "the result's channels in reverse order": _plane(lambda y: y[:, ::-1], 3),
    "one row and one column too few at the end": _plane(lambda y: y[..., :-1, :-1]),
    "one row too few at the end": _plane(lambda y: y[..., :-1, :]),
    "one column too few at the end": _plane(lambda y: y[..., :-1]),
    "one row and one column too few at the beginning": _plane(lambda y: y[..., 1:, 1:]),
    "one row and one column too many": _grown(1, 1),
    "one row too many": _grown(1, 0),
    "one column too many": _grown(0, 1),
    "the result moved by one row and one column": _shifted(1, 1),
    "the result moved by one row and one column backwards": _shifted(-1, -1),
    "the result moved by one row": _shifted(1, 0),
    "the result moved by one column": _shifted(0, 1),
    "the result moved back by one row": _shifted(-1, 0),
    "the result moved back by one column": _shifted(0, -1),
    "the first image alone: the others are 0": _alone(0),
    "the first channel alone: the others are 0": _alone(1),
    "the result rounded down to whole numbers": np.floor,
    "the result cut to whole numbers, towards 0": np.trunc,
    "the result rounded to whole numbers": np.round,
    "nothing below 0: the result's negative numbers are 0": lambda y: np.maximum(y, 0),
    "the sign of every number": lambda y: -y,
    "the absolute value of every number": np.abs,
    "the result transposed": lambda y: y.T,
}
"""What may have been done to the right result."""


# -- counts that were forgotten -------------------------------------------------------------------

Count = Callable[[Arguments], float | None]


def _axis(*axes: int) -> Count:
    def count(arguments: Arguments) -> float | None:
        x = arguments.get("x")
        known = isinstance(x, np.ndarray) and x.ndim == 4
        return float(np.prod([x.shape[a] for a in axes])) if known and x is not None else None

    return count


def _window(arguments: Arguments) -> float | None:
    kernel = arguments.get("kernel_size")
    if kernel is None and isinstance(arguments.get("weight"), np.ndarray):
        kernel = arguments["weight"].shape[2:]
    if kernel is None:
        return None
    return float(np.prod([kernel] * 2 if isinstance(kernel, int) else kernel))


def _size(arguments: Arguments) -> float | None:
    x = arguments.get("x")
    return float(x.size) if isinstance(x, np.ndarray) else None


COUNTS: dict[str, Count] = {
    "the numbers of a window": _window,
    "the number of pixels": _axis(2, 3),
    "the number of images": _axis(0),
    "the number of channels": _axis(1),
    "the number of images and pixels": _axis(0, 2, 3),
    "the size of x": _size,
}


def _scaled(
    count: Count, power: int, trial: Trial, arguments: Arguments, convention: Arguments
) -> Prediction | None:
    factor = count(arguments)
    ours = trial.ours(arguments, convention)
    if not factor or ours is None or ours.results[0].dtype.kind != "f":
        return None
    return Prediction([ours.results[0] * factor**power, *ours.results[1:]], {})


# -- normalisation that was forgotten --------------------------------------------------------------


def _exponentials(trial: Trial, arguments: Arguments, convention: Arguments) -> Prediction | None:
    """Numbers that sum to 1, before they are divided by their sum; the largest is 1."""
    ours = trial.ours(arguments, convention)
    dim = (arguments | convention).get("dim")
    if ours is None or not isinstance(dim, int) or not ours.results[0].ndim:
        return None
    y = ours.results[0]
    if not y.size or not np.allclose(y.sum(dim), 1, atol=1e-5):
        return None
    return Prediction([y / y.max(dim, keepdims=True)], {})


def _naive_exponentials(
    trial: Trial, arguments: Arguments, convention: Arguments
) -> Prediction | None:
    made = _exponentials(trial, arguments, convention)
    return None if made is None else Prediction([np.exp(arguments["x"])], {})


def _normalised(
    again: Callable[[Array, Array, Array], Array],
    trial: Trial, arguments: Arguments, convention: Arguments,
) -> Prediction | None:  # fmt: skip
    """Other numbers in the place of ``z = (x - mean) / deviation``, made of x, z and deviation.

    The deviation is that of a plane of x, as z shows it; a plane of equal numbers shows none.
    """
    floats = {n: v for n, v in arguments.items() if getattr(v, "dtype", None) == np.float32}
    wide = {n: v.astype(np.float64) for n, v in floats.items()}
    bare = {n: None for n in ("weight", "bias") if n in arguments}
    plain = trial.ours(arguments | wide | bare, convention)
    x = arguments.get("x")
    if plain is None or not isinstance(x, np.ndarray) or x.ndim < 3 or not x.size:
        return None
    z = plain.results[0]
    if z.shape != x.shape:
        return None
    plane = tuple(range(2, x.ndim))
    spread = np.ptp(z, axis=plane, keepdims=True)
    deviation = np.ptp(x.astype(np.float64), axis=plane, keepdims=True) / spread
    known = np.broadcast_to(spread > 1e-3, x.shape)
    y = again(x.astype(np.float64), z, np.where(spread > 1e-3, deviation, 1))
    for name, apply in (("weight", np.multiply), ("bias", np.add)):
        if (array := arguments.get(name)) is not None:
            y = apply(y, array.astype(np.float64).reshape(-1, *[1] * len(plane)))
    results = [y, *plain.results[1:]]
    return Prediction([r.astype(x.dtype) for r in results], {}, known)


NORMALISATIONS: dict[str, Callable[[Array, Array, Array], Array]] = {
    "a missing normalisation: not divided by the standard deviation": lambda x, z, d: z * d,
    "a missing normalisation: the mean is not subtracted": lambda x, z, d: x / d,
    "divided by the variance instead of the standard deviation": lambda x, z, d: z / d,
    "a missing normalisation: x as it is": lambda x, z, d: x,
}
