"""Mean field one step at a time, on terms that are built once and kept.

``ns.dense_crf`` runs all its steps in one call. Here the caller has the marginals between any two
of them: to show progress, to look at a divergence, to stop.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from numseg.kernels.lattice import exact
from numseg.kernels.lattice.build import build
from numseg.kernels.lattice.filter import filtered
from numseg.ops.gaussian_filter.geometry import Geometry, check
from numseg.typing import Array

TINY = 1e-20
"""What is added to n = K 1 before anything is divided by it."""


class Term(NamedTuple):
    """A pairwise term. Values are (points, labels), a row of labels to a point."""

    filter: Callable[[Array, Array], None]
    """``filter(values, out)``: out = K values."""
    before: Array | None
    """(points, 1): what values are multiplied by before they are filtered,"""
    after: Array | None
    """and after."""
    mu: Array
    """(), (labels,) or (labels, labels): what labels pay for each other; the first two are
    diagonals."""

    def apply(self, q: Array) -> Array:
        """``mu K q``: what each label pays at each point."""
        out = np.empty_like(q)
        self.filter(q if self.before is None else self.before * q, out)
        if self.after is not None:
            out *= self.after
        return out @ self.mu.T if self.mu.ndim == 2 else out * self.mu


def term(
    features: Array, mu: Array, normalization: str = "symmetric", method: str = "permutohedral"
) -> Term:
    """The term of features (points, D), which are divided by their widths.

    Parameters
    ----------
    features : array, (points, D)
    mu : array, (), (labels,) or (labels, labels)
        Of the features' dtype. Negative numbers on the diagonal are attraction.
    normalization : {"none", "before", "after", "symmetric"}
    method : {"permutohedral", "exact"}
        As of ``ns.gaussian_filter``.

    Raises
    ------
    ArgumentError
        For features that are too far apart for the lattice.
    """
    run: Callable[[Array, Array], None]
    if method == "exact":
        run = functools.partial(exact.filtered, features)
    else:
        points, d = features.shape
        check(None, features.T[None], Geometry(1, 1, points, d, 1, True, 0, True, False, False))
        run = functools.partial(filtered, build(features))
    if normalization == "none":
        return Term(run, None, None, mu)
    n = np.empty((len(features), 1), features.dtype)
    run(np.ones_like(n), n)
    n += features.dtype.type(TINY)
    scale = 1 / (np.sqrt(n) if normalization == "symmetric" else n)
    before = None if normalization == "after" else scale
    return Term(run, before, None if normalization == "before" else scale, mu)


def step(logits: Array, terms: list[Term], q: Array) -> Array:
    """``softmax(-U - sum over terms of mu K q)``, of ``logits`` = -U and q (points, labels)."""
    total = logits.copy()
    for each in terms:
        total -= each.apply(q)
    return softmax(total)


def softmax(logits: Array) -> Array:
    """Over the labels of each point."""
    found = np.exp(logits - logits.max(axis=1, keepdims=True))
    found /= found.sum(axis=1, keepdims=True)
    return found
