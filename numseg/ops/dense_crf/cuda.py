"""dense_crf on CUDA. Images one by one, in the steps of the CPU's.

Q lies twice: by labels, (L, P), as the caller has it, and by points, (P, L), as filters have it. An
iteration filters Q for each term, then one kernel, a thread to a point, does all else.

The host waits for the ranges of features, which :func:`check` looks at, twice for each lattice, and
with a tolerance once an iteration, and for the count of those that ran; else for nothing.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from numba import int32

from numseg.cuda import elementary
from numseg.cuda.arrays import Cuda
from numseg.cuda.gaussian import Filter, Gradient, How, fill_with, made, unfit
from numseg.cuda.lattice import ranges
from numseg.cuda.launch import (
    Longs,
    Reals,
    Split,
    add_up,
    kernel,
    launch,
    next_plane,
    quotient,
    split,
    thread,
)
from numseg.cuda.rows import Rows, over_rows, row_and_label, rows_of, step_of_rows, to_rows
from numseg.cuda.runtime import empty
from numseg.errors import DeviceError
from numseg.kernels.pointwise.elementary import decay
from numseg.ops.dense_crf import check_terms
from numseg.ops.dense_crf.geometry import Geometry
from numseg.ops.gaussian_filter.geometry import NORMALIZATIONS

elementary.register()

MOST_TERMS = 30
"""Terms, a bit of an int32 each."""


class Sizes(NamedTuple):
    """What kernels know of an iteration."""

    labels: int
    points: int
    terms: int
    matrices: int
    """The bits of terms whose compatibilities are a matrix."""


# -- kernels ---------------------------------------------------------------------------------------


@kernel
def _iterate(
    unary: Reals,
    filtered: Reals,
    mixing: Reals,
    before: Reals,
    rows: Reals,
    kept: Reals,
    y: Reals,
    change: Reals,
    damping: float,
    logits: bool,
    g: Sizes,
) -> None:
    """One iteration of a point: Q from ``before`` to ``rows`` and, where they have room, the
    softmax that is ``kept``, Q or the ``logits`` in ``y``, and by how much Q changes at most.
    ``filtered`` of no term: the softmax of ``-unary``."""
    point, _ = thread()
    if point >= g.points:
        return
    first = point * g.labels
    top, total, largest = unary.dtype.type(-math.inf), unary.dtype.type(0), unary.dtype.type(0)
    for label in range(g.labels):
        z = -unary[label * g.points + point]
        for t in range(g.terms):
            row, mu = (t * g.points + point) * g.labels, t * g.labels * g.labels
            if (g.matrices >> t) & 1:
                for m in range(g.labels):
                    z -= mixing[mu + label * g.labels + m] * filtered[row + m]
            else:
                z += mixing[mu + label] * filtered[row + label]
        rows[first + label] = z
        top = z if z > top else top
        if logits and y.size > 0:
            y[label * g.points + point] = z
    for label in range(g.labels):
        e = decay(rows[first + label] - top)
        rows[first + label] = e
        total += e
    total = unary.dtype.type(1) / total
    for label in range(g.labels):
        q = rows[first + label] * total
        if kept.size > 0:
            kept[label * g.points + point] = q
        if damping > 0:
            q = (unary.dtype.type(1) - damping) * q + damping * before[first + label]
        if change.size > 0:
            moved = abs(q - before[first + label])
            largest = moved if moved > largest or moved != moved else largest
        rows[first + label] = q
        if y.size > 0 and not logits:
            y[label * g.points + point] = q
    if change.size > 0:
        change[point] = largest


@kernel
def _through_softmax(
    soft: Reals, grad: Reals, grad_unary: Reals, rows: Reals, damping: float, g: Sizes
) -> None:
    """From the gradient of Q after an iteration to that of what the softmax was of: subtracted from
    unary's, and in ``rows``, where there is room. What is left of ``grad`` is for Q before it.
    Without ``soft``, ``grad`` is that of the logits."""
    point, plane = thread()
    if point >= g.points or plane > 0:
        return
    less, dot = grad.dtype.type(1), grad.dtype.type(0)
    if soft.size > 0:
        less -= damping
        for label in range(g.labels):
            i = label * g.points + point
            dot += less * grad[i] * soft[i]
    for label in range(g.labels):
        i = label * g.points + point
        z = grad[i]
        if soft.size > 0:
            z = soft[i] * (less * z - dot)
        grad_unary[i] -= z
        grad[i] = damping * grad[i] if soft.size > 0 and damping > 0 else grad.dtype.type(0)
        if rows.size > 0:
            rows[point * g.labels + label] = z


@kernel
def _to_q(filtered: Reals, mixing: Reals, grad: Reals, g: Sizes) -> None:
    """Add to Q's gradient what came through the filters: ``-mu' H``."""
    point, plane = thread()
    if point >= g.points or plane > 0:
        return
    for label in range(g.labels):
        total = grad[label * g.points + point]
        for t in range(g.terms):
            row, mu = (t * g.points + point) * g.labels, t * g.labels * g.labels
            if (g.matrices >> t) & 1:
                for m in range(g.labels):
                    total -= mixing[mu + m * g.labels + label] * filtered[row + m]
            else:
                total += mixing[mu + label] * filtered[row + label]
        grad[label * g.points + point] = total


@kernel
def _mix(values: Reals, mixing: Reals, out: Reals, matrix: bool, transposed: bool, g: Rows) -> None:
    """``-mu`` of points, or ``-mu'``."""
    row, label = row_and_label(g)
    if row < 0:
        return
    along, across = (g.labels, 1) if transposed else (1, g.labels)
    while row < g.rows:
        first = row * g.labels
        total = out.dtype.type(0)
        if matrix:
            for m in range(g.labels):
                total -= mixing[label * across + m * along] * values[first + m]
        else:
            total = mixing[label] * values[first + label]
        out[first + label] = total
        row += step_of_rows(g)


