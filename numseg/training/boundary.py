"""How well a segmentation's boundaries lie on the true ones."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from scipy import ndimage

from numseg import checks
from numseg.data.dataset import check_classes
from numseg.data.labels import as_labels
from numseg.training.devices import to_host
from numseg.typing import Array, ArrayLike

TOLERANCE = 0.0075
"""The share of the diagonal by which a boundary may be off (Csurka et al., 2013)."""


def boundary_f1(
    truth: ArrayLike,
    prediction: ArrayLike,
    classes: int,
    ignore_index: int | None = None,
    tolerance: float = TOLERANCE,
) -> Array:
    """The boundary F1 measure of one picture, class by class (Csurka et al., 2013).

    A pixel lies on the boundary of its class if one of its four neighbours has another class; the
    picture's border and ignored pixels are no neighbours. Of a class, precision is the share of the
    predicted boundary's pixels that have a pixel of the true boundary within the tolerance, recall
    the share of the true boundary's pixels that have one of the predicted boundary, by Euclidean
    distance; F1 is ``2 precision recall / (precision + recall)``.

    Parameters
    ----------
    truth, prediction : array, (H, W), integers or bools
    classes : int
    ignore_index : int, optional
        Pixels with this truth count nowhere, whatever is predicted there.
    tolerance : float
        In shares of the picture's diagonal, ``sqrt(H**2 + W**2)`` pixels.

    Returns
    -------
    array, (classes,), float64
        0 where one of the two has a boundary and the other has none, or none within the tolerance;
        NaN for a class without a boundary in either.

    Raises
    ------
    ArgumentError
        For arrays of unequal shape, or a label that is no class.

    Examples
    --------
    A boundary that is one pixel off, in a picture with a diagonal of 5:

    >>> import numpy as np
    >>> truth = np.array([[0, 0, 1, 1]] * 3)
    >>> guess = np.array([[0, 1, 1, 1]] * 3)
    >>> boundary_f1(truth, guess, 2, tolerance=0.1), boundary_f1(truth, guess, 2, tolerance=0.2)
    (array([0., 0.]), array([1., 1.]))
    """
    checks.integer("classes", classes, minimum=1)
    checks.real("tolerance", tolerance, minimum=0)
    true, guess = as_labels("truth", to_host(truth)), as_labels("prediction", to_host(prediction))
    rows, columns = checks.axes("truth", true, "h w")
    checks.shape("prediction", guess, true.shape, "the shape of truth")
    counted = np.ones(true.shape, bool) if ignore_index is None else true != ignore_index
    check_classes("truth", true, classes, ignore_index)
    check_classes("prediction", np.where(counted, guess, 0), classes, None)
    reach = tolerance * math.hypot(rows, columns)
    edges = [_edges(labels, counted) for labels in (true, guess)]
    return np.array(
        [_f1(edges[0] & (true == c), edges[1] & (guess == c), reach) for c in range(classes)]
    )


def mean_boundary_f1(each: Iterable[Array], classes: int) -> Array:
    """The mean over pictures, (classes,): of those in which the class has a boundary; NaN for a
    class that has none in any."""
    total, count = np.zeros(classes), np.zeros(classes)
    for found in each:
        there = ~np.isnan(found)
        total[there] += found[there]
        count += there
    return np.divide(total, count, out=np.full(classes, np.nan), where=count > 0)


def _edges(labels: Array, counted: Array) -> Array:
    """Which pixels have a neighbour of another class."""
    found = np.zeros(labels.shape, bool)
    for one, other in (
        (np.s_[1:], np.s_[:-1]),
        (np.s_[:, 1:], np.s_[:, :-1]),
    ):
        differs = (labels[one] != labels[other]) & counted[one] & counted[other]
        found[one] |= differs
        found[other] |= differs
    return found


def _f1(true: Array, guess: Array, reach: float) -> float:
    if not true.any() and not guess.any():
        return math.nan
    precision, recall = _near(guess, true, reach), _near(true, guess, reach)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _near(pixels: Array, others: Array, reach: float) -> float:
    """The share of the pixels that are within reach of the others."""
    if not pixels.any() or not others.any():
        return 0.0
    return float(np.mean(ndimage.distance_transform_edt(~others)[pixels] <= reach))
