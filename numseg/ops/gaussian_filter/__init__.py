"""The Gaussian filter of points in feature space: the heart of a dense CRF."""

from __future__ import annotations

import math

from numseg import checks
from numseg.errors import ArgumentError
from numseg.operator import Plan, Spec, operator
from numseg.ops.gaussian_filter.geometry import (
    GRADIENTS,
    METHODS,
    NORMALIZATIONS,
    Geometry,
    check,
)
from numseg.typing import Array, ArrayLike

__all__ = ["check", "gaussian_filter"]


@operator("x features", saves="x features", linear="x", examines="features")
def gaussian_filter(
    x: ArrayLike,
    features: ArrayLike,
    *,
    method: str = "permutohedral",
    normalization: str = "none",
    include_self: bool = True,
    adjoint: bool = False,
    features_gradient: str = "lattice",
) -> Plan[Array]:
    """Sum values over all points, weighted by a Gaussian of the distance of their features.

    With f_i the features of point i, and i = j included::

        (K x)[n, c, i] = sum over j of K(i, j) x[n, c, j]      K(i, j) = exp(-|f_i - f_j|^2 / 2)

    With pixels' positions and colours for features it is the bilateral filter, and the message that
    the pixels of a fully connected CRF send each other.

    Parameters
    ----------
    x : array, (N, C, ...), float32 or float64
        C values of each point. Any number of axes of points, at least one.
    features : array, (N, D, ...) or (1, D, ...), dtype of x
        D numbers of each point, divided by the standard deviations of the Gaussian; the same axes
        of points. One set may serve all images.
    method : {"permutohedral", "exact"}
        "exact": the sum above. "permutohedral": values go to the vertices of a lattice of simplices
        in the space of features, are blurred along its axes, and come back (Adams, Baek and Davis):
        time is linear in the points, and K is another matrix, close to the first.
    normalization : {"none", "before", "after", "symmetric"}
        With ``n = K 1``: K x, ``K (x / n)``, ``(K x) / n``, or ``n^-1/2 K (n^-1/2 x)``. To n, 1e-20
        is added.
    include_self : bool
        False: K without its diagonal, which is taken to be 1: ``K x - x``, and ``n = K 1 - 1``.
        Where n is not positive then, no other point is near, and what it divides counts as 0.
    adjoint : bool
        The transposed operator. The lattice's K is not symmetric: its transpose blurs along the
        axes in the opposite order.
    features_gradient : {"lattice", "exact"}
        Which gradient features have if the method is "permutohedral". "lattice": that of what is
        computed, with the simplices that points are in held fixed. "exact": that of the exact sum,
        whose own sums over points are computed by the lattice.

    Returns
    -------
    array, shape and dtype of x

    Raises
    ------
    ArgumentError
        For a wrong rank or dtype, axes of points or a number of images that do not belong together,
        no features, a feature that is NaN or infinite, features so far apart that vertices have no
        numbers, or an unknown word.

    Notes
    -----
    Each sum is in the order of the points, and so the same on any number of threads. The exact
    method computes in float64. The lattice finds simplices in float64, and sums in the dtype of x.

    Gradient: for x, the operator's transpose. For features as said above, through n too.

    Kinks: with the lattice, where a point crosses from one simplex into another the value is not
    differentiable; it jumps if the point brings a vertex with it that no other point has.

    Source: Krähenbühl and Koltun, Efficient Inference in Fully Connected CRFs, 2011; Adams, Baek
    and Davis, Fast High-Dimensional Filtering Using the Permutohedral Lattice, 2010; pydensecrf.
    The gradient "exact": Kapoor et al., SKIing on Simplices, 2021.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> x = np.array([[[1.0, 0.0, 0.0]]])  # three points: two at 0, one at 1
    >>> features = np.array([[[0.0, 0.0, 1.0]]])
    >>> ns.gaussian_filter(x, features, method="exact").round(4)
    array([[[1.    , 1.    , 0.6065]]])
    """
    dtype = checks.floats(x=x, features=features)
    (n, c, *_), _ = checks.leading_axes("x", x, "n c points")
    axes = tuple(x.shape[2:])
    (sets, d, *_), _ = checks.leading_axes("features", features, "n d points")
    if tuple(features.shape[2:]) != axes:
        raise ArgumentError(
            f"features has the axes of points {tuple(features.shape[2:])}, but x has {axes}"
        )
    if sets not in (1, n):
        raise ArgumentError(f"features has {sets} sets, expected 1 or one for each of x's {n}")
    checks.integer("features' number for each point", d, 1)
    points = math.prod(axes)
    lattice = checks.choice("method", method, METHODS) == "permutohedral"
    normalization = checks.choice("normalization", normalization, NORMALIZATIONS)
    gradient = checks.choice("features_gradient", features_gradient, GRADIENTS)
    if lattice:
        # to the vertices, along D + 1 axes between as many vertices as points, and back
        flops = (sets * (d + 1) * 3 * d + n * c * (d + 1) * (2 + 3 + 2)) * points
    else:
        flops = (sets * (3 * d + 2) + n * c * 2) * points * points
    return Plan(
        outputs=(Spec(tuple(x.shape), dtype),),
        geometry=Geometry(
            *(n, c, points, d, sets, lattice),
            normalization=NORMALIZATIONS.index(normalization),
            include_self=checks.flag("include_self", include_self),
            adjoint=checks.flag("adjoint", adjoint),
            exact_gradient=gradient == "exact" or not lattice,
        ),
        flops=flops,
        reach=None,
    )