@kernel
def _add_products(
    h: Reals, q: Reals, addends: Reals, labels: int, pairs: bool, points: int, parts: Split
) -> None:
    """A part of the sum over points of ``H q``, of each label or pair of labels."""
    entry, part = thread()
    if entry >= (labels * labels if pairs else labels):
        return
    l = quotient(entry, labels) if pairs else entry
    m = int32(entry - l * labels) if pairs else entry
    while part < parts.parts:
        here = part * (labels * labels if pairs else labels) + entry
        total = addends[here]
        point = int32(part * parts.terms)
        end = min(int32(point + parts.terms), points)
        while point < end:
            total += h[point * labels + l] * q[point * labels + m]
            point = int32(point + 1)
        addends[here] = total
        part = next_plane(part)


@kernel
def _store(sums: Reals, out: Reals, matrix: bool) -> None:
    i, _ = thread()
    if i >= out.size:
        return
    if out.size == sums.size:
        out[i] = -sums[i] if matrix else sums[i]
    else:
        total = out.dtype.type(0)
        for label in range(sums.size):
            total += sums[label]
        out[i] = total


@kernel
def _place(compat: Reals, out: Reals) -> None:
    """A number stands for one of each label."""
    i, _ = thread()
    if i < out.size:
        out[i] = compat[i if compat.size > 1 else 0]


@kernel
def _blend(soft: Reals, before: Reals, out: Reals, damping: float) -> None:
    i, _ = thread()
    if i < out.size:
        out[i] = (out.dtype.type(1) - damping) * soft[i] + damping * before[i]


@kernel
def _note(steps: Longs, image: int, count: int) -> None:
    i, _ = thread()
    if i == 0:
        steps[image] = count


# -- forward ---------------------------------------------------------------------------------------


def check(
    unary: Any, features: tuple[Any, ...], compat: tuple[Any, ...], q0: Any, g: Geometry
) -> None:
    check_on_gpu(features, compat, g)


def check_on_gpu(features: tuple[Any, ...], compat: tuple[Any, ...], g: Geometry) -> None:
    """As check_terms of dense_crf; only ranges come back, unless there is something to refuse."""
    if len(features) > MOST_TERMS:
        raise DeviceError(f"features has {len(features)} arrays, CUDA kernels take {MOST_TERMS}")
    sets = [f.reshape(len(f), d, g.size) for f, d in zip(features, g.dims, strict=True)]
    if unfit(sets, compat, not g.exact):
        check_terms(tuple(map(Cuda.to_host, features)), tuple(map(Cuda.to_host, compat)), g)


