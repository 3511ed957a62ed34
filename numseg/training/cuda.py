"""Training on CUDA: the optimisers' steps, the gradient's length, and scores.

In a step a thread owns one number of a parameter and of its state, which it may write in place: no
other thread reads or writes it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import float64, int32, int64

from numseg.cuda import streams
from numseg.cuda.launch import (
    Doubles,
    Ints,
    Kernel,
    Longs,
    Reals,
    kernel,
    launch,
    quotient,
    thread,
)
from numseg.cuda.runtime import simulated
from numseg.device import Cuda


class Sgd(NamedTuple):
    """What a step of SGD has besides arrays."""

    lr: float
    momentum: float
    weight_decay: float


class AdamStep(NamedTuple):
    """What a step of Adam has besides arrays."""

    scale: float
    """``lr / (1 - beta1**t)``."""
    root: float
    """``sqrt(1 - beta2**t)``."""
    new1: float
    """``1 - beta1``: the share of the gradient in its mean."""
    beta2: float
    new2: float
    eps: float
    weight_decay: float


@kernel
def _sgd(p: Reals, b: Reals, grad: Reals, new_p: Reals, new_b: Reals, s: Sgd) -> None:
    i, plane = thread()
    if i < p.size and plane == 0:  # there may be threads for more planes than one
        g = grad[i]
        if s.weight_decay > p.dtype.type(0):
            g += s.weight_decay * p[i]
        new = s.momentum * b[i] + g
        new_b[i] = new
        new_p[i] = p[i] - s.lr * new


@kernel
def _adam(
    p: Reals, m: Reals, v: Reals, grad: Reals, new_p: Reals, new_m: Reals, new_v: Reals, s: AdamStep
) -> None:
    i, plane = thread()
    if i < p.size and plane == 0:  # there may be threads for more planes than one
        g = grad[i]
        if s.weight_decay > p.dtype.type(0):
            g += s.weight_decay * p[i]
        mean = m[i] + s.new1 * (g - m[i])
        square = s.beta2 * v[i] + s.new2 * (g * g)
        new_m[i] = mean
        new_v[i] = square
        root = p.dtype.type(math.sqrt(square))  # in the simulator it is a float64
        new_p[i] = p[i] - s.scale * (mean / (root / s.root + s.eps))


def sgd(arrays: dict[str, Any], step: Sgd, donate: bool) -> tuple[Any, ...]:
    """The new p and b of one parameter, given p, b and its gradient, with names for errors."""
    return _updated(_sgd, arrays, step, donate)


def adam(arrays: dict[str, Any], step: AdamStep, donate: bool) -> tuple[Any, ...]:
    """The new p, m and v of one parameter, given those and its gradient, with names for errors."""
    return _updated(_adam, arrays, step, donate)


def _updated(update: Kernel, arrays: dict[str, Any], step: Any, donate: bool) -> tuple[Any, ...]:
    """Donated arrays of Numba's own are written to in place, if they are C-contiguous; those of
    another library may be read-only."""
    given = tuple(Cuda.normal(Cuda.view(name, array)) for name, array in arrays.items())
    targets = tuple(
        view if donate and view is array else Cuda.empty(view.shape, view.dtype)
        for view, array in zip(given[:-1], arrays.values(), strict=False)
    )
    launch(update, 1, given[0].size, *given, *targets, step)
    for target in targets:
        target.stream = streams.current()  # that of their newest numbers
    return targets


PARTS = 4 if simulated() else 1024
"""Of a sum over gradients, and of the pixels that are counted: a thread has one."""


@kernel
def _squares(grad: Reals, sums: Doubles, parts: int, first: bool) -> None:
    """Thread k adds the squares of every ``parts``-th number from k on to its sum."""
    part, plane = thread()
    if part < parts and plane == 0:
        total = 0.0 if first else sums[part]
        i = part + int64(0)
        while i < grad.size:
            number = float64(grad[i])
            total += number * number
            i += parts
        sums[part] = total


@kernel
def _sum(numbers: Doubles, sums: Doubles, terms: int) -> None:
    """Thread k adds up ``terms`` numbers, in their order."""
    k, plane = thread()
    if k < sums.size and plane == 0:
        found = 0.0
        for i in range(k * terms, min((k + 1) * terms, numbers.size)):
            found += numbers[i]
        sums[k] = found


def sum_of_squares(grads: Sequence[Any]) -> float:
    """Of all numbers of all arrays, in float64. The host waits for it, once."""
    sums = Cuda.empty((PARTS,), np.float64)
    for k, grad in enumerate(grads):
        launch(_squares, 1, PARTS, Cuda.normal(grad), sums, PARTS, k == 0)
    terms = math.isqrt(PARTS)
    few, total = Cuda.empty((terms,), np.float64), Cuda.empty((1,), np.float64)
    launch(_sum, 1, terms, sums, few, PARTS // terms)
    launch(_sum, 1, 1, few, total, terms)
    return float(Cuda.to_host(total)[0])


class Window(NamedTuple):
    """A part of each plane of scores."""

    classes: int
    height: int
    width: int
    top: int
    left: int
    rows: int
    columns: int


@kernel
def _largest(scores: Reals, labels: Longs, g: Window) -> None:
    """The first of the largest scores; the first NaN, if there is one."""
    pixel, plane = thread()
    if pixel >= g.rows * g.columns or plane > 0:
        return
    row = quotient(pixel, g.columns)
    at = (g.top + row) * g.width + g.left + pixel - row * g.columns
    best, label = scores[at], int32(0)
    for k in range(1, g.classes):
        score = scores[k * g.height * g.width + at]
        if score > best or (score != score and best == best):
            best, label = score, int32(k)
    labels[pixel] = label


def largest(scores: Any, rows: slice, columns: slice) -> Any:
    """(rows, columns) int64: the class of each pixel there, of scores (1, classes, H, W)."""
    _, classes, height, width = scores.shape
    (top, bottom, _), (left, right, _) = rows.indices(height), columns.indices(width)
    g = Window(classes, height, width, top, left, max(bottom - top, 0), max(right - left, 0))
    labels = Cuda.empty((g.rows, g.columns), np.int64)
    launch(_largest, 1, g.rows * g.columns, Cuda.normal(scores), labels, g)
    return labels


class Counting(NamedTuple):
    """What is counted: labels below ``classes``, but for true ones that are to be ignored."""

    classes: int
    parts: int
    ignoring: bool
    ignored: int


@kernel
def _count(truth: Longs, guess: Longs, counts: Ints, g: Counting) -> None:
    """Thread k counts every ``parts``-th pixel from k on, in a table of its own; its last number
    counts labels that are none."""
    part, plane = thread()
    if part >= g.parts or plane > 0:
        return
    cells = g.classes * g.classes
    mine = part * int64(cells + 1)
    for k in range(cells + 1):
        counts[mine + k] = 0
    i = part + int64(0)
    while i < truth.size:
        true, guessed = truth[i], guess[i]
        if not (g.ignoring and true == g.ignored):
            cell = int64(cells)
            if 0 <= true < g.classes and 0 <= guessed < g.classes:
                cell = true * g.classes + guessed
            counts[mine + cell] += 1
        i += g.parts


@kernel
def _add_counts(counts: Ints, table: Longs, parts: int) -> None:
    cell, plane = thread()
    if cell < table.size and plane == 0:
        total = table[cell]
        for part in range(parts):
            total += counts[part * table.size + cell]
        table[cell] = total


def table(classes: int) -> Any:
    """A confusion matrix of no pixels, flat, and the number of labels that were none."""
    return Cuda.from_host(np.zeros(classes * classes + 1, np.int64))


def count(truth: Any, guess: Any, into: Any, classes: int, ignored: int | None) -> None:
    """Add pixels to a table: each part in order, then the parts, though counts have no order."""
    parts = max(min(PARTS, truth.size // 64), 1)
    g = Counting(classes, parts, ignored is not None, ignored or 0)
    counts = Cuda.empty((parts, into.size), np.int32)
    launch(_count, 1, parts, Cuda.normal(truth), Cuda.normal(guess), counts, g)
    launch(_add_counts, 1, into.size, counts, into, parts)
