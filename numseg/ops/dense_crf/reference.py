"""dense_crf by its definition. Filters are those of gaussian_filter's definition, of points as
rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.ops.dense_crf.geometry import Geometry
from numseg.ops.gaussian_filter import reference as gaussian
from numseg.ops.gaussian_filter.geometry import Geometry as FilterGeometry
from numseg.ops.gaussian_filter.reference import Normalized
from numseg.typing import Array


def forward(
    unary: Array,
    features: tuple[Array, ...],
    compat: tuple[Array, ...],
    q0: Array | None,
    g: Geometry,
) -> tuple[Array, Array, Array]:
    y, iterates, steps = np.empty(unary.shape), _iterates(g), np.zeros(g.n, int)
    for n in range(g.n):
        terms = _terms(features, n, g)
        u = unary[n].reshape(g.labels, g.size)
        q = _softmax(-u) if q0 is None else q0[n].reshape(g.labels, g.size)
        iterates[0, n], result = q, q
        for k in range(1, g.iterations + 1):
            z = -u
            for term, c in zip(terms, compat, strict=True):
                z = z - _mixed(c, term.apply(q.T).T)
            iterates[k, n] = _softmax(z)
            before, q = q, _between(iterates[k, n], q, g)
            result, steps[n] = z if g.logits else q, k
            if np.max(np.abs(q - before), initial=0) <= g.tolerance:
                break
        y[n] = result.reshape(unary.shape[1:])
    return y, iterates, steps


def backward(
    features: tuple[Array, ...],
    compat: tuple[Array, ...],
    iterates: Array,
    steps: Array,
    gy: Array,
    g: Geometry,
) -> tuple[Any, ...]:
    gf, gc = ([np.zeros(a.shape) for a in arrays] for arrays in (features, compat))
    gu, gq0 = np.zeros((2, g.n, g.labels, g.size))
    for n in range(g.n):
        terms = _terms(features, n, g)
        count = min(max(int(steps[n]), 0), g.iterations)
        qs = damped(iterates[: count + 1, n], g)
        gq = gy[n].reshape(g.labels, g.size)
        for k in range(count, 0, -1):
            if g.logits and k == count:
                gz, gq = gq, np.zeros_like(gq)
            else:
                gz = _softmax_gradient(iterates[k, n], (1 - g.damping) * gq)
                gq = g.damping * gq if g.damping else np.zeros_like(gq)
            gu[n] -= gz
            q = qs[k - 1]
            for t, (term, c) in enumerate(zip(terms, compat, strict=True)):
                # <gz, mu K q> = <K' gz, mu' q>
                back = term.apply(gz.T, transposed=True).T
                gq = gq - _mixed(c, back, transposed=True)
                gc[t] += _compat_gradient(c, back, q)
                into = gf[t][0 if len(gf[t]) == 1 else n]
                grad = _mixed(c, gz, transposed=True).T
                into -= term.features_gradient(grad, q.T).T.reshape(into.shape)
        if g.starts:
            gq0[n] = gq
        else:
            gu[n] -= _softmax_gradient(iterates[0, n], gq)
    return gu, tuple(gf), tuple(gc), gq0


def damped(softmaxes: Array, g: Geometry) -> Array:
    """The iterates Q, from those that the softmax gave."""
    qs = softmaxes.copy()
    for k in range(1, len(qs)):
        qs[k] = _between(softmaxes[k], qs[k - 1], g)
    return qs


def _between(new: Array, old: Array, g: Geometry) -> Array:
    """Damped; without damping, what was does not matter, infinite or not."""
    return (1 - g.damping) * new + g.damping * old if g.damping else new


def _iterates(g: Geometry) -> Array:
    return np.zeros((g.iterations + 1, g.n, g.labels, g.size))


def _terms(features: tuple[Array, ...], n: int, g: Geometry) -> list[Normalized]:
    """An image's filters."""
    found = []
    for f, d in zip(features, g.dims, strict=True):
        one = FilterGeometry(
            *(1, g.labels, g.size, d, 1, not g.exact),
            normalization=g.normalization,
            include_self=g.include_self,
            adjoint=False,
            exact_gradient=g.exact_gradient,
        )
        image = f[0 if len(f) == 1 else n].reshape(d, g.size)
        found.append(gaussian.normalized(image.T, one))
    return found


def _softmax(z: Array) -> Array:
    e = np.exp(z - z.max(0, initial=-np.inf))
    return e / e.sum(0)


def _softmax_gradient(y: Array, gy: Array) -> Array:
    return y * (gy - (gy * y).sum(0))


def _mixed(compat: Array, f: Array, transposed: bool = False) -> Array:
    """``mu f``, or ``mu' f``: a number or a vector attracts."""
    if compat.ndim < 2:
        return -compat.reshape(-1, 1) * f
    return (compat.T if transposed else compat) @ f


def _compat_gradient(compat: Array, back: Array, q: Array) -> Array:
    if compat.ndim == 2:
        return -back @ q.T
    by_label = (back * q).sum(1)
    return by_label if compat.ndim else by_label.sum()


def tangent(
    features: tuple[Array, ...],
    compat: tuple[Array, ...],
    iterates: Array,
    du: Array,
    df: tuple[Array, ...] | None,
    dc: tuple[Array, ...] | None,
    dq0: Array | None,
    n: int,
    g: Geometry,
) -> Array:
    """The derivative of image n's result along motions of all arrays; None: it does not move."""
    terms, qs = _terms(features, n, g), damped(iterates, g)
    dq = _softmax_gradient(iterates[0], -du) if dq0 is None else dq0
    for k in range(1, len(qs)):
        dz = -du
        for t, (term, c) in enumerate(zip(terms, compat, strict=True)):
            moved = term.apply(dq.T)
            if df is not None:
                motion = df[t][0 if len(df[t]) == 1 else n].reshape(-1, g.size).T
                moved = moved + term.motion(motion, qs[k - 1].T, False)
            dz = dz - _mixed(c, moved.T)
            if dc is not None:
                dz = dz - _mixed(dc[t], term.apply(qs[k - 1].T).T)
        if g.logits and k == len(qs) - 1:
            return dz
        dq = _between(_softmax_gradient(iterates[k], dz), dq, g)
    return dq