def forward(
    unary: Any,
    features: tuple[Any, ...],
    compat: tuple[Any, ...],
    q0: Any,
    y: Any,
    iterates: Any,
    steps: Any,
    g: Geometry,
) -> None:
    planes = (g.n, g.labels, g.size)
    mixing = _mixing(compat, g) if y.size else None
    shared: dict[int, Filter] = {}
    for n in range(g.n):
        count = 0
        if y.size:
            start = None if q0 is None else q0.reshape(planes)[n]
            filters = _filters(features, n, g, shared)
            u, out = unary.reshape(planes)[n], y.reshape(planes)[n]
            count = _infer(u, filters, mixing, start, out, iterates[:, n], g)
        launch(_note, 1, 1, steps, n, count)


def _infer(
    unary: Any, filters: list[Filter], mixing: Any, start: Any, y: Any, kept: Any, g: Geometry
) -> int:
    """The iterations of one image: Q or the logits in y, and how many ran."""
    dtype, sizes = unary.dtype, _sizes(g)
    rows, other = (empty((g.size, g.labels), dtype) for _ in range(2))
    filtered = empty((len(filters), g.size, g.labels), dtype)
    nothing = empty((0,), dtype)
    change = empty((1, g.size), dtype) if g.tolerance >= 0 else nothing
    if start is None:
        arrays = rows, rows, kept[0], nothing if g.iterations else y, nothing
        launch(_iterate, 1, g.size, unary, filtered, mixing, *arrays, 0.0, False,
               sizes._replace(terms=0))  # fmt: skip
    else:
        kept[0].copy_to_device(start)
        rows = rows_of(start)
        if not g.iterations:
            y.copy_to_device(start)
    rooms = [term.room(g.labels) for term in filters] if g.iterations else []
    for k in range(1, g.iterations + 1):
        for t, term in enumerate(filters):
            term.apply(rows, filtered[t], rooms[t])
        result = y if g.tolerance >= 0 or k == g.iterations else nothing
        arrays = rows, other, kept[k], result, change
        launch(_iterate, 1, g.size, unary, filtered, mixing, *arrays, g.damping, g.logits, sizes)
        rows, other = other, rows
        if g.tolerance >= 0 and ranges(change)[0][1, 0] <= g.tolerance:  # the host waits
            return k
    return g.iterations


# -- backward --------------------------------------------------------------------------------------


def backward(
    features: tuple[Any, ...],
    compat: tuple[Any, ...],
    iterates: Any,
    steps: Any,
    gy: Any,
    gu: Any,
    gf: Any,
    gc: Any,
    gq: Any,
    g: Geometry,
) -> None:
    if not gy.size:
        for wanted in (*(gf or ()), *(gc or ())):
            fill_with(wanted, 0)
        return
    planes = (g.n, g.labels, g.size)
    counts = [g.iterations] * g.n if g.tolerance < 0 else Cuda.to_host(steps).tolist()
    sums = _Sums(compat, g, gc is not None)
    shared: dict[int, Filter] = {}
    for n in range(g.n):
        filters = _filters(features, n, g, shared)
        grad = empty(planes[1:], gy.dtype)
        grad.copy_to_device(gy.reshape(planes)[n])
        grad_unary = empty(planes[1:], gy.dtype) if gu is None else gu.reshape(planes)[n]
        fill_with(grad_unary, 0)
        found = [
            Gradient(term, _image(gf[t], n, t, g), n == 0 or not g.shared[t])
            for t, term in enumerate(filters)
            if gf is not None
        ]
        count = min(max(counts[n], 0), g.iterations)
        _back(iterates[:, n], count, filters, sums, grad, grad_unary, found, g)
        for gradient in found:
            gradient.finish()
        if gq is not None:
            gq.reshape(planes)[n].copy_to_device(grad)
    if gc is not None:
        sums.store(gc)


