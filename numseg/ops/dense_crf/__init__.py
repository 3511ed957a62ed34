"""Mean-field inference in a fully connected conditional random field."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from numseg import checks
from numseg.errors import ArgumentError
from numseg.operator import Plan, Spec, operator
from numseg.ops.dense_crf.geometry import OUTPUTS, Geometry
from numseg.ops.gaussian_filter.geometry import GRADIENTS, METHODS, NORMALIZATIONS
from numseg.ops.gaussian_filter.geometry import check as check_filter
from numseg.typing import Array, ArrayLike


@operator(
    "unary features compat q0",
    outputs="y iterates steps",
    saves="features compat iterates steps",
    examines="features compat",
    skippable="iterates",
)
def dense_crf(
    unary: ArrayLike,
    features: Sequence[ArrayLike],
    compat: Sequence[ArrayLike],
    q0: ArrayLike | None = None,
    *,
    iterations: int = 10,
    method: str = "permutohedral",
    normalization: str = "symmetric",
    include_self: bool = True,
    damping: float = 0.0,
    tolerance: float | None = None,
    output: str = "probabilities",
    features_gradient: str = "lattice",
) -> Plan[Array]:
    """Mean-field inference in a conditional random field that connects all pairs of points.

    From ``Q = softmax(-unary)`` or q0, ``iterations`` times:
    ``Q = softmax(-unary - sum over terms of mu_t (K_t Q))``. The sum is over as many terms as there
    are arrays of features; K_t is the Gaussian filter by the term's features
    (:func:`numseg.gaussian_filter`), mu_t an (L, L) matrix of compatibilities.

    Parameters
    ----------
    unary : array, (N, L, ...), float32 or float64
        Energies of L labels: ``-log p``, or the negatives of logits. At least one axis of points.
        Infinity: the point never has the label.
    features : sequence of T arrays, (N, D, ...) or (1, D, ...), dtype of unary
        Of the points, already divided by the kernel's standard deviations; (1, D, ...) for
        features that all images share. :func:`numseg.spatial_features`,
        :func:`numseg.bilateral_features`.
    compat : sequence of T arrays, (), (L,) or (L, L), dtype of unary
        A number w attracts equal labels: ``mu = -w I``. (L,), v, does so by label:
        ``mu = -diag(v)``. A matrix is mu itself, what a label (row) pays for another one (column);
        it is not made symmetric.
    q0 : array, (N, L, ...), dtype of unary, optional
        What to begin with, in the place of ``softmax(-unary)``; taken as it is.
    iterations : int
        At most so many. With 0 the result is what iterations begin with.
    method : {"permutohedral", "exact"}
        How K is applied: by the permutohedral lattice, linear in the points, or by the sum over
        all pairs.
    normalization : {"symmetric", "before", "after", "none"}
        With ``n = K 1``: ``n**-1/2 K n**-1/2``, ``K / n`` before or after the sum, or K.
    include_self : bool
        False: without the term i = j of the sum, of weight 1, in n too.
    damping : float
        ``a`` in [0, 1): each iteration gives ``(1 - a) Q + a`` times the Q before.
    tolerance : float, optional
        Stop, each image by itself, after an iteration that changed no number of Q by more.
    output : {"probabilities", "logits"}
        Q, or what the last iteration takes the softmax of: CRF-as-RNN's result, for a loss that
        takes logits. That needs an iteration.
    features_gradient : {"lattice", "exact"}
        Of the lattice as it is computed, whose points stay in their simplices, or that of K, whose
        sums are approximated by filtering. The same for ``method="exact"``.

    Returns
    -------
    array, (N, L, ...), dtype of unary

    Raises
    ------
    ArgumentError
        For a wrong rank, shape or dtype, no term, other counts of features and compat, features
        that are not finite or too far apart for the lattice, compatibilities that are not finite,
        logits of no iteration.

    Notes
    -----
    Energies that are NaN, or infinite for all labels of a point, make the point NaN, and all that
    filters mix it with.

    Gradient: of unary, q0, compat and features, back through all iterations that ran; of features
    also through n. ``tolerance`` decides how many ran, and no more. Kinks: none, but that the
    lattice jumps where a point moves from one simplex to the next.

    Source: Krähenbühl and Koltun 2011, "Efficient inference in fully connected CRFs"; 2013,
    "Parameter learning and convergent inference for dense random fields"; Zheng et al. 2015,
    "Conditional random fields as recurrent neural networks". ``DenseCRF.inference`` of pydensecrf,
    whose 1-D compatibilities have the other sign, and whose matrices are made symmetric.

    Examples
    --------
    One pixel, which is its own neighbour: 0.73 of softmax(0, -1) becomes more certain.

    >>> import numpy as np, numseg as ns
    >>> unary = np.array([[[0.0], [1.0]]])
    >>> ns.dense_crf(unary, [np.zeros((1, 1, 1))], [np.array(5.0)], iterations=1).round(3)
    array([[[0.965],
            [0.035]]])
    """
    return planned(
        unary, features, compat, q0, "q0", iterations, method, normalization, include_self,
        damping, tolerance, output, features_gradient,
    )  # fmt: skip


def planned(
    unary: ArrayLike,
    features: Sequence[ArrayLike],
    compat: Sequence[ArrayLike],
    start: ArrayLike | None,
    start_name: str,
    iterations: int,
    method: str,
    normalization: str,
    include_self: bool,
    damping: float,
    tolerance: float | None,
    output: str,
    features_gradient: str,
) -> Plan[Array]:
    """The plan of dense_crf and of mean_field_step."""
    features = checks.sequence("features", features)
    compat = checks.sequence("compat", compat)
    terms = {f"features[{t}]": array for t, array in enumerate(features)}
    terms |= {f"compat[{t}]": array for t, array in enumerate(compat)}
    dtype = checks.floats(unary=unary, **terms, **{start_name: start})
    (n, labels), points = checks.leading_axes("unary", unary, "n l")
    if not points:
        raise ArgumentError(
            f"unary has shape {tuple(unary.shape)}, expected at least 3 axes (n, l, ...)"
        )
    if len(features) != len(compat):
        raise ArgumentError(f"features has {len(features)} arrays, but compat has {len(compat)}")
    if start is not None:
        checks.shape(start_name, start, tuple(unary.shape), "the shape of unary")
    iterations = checks.integer("iterations", iterations, 0)
    logits = checks.choice("output", output, OUTPUTS) == "logits"
    if logits and not iterations:
        raise ArgumentError("output is 'logits', which iterations = 0 has none of")
    damping = checks.real("damping", damping, 0.0, 1.0)
    if damping == 1:
        raise ArgumentError("damping must be less than 1, got 1.0")
    dims = [_features(f"features[{t}]", f, n, points) for t, f in enumerate(features)]
    size = math.prod(points)
    geometry = Geometry(
        n=n,
        labels=labels,
        size=size,
        dims=tuple(dims),
        shared=tuple(f.shape[0] == 1 != n for f in features),
        axes=tuple(_compat(f"compat[{t}]", c, labels) for t, c in enumerate(compat)),
        starts=start is not None,
        iterations=iterations,
        exact=checks.choice("method", method, METHODS) == "exact",
        normalization=NORMALIZATIONS.index(
            checks.choice("normalization", normalization, NORMALIZATIONS)
        ),
        include_self=checks.flag("include_self", include_self),
        damping=damping,
        tolerance=-1.0 if tolerance is None else checks.real("tolerance", tolerance, 0.0),
        logits=logits,
        exact_gradient=checks.choice("features_gradient", features_gradient, GRADIENTS) == "exact",
    )
    return Plan(
        outputs=(
            Spec(tuple(unary.shape), dtype),
            Spec((iterations + 1, n, labels, size), dtype),
            Spec((n,), np.dtype(np.int64)),
        ),
        geometry=geometry,
        flops=n * size * labels * (5 + iterations * (5 + sum(_flops(geometry)))),
        reach=None,
    )


def _features(name: str, features: ArrayLike, n: int, points: tuple[int, ...]) -> int:
    """How many features there are."""
    (images, d), rest = checks.leading_axes(name, features, "n d")
    if rest != points or images not in (1, n):
        expected = "1" if n == 1 else f"{n} or 1"
        raise ArgumentError(
            f"{name} has shape {tuple(features.shape)}, expected ({expected}, d, "
            f"{', '.join(map(str, points))}), the images and points of unary"
        )
    return checks.integer(f"{name}.shape[1]", d, 1)


def _compat(name: str, compat: ArrayLike, labels: int) -> int:
    """How many axes the compatibilities have."""
    axes = len(compat.shape)
    if axes > 2 or any(size != labels for size in compat.shape):
        raise ArgumentError(
            f"{name} has shape {tuple(compat.shape)}, expected (), ({labels},) or "
            f"({labels}, {labels}), for the labels of unary"
        )
    return axes


def _flops(g: Geometry) -> list[int]:
    """Of each term, for a label of a point: the kernel's sum, or to splat and to slice (what a blur
    takes depends on how many vertices the points have); the compatibilities."""
    filtering = [2 * g.size if g.exact else 4 * (d + 1) for d in g.dims]
    mixing = [2 * g.labels if axes == 2 else 2 for axes in g.axes]
    return [a + b for a, b in zip(filtering, mixing, strict=True)]


def check(
    unary: Any, features: tuple[Array, ...], compat: tuple[Array, ...], q0: Any, g: Geometry
) -> None:
    check_terms(features, compat, g)


def check_terms(features: tuple[Array, ...], compat: tuple[Array, ...], g: Geometry) -> None:
    """Features can be put on a lattice, compatibilities are finite."""
    for t, (array, c) in enumerate(zip(features, compat, strict=True)):
        size = _Set(len(array), g.size, g.dims[t], not g.exact)
        try:
            check_filter(None, array, size)
        except ArgumentError as error:
            raise ArgumentError(str(error).replace("features", f"features[{t}]", 1)) from None
        if not np.isfinite(c).all():
            value = c[~np.isfinite(c)][0]
            raise ArgumentError(f"compat[{t}] has a value {value}, expected finite numbers")


class _Set(NamedTuple):
    """What gaussian_filter's check knows of one array of features."""

    groups: int
    points: int
    d: int
    lattice: bool
