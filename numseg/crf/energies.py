"""The energy of a labelling, and the divergence that mean-field inference minimises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from numseg import checks, device
from numseg.errors import ArgumentError
from numseg.ops.dense_crf import dense_crf
from numseg.ops.gaussian_filter import gaussian_filter
from numseg.typing import Array, ArrayLike

FORMS = ("kl", "pydensecrf")


class Energy(NamedTuple):
    """Of a labelling of each image, float64."""

    unary: Array
    """(N,): the sum of its labels' energies."""
    pairwise: Array
    """(N, T): of each term."""

    @property
    def total(self) -> Array:
        """(N,)"""
        total: Array = self.unary + self.pairwise.sum(1)
        return total


class Divergence(NamedTuple):
    """Of a distribution from a CRF's, up to its log Z, for each image, float64."""

    entropy: Array
    """(N,): ``sum of Q log Q``, the negative of the entropy."""
    unary: Array
    """(N,): ``sum of Q U``."""
    pairwise: Array
    """(N, T): of each term, ``sum of Q (mu K Q)``; half of it by form "kl"."""

    @property
    def total(self) -> Array:
        """(N,)"""
        total: Array = self.entropy + self.unary + self.pairwise.sum(1)
        return total


def energy(
    labels: ArrayLike,
    unary: ArrayLike,
    features: Sequence[ArrayLike],
    compat: Sequence[ArrayLike],
    *,
    method: str = "permutohedral",
    normalization: str = "symmetric",
    include_self: bool = True,
) -> Energy:
    """The energy of a labelling: ``E(x) = sum of U_i(x_i) + 1/2 sum of mu_t(x_i, x_j) K_t(i, j)``.

    The second sum is over terms t, and over all pairs of points in both orders, which is why it is
    halved: a pair counts once, by the mean of the two orders where mu or K is not symmetric.

    Parameters
    ----------
    labels : array of integers, (N, ...)
    unary, features, compat, method, normalization, include_self :
        As of :func:`numseg.dense_crf`. With ``include_self``, pairs of a point and itself count,
        half of ``mu(x_i, x_i) K(i, i)``, as they do in inference: under a constant diagonal of mu
        the same for all labellings.

    Returns
    -------
    Energy
        ``.unary`` (N,), ``.pairwise`` (N, T), and ``.total`` (N,), in float64.

    Raises
    ------
    ArgumentError
        As :func:`numseg.dense_crf`; for labels of another shape, or that unary does not have.

    Notes
    -----
    Source: Krähenbühl and Koltun 2011, equation 1. pydensecrf's ``unaryEnergy`` and
    ``pairwiseEnergy`` are these of single points, the latter with the opposite sign.

    Examples
    --------
    Two points together, of different labels: ``1 + 0`` for themselves, and no gain as a pair.

    >>> import numpy as np
    >>> from numseg import crf
    >>> unary, at = np.array([[[0.0, 0.0], [1.0, 0.0]]]), [np.zeros((1, 1, 2))]
    >>> how = {"normalization": "none", "include_self": False, "method": "exact"}
    >>> crf.energy(np.array([[1, 0]]), unary, at, [np.array(3.0)], **how).total
    array([1.])
    >>> crf.energy(np.array([[0, 0]]), unary, at, [np.array(3.0)], **how).total
    array([-3.])
    """
    how = {"method": method, "normalization": normalization, "include_self": include_self}
    unary = _checked(unary, features, compat, how)
    labels = device.Host.view("labels", labels)
    checks.integers(labels=labels)
    checks.shape("labels", labels, (unary.shape[0], *unary.shape[2:]), "the points of unary")
    checks.labels("labels", labels, unary.shape[1])
    chosen = np.arange(unary.shape[1]).reshape(-1, *[1] * (labels.ndim - 1)) == labels[:, None]
    own = np.where(chosen, unary, 0)  # others' infinities count for nothing
    q = chosen.astype(unary.dtype)
    return Energy(_sums(own), _pairwise(q, features, compat, how) / 2)