def _back(
    iterates: Any,
    count: int,
    filters: list[Filter],
    sums: _Sums,
    grad: Any,
    grad_unary: Any,
    found: list[Gradient],
    g: Geometry,
) -> None:
    """Back through an image's iterations, ``count`` of them: ``grad``, of the result, becomes that
    of Q at their beginning."""
    sizes = _sizes(g)
    qs = _damped(iterates, count, g)
    nothing = empty((0,), grad.dtype)
    grads = empty((g.size, g.labels), grad.dtype)
    filtered = empty((len(filters), g.size, g.labels), grad.dtype)
    rooms = [term.room(g.labels) for term in filters]
    x, gy, mixed = (empty(grads.shape, grad.dtype) for _ in range(3))
    for k in range(count, 0, -1):
        soft = nothing if g.logits and k == count else iterates[k]
        launch(_through_softmax, 1, g.size, soft, grad, grad_unary, grads, g.damping, sizes)
        tables = [term.transposed(grads, filtered[t], rooms[t]) for t, term in enumerate(filters)]
        launch(_to_q, 1, g.size, filtered, sums.mixing, grad, sizes)
        if sums.wanted or found:
            to_rows(qs[k - 1], x)
            sums.add(filtered, x)
            for t, gradient in enumerate(found):
                sums.mix(t, grads, gy, transposed=True)
                sums.mix(t, x, mixed, transposed=False)
                gradient.add(x, gy, mixed, tables[t])
    if not g.starts:
        arrays = iterates[0], grad, grad_unary, nothing
        launch(_through_softmax, 1, g.size, *arrays, 0.0, sizes)


class _Sums:
    """The compatibilities, and sums for their gradients: over points, images and iterations."""

    def __init__(self, compat: tuple[Any, ...], g: Geometry, wanted: bool) -> None:
        self.mixing, self.g, self.wanted = _mixing(compat, g), g, wanted
        dtype = compat[0].dtype
        self.sums = [empty((g.labels ** max(axes, 1),), dtype) for axes in g.axes if wanted]
        self.splits = [split(sums, g.size) for sums in self.sums]
        for _, addends in self.splits:
            fill_with(addends, 0)

    def add(self, filtered: Any, q: Any) -> None:
        """An iteration's."""
        for t, (parts, addends) in enumerate(self.splits):
            pairs, size = self.g.axes[t] == 2, self.sums[t].size
            arrays = filtered[t], q, addends
            launch(_add_products, parts.parts, size, *arrays, self.g.labels, pairs, self.g.size,
                   parts)  # fmt: skip

    def mix(self, t: int, values: Any, out: Any, transposed: bool) -> None:
        """``-mu`` of points, or ``-mu'``."""
        arrays = values, self.mixing[t], out
        over_rows(_mix, *values.shape, *arrays, self.g.axes[t] == 2, transposed)

    def store(self, gc: tuple[Any, ...]) -> None:
        for t, ((parts, addends), sums) in enumerate(zip(self.splits, self.sums, strict=True)):
            add_up(addends, sums, parts)
            launch(_store, 1, gc[t].size, sums, gc[t], self.g.axes[t] == 2)


def _damped(iterates: Any, count: int, g: Geometry) -> list[Any]:
    """The iterates Q, from those that the softmax gave."""
    qs = [iterates[0]]
    for k in range(1, count):
        q = iterates[k]
        if g.damping > 0:
            q = empty(iterates[k].shape, iterates.dtype)
            launch(_blend, 1, q.size, iterates[k], qs[-1], q, g.damping)
        qs.append(q)
    return qs


# -- what both have --------------------------------------------------------------------------------


def _sizes(g: Geometry) -> Sizes:
    bits = sum(1 << t for t, axes in enumerate(g.axes) if axes == 2)
    return Sizes(g.labels, g.size, len(g.axes), bits)


def _filters(
    features: tuple[Any, ...], n: int, g: Geometry, shared: dict[int, Filter]
) -> list[Filter]:
    """An image's filters; those that all images share are made once."""
    how = How(g.exact, NORMALIZATIONS[g.normalization], g.include_self, g.exact_gradient)
    filters = []
    for t, array in enumerate(features):
        term = shared.get(t) or made(_image(array, n, t, g), how)
        if g.shared[t]:
            shared[t] = term
        filters.append(term)
    return filters


def _image(array: Any, n: int, t: int, g: Geometry) -> Any:
    """An image's features, or their gradient, (D, P)."""
    return array.reshape(len(array), g.dims[t], g.size)[0 if g.shared[t] else n]


def _mixing(compat: tuple[Any, ...], g: Geometry) -> Any:
    """(T, L L): for each term mu, if it is a matrix; else ``-mu`` of each label, then nothing."""
    mixing = empty((len(compat), g.labels * g.labels), compat[0].dtype)
    for t, array in enumerate(compat):
        size = g.labels ** max(g.axes[t], 1)
        launch(_place, 1, size, array, mixing[t][:size])
    return mixing
