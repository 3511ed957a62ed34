"""One step of mean-field inference."""

from __future__ import annotations

from collections.abc import Sequence

from numseg.operator import Plan, operator
from numseg.ops.dense_crf import check_terms, planned
from numseg.ops.dense_crf.geometry import Geometry
from numseg.typing import Array, ArrayLike


@operator(
    "q unary features compat",
    outputs="y iterates steps",
    saves="features compat iterates steps",
    examines="features compat",
    skippable="iterates",
    finite="q iterates",  # sums over vertices: an infinite one, times a gradient of 0, is NaN
)
def mean_field_step(
    q: ArrayLike,
    unary: ArrayLike,
    features: Sequence[ArrayLike],
    compat: Sequence[ArrayLike],
    *,
    method: str = "permutohedral",
    normalization: str = "symmetric",
    include_self: bool = True,
    damping: float = 0.0,
    output: str = "probabilities",
    features_gradient: str = "lattice",
) -> Plan[Array]:
    """One step of mean-field inference: :func:`numseg.dense_crf` of one iteration, from q.

    ``y = softmax(-unary - sum over terms of mu_t (K_t q))``.

    Parameters
    ----------
    q : array, (N, L, ...), float32 or float64
        Probabilities of L labels; taken as they are.
    unary : array, (N, L, ...), dtype of q
        Energies of the labels.
    features, compat : sequences of T arrays, dtype of q
        The filters and the compatibilities of the terms.
    method, normalization, include_self, damping, output, features_gradient :
        As of :func:`numseg.dense_crf`.

    Returns
    -------
    array, (N, L, ...), dtype of q

    Raises
    ------
    ArgumentError
        As of :func:`numseg.dense_crf`.

    Notes
    -----
    Gradient: of all arrays, as of :func:`numseg.dense_crf`.

    Source: Krähenbühl and Koltun 2011, algorithm 1; ``DenseCRF.stepInference`` of pydensecrf.

    Examples
    --------
    Two pixels apart see themselves alone; side by side, they share what they have.

    >>> import numpy as np, numseg as ns
    >>> q = np.array([[[0.9, 0.5], [0.1, 0.5]]])
    >>> apart, near = np.array([[[0.0, 100.0]]]), np.array([[[0.0, 0.0]]])
    >>> for points in (apart, near):
    ...     y = ns.mean_field_step(q, 0 * q, [points], [np.array(2.0)], method="exact")
    ...     print(y[0, 0].round(3))
    [0.832 0.5  ]
    [0.69 0.69]
    """
    return planned(
        unary, features, compat, q, "q", 1, method, normalization, include_self, damping, None,
        output, features_gradient,
    )  # fmt: skip


def check(
    q: object, unary: object, features: tuple[Array, ...], compat: tuple[Array, ...], g: Geometry
) -> None:
    check_terms(features, compat, g)
