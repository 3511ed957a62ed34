"""Mistakes in reading: arguments taken for others, memory in another order."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from numseg.conventions import Arguments, Probe
from numseg.testing import conventions
from numseg.testing.prediction import Change, Mistake, Prediction
from numseg.testing.trial import Trial
from numseg.typing import Array

ONE = np.array([0, 0, 1, 1])
"""A pixel, at the end of a box."""


def mistakes(trial: Trial) -> Iterator[Mistake]:
    """Of an argument that is taken for another, of memory that is read in another order."""
    for words, change in _changes(trial):
        yield Mistake(words, functools.partial(_changed, change))
    for words, read in LAYOUTS.items():
        yield Mistake(words, functools.partial(_reread, read))


# -- arguments read wrongly -----------------------------------------------------------------------


def _changed(change: Change, trial: Trial, arguments: Arguments, convention: Arguments) -> Any:
    """What the definition gives for other arguments."""
    try:
        changed = change(arguments | convention)
    except (KeyError, ValueError, IndexError):
        return None
    if changed is None or not trial.defined(changed):
        return None
    made = trial.ours(changed, {})
    return None if made is None else Prediction(made.results, {})


def _changes(trial: Trial) -> Iterator[tuple[str, Change]]:
    op = trial.op
    yield from conventions.probes(op).items()
    yield from _ignored(trial)
    pairs = _pairs(trial)
    for name in trial.peer.takes:
        if name in op.inputs:
            if name != "boxes" or "spatial_scale" in op.parameters.names:  # in pixels
                yield from ARRAYS.get(name, {}).items()
            if op.parameters.defaults.get(name, 0) is None:
                yield f"it ignores {name}", functools.partial(_with, name, None)
        elif name in pairs:
            yield f"rows and columns of {name} exchanged", functools.partial(_exchanged, name)
            if op.parameters.defaults.get(name, 0) is None:
                yield f"{name} taken for 1 where none is given", functools.partial(_filled, name)
            for more, words in ((1, "more"), (-1, "less")):
                yield f"{name} taken as one {words}", functools.partial(_more, name, more)
        if name == "padding":
            yield from PADDING.items()
        if name == "dim" and name not in conventions.choices(op):
            for dim in (0, 1, 2, 3, -1, -2):
                yield f"along dim={dim}, whatever dim it gets", functools.partial(_with, name, dim)
        if name == "eps":
            yield "eps taken for 0", functools.partial(_with, name, 0.0)
        if "scale" in name:
            yield f"divided by {name} instead of multiplied", functools.partial(_inverse, name)
    if "weight" in trial.peer.takes and "weight" in op.linear:
        yield from WEIGHT.items()


def _ignored(trial: Trial) -> Iterator[tuple[str, Change]]:
    """An argument that is taken, and not used: any of its values, or its default."""
    op, choices = trial.op, conventions.choices(trial.op)
    for name, default in op.parameters.defaults.items():
        if name not in trial.peer.takes or name in trial.told or name in op.inputs:
            continue
        if name in choices:
            for value in choices[name]:
                words = f"it computes what {name}={value!r} gives, whatever {name} it gets"
                yield words, functools.partial(_with, name, value)
        else:
            words = f"it ignores {name}: computes what {name}={default!r} gives"
            yield words, functools.partial(_with, name, default)
        if default is None and str(op.__signature__.parameters[name].annotation).startswith("int"):
            yield f"it computes what {name}=1 gives", functools.partial(_with, name, 1)


def _with(name: str, value: Any, arguments: Arguments) -> Arguments:
    return arguments | {name: value}


def _pairs(trial: Trial) -> list[str]:
    """Parameters with a number for the rows and one for the columns, or two for each."""
    op = trial.op
    seen = [
        (n, a.get(n)) for _, a, _ in trial.calls for n in trial.peer.takes if n not in op.inputs
    ]
    return list({n: 0 for n, v in seen if isinstance(v, (list, tuple)) and len(v) in (2, 4)})


def _filled(name: str, arguments: Arguments) -> Arguments:
    return arguments if arguments[name] is not None else arguments | {name: 1}


def _exchanged(name: str, arguments: Arguments) -> Arguments:
    value = arguments[name]
    if isinstance(value, (list, tuple)) and len(value) in (2, 4):
        half = len(value) // 2
        value = (*value[half:], *value[:half])
    return arguments | {name: value}


def _more(name: str, more: int, arguments: Arguments) -> Arguments:
    value = arguments[name]
    if isinstance(value, (list, tuple)):
        return arguments | {name: tuple(p + more if type(p) is int else p for p in value)}
    return arguments | {name: value + more} if type(value) is int else arguments


def _inverse(name: str, arguments: Arguments) -> Arguments | None:
    value = arguments[name]
    if isinstance(value, (list, tuple)):
        return arguments | {name: tuple(1 / part for part in value)} if all(value) else None
    return arguments | {name: 1 / value} if value else arguments


def _array(name: str, change: Callable[[Array], Array]) -> Probe:
    def changed(arguments: Arguments) -> Arguments:
        array = arguments[name]
        return arguments if array is None else arguments | {name: change(array).astype(array.dtype)}

    return changed


def _turned(name: str, change: Callable[[Array], Array]) -> Probe:
    """The same for a kernel or an image: two axes at least."""

    def changed(arguments: Arguments) -> Arguments:
        array = arguments[name]
        return arguments | {name: change(array)} if array.ndim > 2 else arguments

    return changed


WEIGHT: dict[str, Probe] = {
    "the kernel turned by 180 degrees: convolution where the definition has correlation": _turned(
        "weight", lambda w: w[..., ::-1, ::-1]
    ),
    "rows and columns of the kernel exchanged": _turned("weight", lambda w: w.swapaxes(-1, -2)),
    "the kernel upside down": _turned("weight", lambda w: w[..., ::-1, :]),
    "the kernel mirrored": _turned("weight", lambda w: w[..., ::-1]),
    "the kernel's filters and channels exchanged": _turned("weight", lambda w: w.swapaxes(0, 1)),
}


def _sides(change: Callable[[int, int, int, int], tuple[int, ...]]) -> Probe:
    """Padding as top, bottom, left and right."""

    def changed(arguments: Arguments) -> Arguments:
        value = arguments["padding"]
        if isinstance(value, str):
            return arguments
        sides = (value,) * 4 if isinstance(value, int) else tuple(value)
        sides = sides if len(sides) == 4 else (sides[0], sides[0], sides[1], sides[1])
        return arguments | {"padding": change(*sides)}

    return changed


def _other_same(arguments: Arguments) -> Arguments:
    other = {"same": "same_lower", "same_lower": "same"}
    value = arguments["padding"]
    return arguments | {"padding": other.get(value, value) if isinstance(value, str) else value}


def _padded_by_zeros(arguments: Arguments) -> Arguments:
    value = arguments["padding"]
    if isinstance(value, str):
        return arguments
    rows, columns = (value,) * 2 if isinstance(value, int) else tuple(value)[:2]
    sides = (rows, rows), (columns, columns)
    if isinstance(value, (list, tuple)) and len(value) == 4:
        sides = tuple(value[:2]), tuple(value[2:])
    if min(map(min, sides)) < 0:
        return arguments
    x = np.pad(arguments["x"], ((0, 0), (0, 0), *sides))
    return arguments | {"x": x, "padding": 0}


PADDING: dict[str, Probe] = {
    "padding of zeros that count like any other number": _padded_by_zeros,
    "padding at the wrong side: top and left taken for bottom and right": _sides(
        lambda t, b, l, r: (b, t, r, l)
    ),
    "all of the padding at the bottom and the right": _sides(
        lambda t, b, l, r: (0, t + b, 0, l + r)
    ),
    "all of the padding at the top and the left": _sides(lambda t, b, l, r: (t + b, 0, l + r, 0)),
    "padding's four sides read as top, left, bottom, right": _sides(lambda *s: (*s[::2], *s[1::2])),
    "padding at one side alone: the top and the left": _sides(lambda t, b, l, r: (t, 0, l, 0)),
    "padding at one side alone: the bottom and the right": _sides(lambda t, b, l, r: (0, b, 0, r)),
    'the odd pixel of padding "same" at the wrong side': _other_same,
}


def _pairs_exchanged(offset: Array) -> Array:
    """Channels y, x, y, x, ... as x, y, x, y, ..."""
    n, c, h, w = offset.shape
    return offset.reshape(n, c // 2, 2, h, w)[:, :, ::-1].reshape(offset.shape)


def _boxes(change: Callable[[Array], Array]) -> Probe:
    """Corners in pixels of the feature map, as (..., x1, y1, x2, y2)."""

    def changed(arguments: Arguments) -> Arguments:
        scale = arguments.get("spatial_scale", 1.0) or 1.0
        boxes = arguments["boxes"].astype(np.float64)
        boxes[:, -4:] = change(boxes[:, -4:] * scale) / scale
        return arguments | {"boxes": boxes.astype(arguments["boxes"].dtype)}

    return changed


def _ordered(boxes: Array) -> Array:
    return np.concatenate([np.minimum(boxes[:, :2], boxes[:, 2:]),
                           np.maximum(boxes[:, :2], boxes[:, 2:])], 1)  # fmt: skip


ARRAYS: dict[str, dict[str, Probe]] = {
    "x": {
        "the channels of x in reverse order": _array(
            "x", lambda x: x[:, ::-1] if x.ndim > 1 else x
        ),
        "rows and columns of x exchanged": _turned("x", lambda x: x.swapaxes(-1, -2)),
        "x upside down": _turned("x", lambda x: x[..., ::-1, :]),
    },
    "offset": {
        "x and y of the offsets exchanged": _array("offset", _pairs_exchanged),
        "offsets of the opposite sign": _array("offset", lambda o: -o),
    },
    "bias": {"the bias added twice": _array("bias", lambda b: 2 * b)},
    "target": {
        "labels taken to begin at 1": _array("target", lambda t: t - 1),
        "labels taken as one more": _array("target", lambda t: t + 1),
    },
    "boxes": {
        "off by half a pixel: boxes moved by -1/2": _boxes(lambda b: b - 0.5),
        "off by half a pixel: boxes moved by +1/2": _boxes(lambda b: b + 0.5),
        "x and y exchanged: boxes read as (y1, x1, y2, x2)": _boxes(lambda b: b[:, [1, 0, 3, 2]]),
        "boxes read as (x, y, width, height)": _boxes(
            lambda b: np.concatenate([b[:, :2], b[:, :2] + b[:, 2:]], 1)
        ),
        "boxes read as (center x, center y, width, height)": _boxes(
            lambda b: np.concatenate([b[:, :2] - b[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2], 1)
        ),
        "the end of a box taken as inside: one pixel more": _boxes(lambda b: b + ONE),
        "the end of a box taken as outside: one pixel less": _boxes(lambda b: b - ONE),
        "boxes rounded down to whole pixels": _boxes(np.floor),
        "boxes cut to whole pixels, towards 0": _boxes(np.trunc),
        "boxes rounded to whole pixels": _boxes(np.round),
        "boxes rounded to whole pixels, halves away from 0": _boxes(
            lambda b: np.trunc(b + np.copysign(0.5, b))
        ),
        "boxes rounded to whole pixels, halves up": _boxes(lambda b: np.floor(b + 0.5)),
        "boxes rounded up to whole pixels": _boxes(np.ceil),
        "boxes rounded outwards to whole pixels": _boxes(
            lambda b: np.concatenate([np.floor(b[:, :2]), np.ceil(b[:, 2:])], 1)
        ),
        "the corners of inverted boxes put in order": _boxes(_ordered),
    },
}
"""By argument: what it may be taken for."""


# -- memory read in another order -----------------------------------------------------------------


def _axes_as_nhwc(x: Array) -> tuple[Array, Callable[[Array], Array]]:
    """(N, C, H, W) taken for (N, H, W, C)."""
    return x.transpose(0, 3, 1, 2), lambda y: y.transpose(0, 2, 3, 1)


def _memory_as_nhwc(x: Array) -> tuple[Array, Callable[[Array], Array]]:
    """The right shape, but numbers in memory in the order of NHWC, on the way in and out."""
    n, c, h, w = x.shape

    def back(y: Array) -> Array:
        return np.ascontiguousarray(y.transpose(0, 2, 3, 1)).reshape(y.shape)

    return x.reshape(n, h, w, c).transpose(0, 3, 1, 2), back


def _memory_in(x: Array) -> tuple[Array, Callable[[Array], Array]]:
    return _memory_as_nhwc(x)[0], lambda y: y


def _columns_first(x: Array) -> tuple[Array, Callable[[Array], Array]]:
    """The numbers of an image in memory, column by column."""
    n, c, h, w = x.shape
    return x.reshape(n, c, w, h).swapaxes(2, 3), lambda y: y


LAYOUTS: dict[str, Callable[[Array], tuple[Array, Callable[[Array], Array]]]] = {
    "NCHW read as NHWC: the axes of x taken for images, rows, columns, channels": _axes_as_nhwc,
    "NCHW read as NHWC: memory read and written in that order": _memory_as_nhwc,
    "NCHW read as NHWC: memory read in that order": _memory_in,
    "memory read column by column": _columns_first,
}


def _reread(
    read: Callable[[Array], tuple[Array, Callable[[Array], Array]]],
    trial: Trial, arguments: Arguments, convention: Arguments,
) -> Prediction | None:  # fmt: skip
    x = arguments.get("x")
    if not isinstance(x, np.ndarray) or x.ndim != 4:
        return None
    changed, back = read(np.ascontiguousarray(x))
    arguments = arguments | {"x": np.ascontiguousarray(changed)}
    if not trial.defined(arguments | convention):
        return None
    made = trial.ours(arguments, convention)
    if made is None or made.results[0].ndim != 4:
        return None
    return Prediction([back(made.results[0]), *made.results[1:]], {})