def kl_divergence(
    q: ArrayLike,
    unary: ArrayLike,
    features: Sequence[ArrayLike],
    compat: Sequence[ArrayLike],
    *,
    form: str = "kl",
    method: str = "permutohedral",
    normalization: str = "symmetric",
    include_self: bool = True,
) -> Divergence:
    """How far independent points Q are from the CRF's distribution, ``exp(-E) / Z``, up to log Z.

    Parameters
    ----------
    q : array, (N, L, ...)
        Probabilities; those of a point add up to 1 (not checked).
    form : {"kl", "pydensecrf"}
        ``sum Q log Q + sum Q U + 1/2 sum Q (mu K Q)``: the Kullback-Leibler divergence of Q from
        the CRF less log Z, which mean-field inference minimises; or, as pydensecrf's
        ``klDivergence``, with the whole of the last sum.
    unary, features, compat, method, normalization, include_self :
        As of :func:`numseg.dense_crf`. ``K(i, i)`` counts as a pair of independent points of the
        same distribution; without ``include_self`` the divergence is exact.

    Returns
    -------
    Divergence
        ``.entropy`` (N,), ``.unary`` (N,), ``.pairwise`` (N, T), and ``.total`` (N,), in float64.
        What has probability 0 counts for nothing, whatever its energy.

    Raises
    ------
    ArgumentError
        As :func:`numseg.dense_crf`; for q of another shape or dtype than unary, or negative.

    Notes
    -----
    Source: Krähenbühl and Koltun 2011, section 3 and its supplement; pydensecrf.

    Examples
    --------
    >>> import numpy as np
    >>> from numseg import crf
    >>> q, unary, at = np.full((1, 2, 1), 0.5), np.array([[[0.0], [1.0]]]), [np.zeros((1, 1, 1))]
    >>> found = crf.kl_divergence(q, unary, at, [np.array(2.0)])
    >>> found.entropy.round(3), found.unary, found.pairwise
    (array([-0.693]), array([0.5]), array([[-0.5]]))
    >>> crf.kl_divergence(q, unary, at, [np.array(2.0)], form="pydensecrf").pairwise
    array([[-1.]])
    """
    how = {"method": method, "normalization": normalization, "include_self": include_self}
    factor = 0.5 if checks.choice("form", form, FORMS) == "kl" else 1.0
    unary = _checked(unary, features, compat, how, q)
    q = device.Host.view("q", q)
    if (q < 0).any():
        raise ArgumentError(f"q has the probability {q[q < 0][0]:g}, expected none below 0")
    present = q != 0
    wide = q.astype(np.float64)
    entropy = wide * np.log(np.where(present, wide, 1))
    own = np.where(present, unary, 0) * wide
    return Divergence(_sums(entropy), _sums(own), factor * _pairwise(q, features, compat, how))


def _checked(unary: Any, features: Any, compat: Any, how: dict[str, Any], q: Any = None) -> Array:
    """Unary as an array of NumPy, once dense_crf would take all this."""
    dense_crf.bind((unary, features, compat, q), {**how, "iterations": 1})
    return device.Host.view("unary", unary)


def _pairwise(q: Array, features: Any, compat: Any, how: dict[str, Any]) -> Array:
    """(N, T): ``sum over points and labels of Q (mu K Q)``."""
    found = []
    for f, c in zip(features, compat, strict=True):
        mixed = gaussian_filter(q, f, **how).astype(np.float64)
        c = np.asarray(c, np.float64)
        if c.ndim == 2:
            mixed = np.einsum("lm,nm...->nl...", c, mixed)
        else:
            mixed *= -c.reshape(-1, *[1] * (q.ndim - 2))
        found.append(_sums(q * mixed))
    return np.stack(found, 1)


def _sums(array: Array) -> Array:
    """Of each image."""
    sums: Array = array.sum(tuple(range(1, array.ndim)), dtype=np.float64)
    return sums
