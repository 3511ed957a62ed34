"""Size rules: one pure integer function per rule. No arrays, no devices.

All take one spatial axis at a time. ``i`` input size, ``o`` output size, ``k`` kernel size, ``s``
stride, ``d`` dilation, ``p0`` and ``p1`` padding before and after.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple, TypeAlias

from numseg import checks
from numseg.errors import ArgumentError, shown


def derived(of: Callable[[Any], Any]) -> property:
    """A property of a geometry, which is a tuple of numbers, that is worked out once."""
    return property(functools.lru_cache(maxsize=256)(of))


def extent(k: int, d: int) -> int:
    """Pixels from the first to the last tap of a dilated kernel: ``d (k - 1) + 1``."""
    return d * (k - 1) + 1


def window_count(i: int, k: int, s: int, p0: int, p1: int, d: int) -> int:
    """Windows of a convolution or pooling: ``floor((i + p0 + p1 - extent) / s) + 1``."""
    return (i + p0 + p1 - extent(k, d)) // s + 1


def window_count_ceil(i: int, k: int, s: int, p0: int, p1: int, d: int, drop: bool = True) -> int:
    """``ceil_mode``: round up, but ``drop`` a last window that starts after the image."""
    o = -(-(i + p0 + p1 - extent(k, d)) // s) + 1
    return o - 1 if drop and (o - 1) * s >= i + p0 else o


def transposed_size(i: int, k: int, s: int, p0: int, p1: int, d: int, output_padding: int) -> int:
    """The input size of the convolution that a transposed convolution is the transpose of."""
    return s * (i - 1) + extent(k, d) + output_padding - p0 - p1


def same_padding(i: int, k: int, s: int, d: int) -> tuple[int, int]:
    """TensorFlow's "SAME": ``o = ceil(i / s)``, the odd pixel of padding goes after the image."""
    total = max((-(-i // s) - 1) * s + extent(k, d) - i, 0)
    return total // 2, total - total // 2


def pads(
    padding: Any,
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> tuple[int, int, int, int]:
    """Every spelling of ``padding`` as ``(top, bottom, left, right)``."""
    if isinstance(padding, str):
        if checks.choice("padding", padding, ("valid", "same", "same_lower")) == "valid":
            return 0, 0, 0, 0
        (top, bottom), (left, right) = map(same_padding, size, kernel, stride, dilation)
        return (bottom, top, right, left) if padding == "same_lower" else (top, bottom, left, right)
    return sides("padding", padding)


def transposed_same(
    i: int, o: int, k: int, s: int, d: int, output_padding: int, padding: str
) -> tuple[int, int]:
    """What "same" cuts off each end of a transposed convolution to leave ``o`` pixels: the odd one
    at the end, with "same_lower" at the beginning. Where the stamps fall short of ``o``, the end
    loses a negative number: zeros are added."""
    whole = transposed_size(i, k, s, 0, 0, d, output_padding)
    total = max(whole - o, 0)
    before = total // 2 if padding == "same" else total - total // 2
    return before, whole - o - before


def sides(name: str, value: Any, minimum: int | None = 0) -> tuple[int, int, int, int]:
    """``p``, ``(rows, columns)``, four flat or nested sides, as ``(top, bottom, left, right)``."""
    if not checks.is_sequence(value):
        p = checks.integer(name, value, minimum, checks.LARGEST)
        return p, p, p, p
    flat = [v for part in value for v in (part if isinstance(part, (tuple, list)) else (part,))]
    most = checks.LARGEST
    numbers = [checks.integer(f"{name}[{j}]", v, minimum, most) for j, v in enumerate(flat)]
    if len(flat) == 2 == len(value):
        rows, columns = numbers
        return rows, rows, columns, columns
    if len(flat) == 4 and len(value) in (2, 4):
        top, bottom, left, right = numbers
        return top, bottom, left, right
    raise ArgumentError(
        f"{name} must be an integer, (rows, columns), (top, bottom, left, right) or "
        f"((top, bottom), (left, right)), got {shown(value)}"
    )


def less_than_window(sides: tuple[int, int, int, int], window: tuple[int, int]) -> None:
    """Padding of a pooling: no window of neighbouring pixels may lie wholly in it."""
    top, bottom, left, right = sides
    if max(top, bottom) >= window[0] or max(left, right) >= window[1]:
        raise ArgumentError(
            f"padding (top {top}, bottom {bottom}, left {left}, right {right}) must be less than "
            f"the window's extent of {window[0]} x {window[1]}"
        )


CEIL_RULES = "torch", "caffe"


def window_counts(
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    sides: tuple[int, int, int, int],
    dilation: tuple[int, int],
    ceil_mode: bool = False,
    ceil_rule: str = "torch",
) -> tuple[int, int]:
    """Output rows and columns of a windowed operator; an error where no window fits.

    With ``ceil_mode`` a window may be larger than the padded image, if by less than the stride:
    there is one then, as it is the last, which may reach beyond the padding. PyTorch drops a last
    window that starts after the image, and Caffe only where there is padding, on any side.
    """
    top, bottom, left, right = sides
    drop = checks.choice("ceil_rule", ceil_rule, CEIL_RULES) == "torch" or any(sides)
    counts = []
    for axis, i, k, s, p0, p1, d in zip(
        ("rows", "columns"), size, kernel, stride, (top, left), (bottom, right), dilation,
        strict=True,
    ):  # fmt: skip
        count = window_count(i, k, s, p0, p1, d)
        if ceil_mode and i + p0 + p1 > 0:
            count = window_count_ceil(i, k, s, p0, p1, d, drop)
        if count < 1:
            raise ArgumentError(
                f"the window spans {extent(k, d)} {axis} (kernel {k}, dilation {d}), "
                f"but x has {i} {axis} plus {p0} + {p1} of padding"
            )
        counts.append(count)
    return counts[0], counts[1]


INDEX_LAYOUTS = "hw", "nchw", "ncwh", "hwc", "nhwc"


def index_strides(layout: str, c: int, h: int, w: int) -> tuple[int, int, int, int]:
    """What a switch counts for each step along n, c, h and w: ``layout`` names the axes of the
    array in which it is a flat index, the last one fastest."""
    sizes = {"n": 0, "c": c, "h": h, "w": w}
    strides, step = dict.fromkeys("nchw", 0), 1
    for axis in reversed(checks.choice("index_layout", layout, INDEX_LAYOUTS)):
        strides[axis] = step
        step *= sizes[axis]
    return strides["n"], strides["c"], strides["h"], strides["w"]


BinRule = Callable[[int, int], list[tuple[int, int, int]]]
"""From the sizes of an axis and of the result, each bin: its first pixel, one past its last, and
how many its divisor counts."""


def adaptive_bins(i: int, o: int) -> list[tuple[int, int, int]]:
    """``o`` bins that cover an axis: bin p has the pixels ``floor(p i / o)`` up to, not including,
    ``ceil((p + 1) i / o)``. Neighbours may share a pixel."""
    edges = ((p * i // o, -(-(p + 1) * i // o)) for p in range(o))
    return [(start, end, end - start) for start, end in edges]


def caffe_bins(i: int, o: int) -> list[tuple[int, int, int]]:
    """Caffe's spatial pyramid: ``k = ceil(i / o)`` pixels each, after padding by half of what
    ``k o`` exceeds i, rounded up. The count includes the padding."""
    k, pad = _caffe_window(i, o)
    starts = range(-pad, k * o - pad, k)
    return [(max(s, 0), min(s + k, i), min(s + k, i + pad) - s) for s in starts]


def check_caffe_bins(i: int, o: int) -> None:
    """An error where Caffe's bins would need as much padding as they have pixels, as in Caffe."""
    k, pad = _caffe_window(i, o)
    if pad >= k:
        raise ArgumentError(
            f"levels has {o}, but Caffe's bins of {k} pixels would be padded by {pad} on an axis "
            f"of {i} (bins='adaptive' has bins for every size)"
        )


def _caffe_window(i: int, o: int) -> tuple[int, int]:
    k = -(-i // o)
    return k, (k * o - i + 1) // 2


def adaptive_reach(i: int, o: int) -> Reach:
    """The reach of adaptive bins."""
    step = Fraction(i, max(o, 1))
    part = Fraction(1, step.denominator)  # edges are multiples of it, before they are rounded
    return Reach(step, part - 1, step - part)


def resized(
    size: Any, scale_factor: Any, recompute: bool, image: tuple[int, int]
) -> tuple[tuple[int, int], tuple[float, float]]:
    """Output rows and columns of an upsampling, and its two factors: 0 where it goes by size.

    With factors, ``o = floor(i * factor)``; ``recompute``: from there on it goes by size.
    """
    recompute = checks.flag("recompute_scale_factor", recompute)
    if recompute and size is not None:
        raise ArgumentError(f"recompute_scale_factor is True, but size is given: {shown(size)}")
    if (size is None) == (scale_factor is None):
        raise ArgumentError(
            f"give size or scale_factor, one of them: got {shown(size)} and {shown(scale_factor)}"
        )
    if size is not None:
        rows, columns = checks.pair("size", size, minimum=1)
        if 0 in image:
            raise ArgumentError(
                f"size is {rows} x {columns}, but x has no pixels: {image[0]} x {image[1]}"
            )
        return (rows, columns), (0.0, 0.0)
    factors = checks.positive_pair("scale_factor", scale_factor)
    o = [math.floor(i * factor) for i, factor in zip(image, factors, strict=True)]
    if any(i > 0 and count == 0 for i, count in zip(image, o, strict=True)):
        raise ArgumentError(
            f"scale_factor {factors[0]} x {factors[1]} leaves {o[0]} x {o[1]} pixels of "
            f"{image[0]} x {image[1]}"
        )
    return (o[0], o[1]), (0.0, 0.0) if recompute else factors


def grid_of(*factors: float) -> int | None:
    """1 if the positions of an upsampling are exact: those by size, whose factor is 0, are, and
    those of powers of two. Else None: they are rounded, each in its own way."""
    return 1 if all(f == 0 or Fraction(f) * Fraction(1 / f) == 1 for f in factors) else None


def zoomed(i: int, zoom: int) -> int:
    """``zoom - 1`` pixels between any two."""
    return i + (i - 1) * (zoom - 1)


COORDINATES = (
    "half_pixel",
    "pytorch_half_pixel",
    "half_pixel_symmetric",
    "align_corners",
    "asymmetric",
    "tf_half_pixel_for_nn",
)
"""Where an output pixel lies on the input, as ONNX Resize calls it."""

Line: TypeAlias = tuple[int, int, int, int]
"""``(u, v, numerator, denominator)``: output pixel ``o`` is at ``(o + u/2) * step + v/2``, where
``step = numerator / denominator``."""


def line(i: int, o: int, factor: float, coordinates: str) -> tuple[Line, float]:
    """Where output pixels lie along one axis, and the factor if the step is its inverse, else 0."""
    if coordinates == "align_corners":
        return (0, 0, max(i - 1, 0), max(o - 1, 1)), 0.0
    if coordinates == "pytorch_half_pixel" and o == 1:
        return (0, 0, 0, 1), 0.0
    u, v = {
        "asymmetric": (0, 0),
        "tf_half_pixel_for_nn": (1, 0),
        "half_pixel_symmetric": (1 - o, i - 1),
    }.get(coordinates, (1, -1))
    return (u, v, i, max(o, 1)), factor


class Filter(NamedTuple):
    """How much of the pixels around a position an output pixel takes, along one axis: the weight of
    pixel i is ``f((i - s) / width)``, divided by the sum of all weights.

    ``f`` is 0 from ``radius`` on. By 1 it is the triangle ``1 - |t|``, by 2 the cubic convolution
    with the coefficient ``a`` (Keys 1981).
    """

    radius: int = 1
    a: float = 0.0
    antialias: bool = False
    """The width is what the image shrinks by, not 1."""
    exclude_outside: bool = False
    """Pixels outside of the image do not count. Else the border's stand for them."""


def filter_width(i: int, o: int, factor: float, antialias: bool) -> Fraction | float:
    """The width of a filter: what the image shrinks by, if it shrinks."""
    if not antialias:
        return Fraction(1)
    return max(1.0, 1 / factor) if factor else max(Fraction(1), Fraction(i, max(o, 1)))


def center(i: int, o: int, half_even: bool) -> int:
    """Where the middle ``o`` of ``i`` pixels begin; before the image if they are more."""
    return -((o - i) // 2) if o > i else round((i - o) / 2) if half_even else (i - o) // 2


class Reach(NamedTuple):
    """Which inputs an output reads, along one axis: pixel ``o`` reads within
    ``[stride * o + first, stride * o + last]``. Receptive fields are compositions of these."""

    stride: Fraction = Fraction(1)
    first: Fraction = Fraction(0)
    last: Fraction = Fraction(0)


POINTWISE = (Reach(), Reach())
"""Every output pixel reads the input pixel at its own place."""


def shifted(rows: int, columns: int) -> tuple[Reach, Reach]:
    """Output pixel ``o`` reads input pixel ``o + shift``: crops and paddings."""
    return (
        Reach(first=Fraction(rows), last=Fraction(rows)),
        Reach(first=Fraction(columns), last=Fraction(columns)),
    )


def padded_reach(i: int, before: int, after: int, mode: str) -> Reach:
    """The reach of a padding: one pixel; where the image is continued, as much further as an outer
    pixel is from the one that it is a copy of."""

    def away(p: int) -> int:
        turn = {"replicate": p, "reflect": 2 * p, "symmetric": max(2 * p - 1, 0)}
        if mode == "circular":
            return -(-p // max(i, 1)) * i
        return max(min(turn.get(mode, 0), p + i - 1), 0)

    return Reach(first=Fraction(-before - away(after)), last=Fraction(-before + away(before)))


def nearest_reach(i: int, o: int, at: tuple[Line, float], rounding: str) -> Reach:
    """The reach of nearest-neighbour upsampling: the one pixel that the position is rounded to;
    where pixels at the border stand for those outside, as many more."""
    step, start, nearly_one = _grid(*at)
    start += {"round_prefer_floor": -_HALF, "round_prefer_ceil": _HALF}.get(rounding, 0)
    down = rounding in ("floor", "round_prefer_ceil")
    first, last = (start - nearly_one, start) if down else (start, start + nearly_one)
    outside_before = max(-math.floor(last), 0)
    outside_after = max(math.ceil(step * (o - 1) + first) - (i - 1), 0) if o else 0
    return Reach(step, first - outside_after, last + outside_before)


def linear_reach(at: tuple[Line, float]) -> Reach:
    """The reach of linear interpolation: the pixels before and after the position, or the one
    pixel that is exactly there."""
    step, start, nearly_one = _grid(*at)
    return Reach(step, start - nearly_one, start + nearly_one)


def filter_reach(i: int, o: int, at: tuple[Line, float], kind: Filter) -> Reach:
    """The reach of a filter: pixels less than its radius times its width away."""
    step, start, _ = _grid(*at)
    width = Fraction(filter_width(i, o, at[1], kind.antialias)).limit_denominator(10**6)
    around = kind.radius * width
    grid = math.lcm(step.denominator, start.denominator, around.denominator)
    around -= Fraction(1, grid)
    return Reach(step, start - around, start + around)


_HALF = Fraction(1, 2)


def _grid(at: Line, factor: float) -> tuple[Fraction, Fraction, Fraction]:
    """Positions are ``step * o + start``; two of them, or halves, are the last apart or 1 apart."""
    u, v, numerator, denominator = at
    step = Fraction(numerator, denominator)
    if factor:
        step = 1 / Fraction(factor).limit_denominator(10**6)
    start = (u * step + v) / 2
    grid = math.lcm(step.denominator, start.denominator, 2)
    return step, start, 1 - Fraction(1, grid)


def window_reach(k: int, s: int, p0: int, d: int) -> Reach:
    """The reach of a convolution or pooling."""
    return Reach(Fraction(s), Fraction(-p0), Fraction(d * (k - 1) - p0))


def transposed_reach(k: int, s: int, p0: int, d: int) -> Reach:
    """The reach of a transposed convolution: ``o = s i - p0 + d t`` for a tap ``t < k``."""
    return Reach(Fraction(1, s), Fraction(p0 - d * (k - 1), s), Fraction(p0, s))
