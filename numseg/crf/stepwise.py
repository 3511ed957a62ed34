"""Mean field one step at a time, on filters that are made once and kept.

``ns.dense_crf`` runs all its iterations in one call. Here the caller has the marginals between any
two of them: to show progress, to look at a divergence, to stop. On the CPU, without gradients.
"""

from __future__ import annotations

import numpy as np

from numseg.kernels.lattice.passes import Lattices
from numseg.ops.dense_crf import check_terms, cpu, terms
from numseg.ops.dense_crf.geometry import Geometry
from numseg.ops.gaussian_filter.geometry import NORMALIZATIONS
from numseg.ops.softmax import softmax
from numseg.typing import Array


class MeanField:
    """The terms of one image's CRF.

    Parameters
    ----------
    labels, points : int
    """

    def __init__(self, labels: int, points: int) -> None:
        self._filters: list[terms.Filter] = []
        self._compat: list[Array] = []
        self._lattices: Lattices | None = None
        self._geometry = Geometry(
            n=1, labels=labels, size=points, dims=(), shared=(), axes=(), starts=False,
            iterations=0, exact=False, normalization=0, include_self=True, damping=0.0,
            tolerance=-1.0, logits=False, exact_gradient=False,
        )  # fmt: skip

    def add(
        self,
        features: Array,
        compat: Array,
        normalization: str = "symmetric",
        method: str = "permutohedral",
    ) -> None:
        """Add a term: its lattice is built here.

        Parameters
        ----------
        features : array, (D, points)
            Divided by their widths.
        compat : array, (), (labels,) or (labels, labels), dtype of features
            As of ``ns.dense_crf``: numbers attract, a matrix is mu itself.
        normalization, method : str
            As of ``ns.dense_crf``, for this term alone.

        Raises
        ------
        ArgumentError
            For features that are not finite, or too far apart for the lattice.
        """
        g = self._geometry._replace(
            dims=(len(features),),
            exact=method == "exact",
            normalization=NORMALIZATIONS.index(normalization),
        )
        check_terms((features[None],), (compat,), g)
        self._filters.append(terms.made(features, g))
        self._compat.append(compat)
        self._lattices = None

    def start(self, unary: Array) -> Array:
        """``softmax(-unary)``, for unary (labels, points)."""
        return softmax(-unary, dim=0)

    def steps(self, unary: Array, q: Array, count: int = 1) -> Array:
        """q after so many times ``softmax(-unary - sum over terms of mu K q)``."""
        if not count:
            return q
        return self._infer(unary, q, count, False) if self._filters else self.start(unary)

    def messages(self, q: Array) -> Array:
        """What a step adds to ``-unary``: ``- sum over terms of mu K q``."""
        nothing = np.zeros_like(q)
        return self._infer(nothing, q, 1, True) if self._filters else nothing

    def _infer(self, unary: Array, q: Array, count: int, logits: bool) -> Array:
        g = self._geometry._replace(iterations=count, logits=logits)
        found = np.empty_like(unary)
        compat = cpu.compatibilities(tuple(self._compat), g)
        if self._lattices is None:
            self._lattices = terms.together(self._filters, g.size)
        cpu.infer(unary, self._filters, self._lattices, compat, q, found, None, g)
        return found
