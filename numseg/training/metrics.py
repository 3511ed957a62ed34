"""How good a segmentation is: the confusion matrix, and what is read off it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from numseg import checks, device
from numseg.cuda.arrays import on_gpu
from numseg.data.labels import as_labels
from numseg.errors import ArgumentError
from numseg.training.devices import cuda, to_host
from numseg.typing import Array, ArrayLike


class Scores(NamedTuple):
    """What :func:`scores` reads off a confusion matrix."""

    pixel_accuracy: float
    """Share of the pixels whose class is right; NaN if there are no pixels."""
    mean_iou: float
    """The mean of ``class_iou`` over the classes that have one; NaN if none has."""
    class_iou: Array
    """(C,) float64: ``TP / (TP + FP + FN)``; NaN for a class in neither truth nor prediction."""
    class_accuracy: Array
    """(C,) float64: ``TP / (TP + FN)``; NaN for a class that is not in the truth."""
    mean_accuracy: float
    """The mean of ``class_accuracy`` over the classes that have one; NaN if none has."""
    frequency_weighted_iou: float
    """The mean of ``class_iou``, each class by its share of the pixels; NaN if there are none."""


def confusion_matrix(
    truth: ArrayLike, prediction: ArrayLike, classes: int, ignore_index: int | None = None
) -> Array:
    """Count pixels by true class (row) and predicted class (column).

    Parameters
    ----------
    truth, prediction : array of integers or bools, same shape
    classes : int
    ignore_index : int, optional
        Pixels with this truth are not counted, whatever is predicted there.

    Returns
    -------
    array, (classes, classes), int64

    Raises
    ------
    ArgumentError
        For arrays of unequal shape, dtypes that are not integer, or a counted label outside
        ``[0, classes)``.

    Examples
    --------
    >>> import numpy as np
    >>> confusion_matrix(np.array([0, 0, 1, 255]), np.array([0, 1, 1, 0]), 2, ignore_index=255)
    array([[1, 1],
           [0, 1]])
    """
    checks.integer("classes", classes, minimum=1)
    if (found := _on_the_gpu(truth, prediction, classes, ignore_index)) is not None:
        return found
    true, guess = as_labels("truth", to_host(truth)), as_labels("prediction", to_host(prediction))
    checks.shape("prediction", guess, true.shape, "the shape of truth")
    true, guess = true.reshape(-1), guess.reshape(-1)
    if ignore_index is not None:
        checks.integer("ignore_index", ignore_index)
        counted = true != ignore_index
        true, guess = true[counted], guess[counted]
    for name, labels in (("truth", true), ("prediction", guess)):
        if labels.size and not 0 <= labels.min() <= labels.max() < classes:
            worst = labels.min() if labels.min() < 0 else labels.max()
            raise ArgumentError(f"{name} holds label {worst}, expected 0 to {classes - 1}")
    cells = true * classes + guess
    return np.bincount(cells, minlength=classes**2).reshape(classes, classes).astype(np.int64)


def _on_the_gpu(truth: Any, prediction: Any, classes: int, ignored: Any) -> Array | None:
    """Arrays of labels that are both there are counted there; None for all else, and for what
    is to be refused."""
    labels = isinstance(ignored, (int, np.integer, type(None))) and not isinstance(ignored, bool)
    if not labels or not all(map(on_gpu, (truth, prediction))) or classes > 1024:
        return None
    there = [device.asarray(array) for array in (truth, prediction)]
    if any(array.dtype != np.int64 for array in there) or there[0].shape != there[1].shape:
        return None
    if ignored is not None and abs(int(ignored)) >= 2**30:
        return None
    kernels = cuda()
    table = kernels.table(classes)
    kernels.count(*there, table, classes, None if ignored is None else int(ignored))
    *found, bad = to_host(table).tolist()
    return None if bad else np.array(found, np.int64).reshape(classes, classes)


def scores(confusion: Array) -> Scores:
    """Pixel accuracy and intersection over union, overall and per class: those of the FCN paper
    (Long, Shelhamer and Darrell, 2015), which calls them pixel acc., mean acc., mean IU, f.w. IU.

    Confusion matrices of several pictures are added before they are scored: the IoU is that of
    all pixels together, as in the PASCAL VOC challenge, not a mean over pictures.

    Notes
    -----
    A class that is in neither the truth nor the prediction has no IoU (0/0): it is NaN, and the
    mean leaves it out. A class that is predicted but not there has IoU 0 and counts.

    Examples
    --------
    >>> import numpy as np
    >>> scores(np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]])).class_iou
    array([0.75, 0.8 ,  nan])
    """
    right = np.diagonal(confusion).astype(np.float64)
    there, guessed = confusion.sum(axis=1), confusion.sum(axis=0)
    iou = _ratio(right, there + guessed - right)
    accuracy = _ratio(right, there)
    return Scores(
        pixel_accuracy=float(_ratio(right.sum(), confusion.sum())),
        mean_iou=mean_of_those_there(iou),
        class_iou=iou,
        class_accuracy=accuracy,
        mean_accuracy=mean_of_those_there(accuracy),
        frequency_weighted_iou=float(_ratio((there * np.nan_to_num(iou)).sum(), there.sum())),
    )


def mean_of_those_there(each: Array) -> float:
    """Of those that are numbers."""
    present = each[~np.isnan(each)]
    return float(present.mean()) if present.size else float("nan")


def _ratio(part: Array, whole: Array) -> Array:
    """``part / whole``, and NaN for 0/0."""
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
