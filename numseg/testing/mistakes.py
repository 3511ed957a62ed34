"""Mistakes that people make in kernels, each as what a kernel with it would give.

A mistake predicts the results of a call, right ones included: where it makes no difference, the
prediction is the definition's result. So an implementation has a mistake if the predictions fit
*all* of its calls, and two mistakes are told apart by the calls on which they differ.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from numseg.conventions import Arguments, Probe
from numseg.testing import conventions, foreign
from numseg.testing.foreign import Given
from numseg.testing.trial import Trial
from numseg.typing import Array

UNDEFINED = 64.0
"""Ulps that a prediction may be off where the operator states no bound."""

ONE = np.array([0, 0, 1, 1])
"""A pixel, at the end of a box."""


class Prediction(NamedTuple):
    """What a kernel with a mistake would give."""

    results: list[Array]
    gradients: dict[str, Array]
    known: Array | None = None
    """Which numbers of the first result are predicted; None: all."""


Change = Callable[[Arguments], Arguments | None]
"""Other arguments than those that a kernel should read; None if it could not."""


class Mistake(NamedTuple):
    """A mistake in words, and what it makes of a call under a convention.

    It predicts None for a call of which nothing can be said.
    """

    words: str
    predict: Callable[[Trial, Arguments, Arguments], Prediction | None]


def mistakes(trial: Trial) -> Iterator[Mistake]:
    """All that may be made in the operator, the likelier first."""
    for words, change in _changes(trial):
        yield Mistake(words, functools.partial(_changed, change))
    for words, read in LAYOUTS.items():
        yield Mistake(words, functools.partial(_reread, read))
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


def gradient_mistakes(trial: Trial) -> Iterator[Mistake]:
    """Those that leave the results right."""
    yield Mistake("gradients for a grad_y of ones, whatever grad_y it gets", _grad_y_ignored)
    if "weight" in trial.peer.takes and "weight" in trial.op.linear:
        of = f"the gradient of {trial.op.inputs[0]}"
        for words, another in WEIGHT.items():
            named = f"{of}: {words.partition(':')[0]}"
            yield Mistake(named, functools.partial(_gradient_by_another, another))
    for name in trial.op.differentiable:
        of = f"the gradient of {name}"
        for words, change in GRADIENTS.items():
            yield Mistake(f"{of}: {words}", functools.partial(_gradient, name, change))
        for words, image in (("first", 0), ("last", -1)):
            words = f"{of}: that of the {words} image alone, not the sum over the batch"
            yield Mistake(words, functools.partial(_of_one_image, name, image))


def fits(trial: Trial, arguments: Arguments, convention: Arguments, made: Prediction,
         given: Given) -> bool:  # fmt: skip
    """Are their results what was predicted?"""
    if len(made.results) != len(given.results):
        return False
    eps = trial.eps(arguments)
    defined = trial.defined({**arguments, **convention})  # else it takes what the mistake ignores
    limit = (trial.tolerance(arguments, convention) if defined else UNDEFINED) * eps
    for place, (wanted, got) in enumerate(zip(made.results, given.results, strict=True)):
        if wanted.shape != got.shape:
            return False
        known = made.known if place == 0 and made.known is not None else np.True_
        if not (_near(wanted, got, limit) | ~known).all():
            return False
    return all(
        g.shape == given.gradients[n].shape and bool(_near(g, given.gradients[n], limit).all())
        for n, g in made.gradients.items()
        if n in given.gradients
    )


@np.errstate(all="ignore")
def _near(a: Array, b: Array, limit: float) -> Array:
    size = np.max(np.abs(np.nan_to_num(a, posinf=0, neginf=0)), initial=1)
    near: Array = (a == b) | (np.isnan(a) & np.isnan(b)) | (np.abs(a - b) <= limit * size)
    return near


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


# -- gradients ------------------------------------------------------------------------------------

GRADIENTS: dict[str, Callable[[Array, Arguments], Array | None]] = {
    "0 everywhere": lambda g, a: np.zeros_like(g),
    "of the opposite sign": lambda g, a: -g,
    "divided by the number of images": lambda g, a: _divided(g, _axis(0)(a)),
    "multiplied by the number of images": lambda g, a: _divided(g, 1 / (_axis(0)(a) or np.inf)),
    "rows and columns exchanged": lambda g, a: g.swapaxes(-1, -2) if g.ndim > 1 else None,
    "turned by 180 degrees": lambda g, a: g[..., ::-1, ::-1] if g.ndim > 2 else None,
    "twice what it should be": lambda g, a: 2 * g,
    "half of what it should be": lambda g, a: g / 2,
}


def _divided(gradient: Array, by: float | None) -> Array | None:
    return gradient / by if by else None


def _gradient(
    name: str, change: Callable[[Array, Arguments], Array | None],
    trial: Trial, arguments: Arguments, convention: Arguments,
) -> Prediction | None:  # fmt: skip
    ours = trial.ours(arguments, convention)
    if ours is None or name not in ours.gradients:
        return None
    made = change(ours.gradients[name], arguments)
    return None if made is None else Prediction(ours.results, ours.gradients | {name: made})


def _gradient_by_another(
    change: Probe, trial: Trial, arguments: Arguments, convention: Arguments
) -> Prediction | None:
    """The gradient of the first array as it is for another kernel."""
    first = trial.op.inputs[0]
    right, changed = trial.ours(arguments, convention), change(arguments)
    if right is None or not trial.defined(changed | convention):
        return None
    made = trial.ours(changed, convention)
    if made is None or first not in made.gradients:
        return None
    return Prediction(right.results, right.gradients | {first: made.gradients[first]})


def _backward(
    trial: Trial, arguments: Arguments, convention: Arguments,
    change: Callable[[Array], Array],
) -> Prediction | None:  # fmt: skip
    """The gradients for another grad_y."""
    ours = trial.ours(arguments, convention, change)
    return None if ours is None else Prediction(ours.results, ours.gradients)


def _grad_y_ignored(trial: Trial, arguments: Arguments, convention: Arguments) -> Any:
    return _backward(trial, arguments, convention, np.ones_like)


def _of_one_image(
    name: str, image: int, trial: Trial, arguments: Arguments, convention: Arguments
) -> Prediction | None:
    def one(grad_y: Array) -> Array:
        kept = np.zeros_like(grad_y)
        if grad_y.ndim == 4 and len(grad_y):
            kept[image] = grad_y[image]
        return kept

    right = trial.ours(arguments, convention)
    alone = _backward(trial, arguments, convention, one)
    if right is None or alone is None or name not in right.gradients:
        return None
    return Prediction(right.results, right.gradients | {name: alone.gradients[name]})


def overwrites(trial: Trial, arguments: Arguments, convention: Arguments, given: Given) -> bool:
    """Is each number of the gradient of x one of the terms that it should be the sum of?"""
    op = trial.op
    first = op.inputs[0]
    theirs, x = given.gradients.get(first), arguments.get(first)
    plan = op.plan(**{**arguments, **convention})
    if theirs is None or not isinstance(x, np.ndarray) or not plan.linear:
        return False
    try:
        rest = {n: v for n, v in (arguments | convention).items() if n != first}
        matrix = op.matrix(x.shape, **rest).tocsc()
    except (TypeError, ValueError):
        return False
    grad_y = trial.peer.grad_y(given.results[0].shape, given.results[0].dtype).reshape(-1)
    for j, number in enumerate(theirs.reshape(-1)):
        column = matrix[:, [j]].tocoo()
        terms = column.data * grad_y[column.row]
        if not np.isclose(np.append(terms, 0.0), number, rtol=1e-4, atol=1e-6).any():
            return False
    return True


def numbers(arguments: Arguments) -> int:
    """How many an argument's arrays have."""
    return sum(a.size for value in arguments.values() for a in foreign.arrays(value))
