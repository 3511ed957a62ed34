"""Non-maximum suppression."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg import checks
from numseg.boxes.door import floats, legacy, named, rows
from numseg.boxes.overlap import overlaps
from numseg.boxes.shapes import corners_of
from numseg.device import Host
from numseg.errors import ArgumentError
from numseg.faces import chosen
from numseg.typing import Array, ArrayLike


@named
def nms(
    boxes: ArrayLike,
    scores: ArrayLike,
    iou_threshold: float,
    *,
    comparison: str = ">",
    max_output: int | None = None,
    pre_nms_top_n: int | None = None,
    score_threshold: float | None = None,
    fmt: str = "xyxy",
    offset: int = 0,
    zero_area: str = "nan",
    corners: str = "ordered",
) -> Array:
    """Non-maximum suppression: the best box, then the best that overlaps none kept, and so on.

    Parameters
    ----------
    boxes : array, (K, 4), float32 or float64
    scores : array, (K,), dtype of boxes
        Equal scores: the box with the lower index comes first.
    iou_threshold : float
        A box goes whose overlap with a kept one is larger. Compared in float64.
    comparison : {">", ">="}
        ">=": an overlap of exactly the threshold goes too (Caffe's Faster R-CNN).
    max_output : int, optional
        Stop after so many.
    pre_nms_top_n : int, optional
        Only so many with the best scores take part.
    score_threshold : float, optional
        Boxes whose score is not larger take no part.
    fmt, offset, zero_area, corners
        As in :func:`iou`. An overlap of NaN suppresses nothing.

    Returns
    -------
    array, int64
        Indices of the boxes kept, in the order of their scores.

    Raises
    ------
    ArgumentError
        For another shape or dtype, a coordinate that is not finite, an inverted box, a score of
        NaN.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> boxes = np.array([[0.0, 0, 2, 2], [0, 0, 2, 1], [5, 5, 6, 6], [0, 0, 2, 2]])
    >>> scores = np.array([0.5, 0.9, 0.1, 0.5])
    >>> ns.boxes.nms(boxes, scores, 0.5)  # box 1 covers exactly half of 0, which goes before 3
    array([1, 0, 2])
    >>> ns.boxes.nms(boxes, scores, 0.5, comparison=">=")
    array([1, 2])
    """
    found = _Candidates(boxes, scores, None, (fmt, corners), score_threshold, pre_nms_top_n)
    return found.keep(iou_threshold, comparison, max_output, offset, zero_area)


@named
def batched_nms(
    boxes: ArrayLike,
    scores: ArrayLike,
    idxs: ArrayLike,
    iou_threshold: float,
    *,
    comparison: str = ">",
    max_output: int | None = None,
    pre_nms_top_n: int | None = None,
    post_nms_top_n: int | None = None,
    score_threshold: float | None = None,
    fmt: str = "xyxy",
    offset: int = 0,
    zero_area: str = "nan",
    corners: str = "ordered",
) -> Array:
    """Non-maximum suppression within each class: boxes of different classes do not compete.

    Parameters
    ----------
    boxes, scores, iou_threshold, comparison, score_threshold, fmt, offset, zero_area, corners
        As in :func:`nms`.
    idxs : array, (K,), integers
        Of each box the number of its class; images of a batch are classes too.
    max_output : int, optional
        The most of each class.
    pre_nms_top_n : int, optional
        Only so many of each class, those with the best scores, take part: torchvision's and
        Faster R-CNN's proposals, with the levels of a pyramid as classes.
    post_nms_top_n : int, optional
        The most of all classes together.

    Returns
    -------
    array, int64
        Indices of the boxes kept, in the order of their scores, all classes together; of equal
        scores the lower index first.

    Raises
    ------
    ArgumentError
        As :func:`nms`.
    """
    found = _Candidates(boxes, scores, idxs, (fmt, corners), score_threshold, pre_nms_top_n)
    most = _most("post_nms_top_n", post_nms_top_n, len(found.order))
    return found.keep(iou_threshold, comparison, max_output, offset, zero_area)[:most]


@named
def soft_nms(
    boxes: ArrayLike,
    scores: ArrayLike,
    iou_threshold: float = 0.3,
    *,
    idxs: ArrayLike | None = None,
    method: str = "linear",
    sigma: float = 0.5,
    min_score: float = 0.001,
    comparison: str = ">",
    fmt: str = "xyxy",
    offset: int = 0,
    corners: str = "ordered",
) -> tuple[Array, Array]:
    """Non-maximum suppression that lowers scores instead of dropping boxes.

    The box with the best score is kept with that score; the scores of those that are left are
    multiplied, for an overlap of o with it, by ``1 - o`` if ``o > iou_threshold`` ("linear") or by
    ``exp(-o * o / sigma)`` ("gaussian"); and so on.

    Parameters
    ----------
    boxes : array, (K, 4), float32 or float64
    scores : array, (K,), dtype of boxes
        Not negative. Equal scores: the box with the lower index comes first.
    iou_threshold : float
        Only for "linear".
    idxs : array, (K,), integers, optional
        As in :func:`batched_nms`: boxes of different classes do not compete. By default all are of
        one class.
    method : {"linear", "gaussian"}
    sigma : float
        Only for "gaussian"; positive.
    min_score : float
        A box whose score is, or becomes, smaller takes no part.
    comparison : {">", ">="}
        ">=": an overlap of exactly the threshold counts too, as in mmcv.
    fmt, offset, corners
        As in :func:`iou`. An overlap of NaN counts as 0.

    Returns
    -------
    kept : array, int64
        Indices of the boxes kept, in the order in which they were.
    scores : array, dtype of scores
        The score that each was kept with.

    Raises
    ------
    ArgumentError
        As :func:`nms`; for a negative score or a sigma that is not positive.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> boxes = np.array([[0.0, 0, 2, 2], [0, 0, 2, 1], [5, 5, 6, 6]])
    >>> ns.boxes.soft_nms(boxes, np.array([0.75, 0.5, 0.375]))
    (array([0, 2, 1]), array([0.75 , 0.375, 0.25 ]))
    """
    found = _Candidates(boxes, scores, idxs, (fmt, corners), None, None)
    if (found.scores < 0).any():
        raise ArgumentError(f"scores reach {found.scores.min()}, expected none below 0")
    checks.choice("method", method, ("linear", "gaussian"))
    threshold, width = checks.real("iou_threshold", iou_threshold), checks.positive("sigma", sigma)
    inclusive = checks.choice("comparison", comparison, (">", ">=")) == ">="
    least, offset = checks.real("min_score", min_score), legacy(offset)
    by_index = np.argsort(found.order)  # so that the first of equal scores is the lowest index
    corners_, group = found.corners[by_index], found.group[by_index]
    now = found.scores[by_index].copy()
    left = now >= least
    kept, final = [], []
    while left.any():
        best = int(np.argmax(np.where(left, now, -1)))
        kept.append(best)
        final.append(now[best])
        left[best] = False
        share = overlaps(corners_[best : best + 1], corners_, offset, True)[0].astype(np.float64)
        share = np.where(np.isnan(share) | (group != group[best]), 0, share)
        if method == "gaussian":
            factor = np.exp(-share * share / width)
        else:
            over = share >= threshold if inclusive else share > threshold
            factor = np.where(over, 1 - share, 1)
        now = np.where(left, now * factor, now).astype(now.dtype)
        left &= now >= least
    return np.array(kept, np.int64), np.array(final, now.dtype)


class _Candidates:
    """Checked boxes, in the order of their scores."""

    def __init__(
        self,
        boxes: Any,
        scores: Any,
        idxs: Any,
        form: tuple[str, str],
        score_threshold: float | None,
        top: int | None,
    ) -> None:
        boxes, scores = floats(boxes=boxes, scores=scores)
        corners = corners_of("boxes", boxes, *form)
        checks.axes("scores", scores, "k")
        rows("scores", scores, len(corners), "boxes")
        if (wrong := np.isnan(scores)).any():
            raise ArgumentError(f"scores[{int(np.argmax(wrong))}] is nan: it has no order")
        order = np.argsort(-scores, kind="stable")
        if score_threshold is not None:
            least = checks.real("score_threshold", score_threshold, finite=False)
            order = order[scores[order].astype(np.float64) > least]
        group = np.zeros(len(corners), np.int64)
        if idxs is not None:
            labels = Host.view("idxs", idxs)
            checks.integers(idxs=labels)
            checks.axes("idxs", labels, "k")
            rows("idxs", labels, len(corners), "boxes")
            group = np.unique(labels, return_inverse=True)[1].reshape(-1).astype(np.int64)
        if top is not None:
            most = checks.integer("pre_nms_top_n", top, 0)
            order = order[_rank(group[order]) < most]
        self.order, self.corners, self.group = order, corners[order], group[order]
        self.scores = scores[order]

    def keep(
        self, threshold: Any, comparison: str, most: Any, offset: Any, zero_area: str
    ) -> Array:
        threshold = checks.real("iou_threshold", threshold)
        inclusive = checks.choice("comparison", comparison, (">", ">=")) == ">="
        zero = checks.choice("zero_area", zero_area, ("nan", "zero")) == "zero"
        most = _most("max_output", most, len(self.order))
        how = threshold, inclusive, legacy(offset), zero
        keep = _by_definition if chosen() == "reference" else _by_kernel
        return self.order[keep(self.corners, self.group, most, *how)]


def _most(name: str, most: Any, count: int) -> int:
    """Of so many boxes, how many."""
    return count if most is None else min(checks.integer(name, most, 0), count)


def _rank(group: Array) -> Array:
    """How many of its group come before each."""
    order = np.argsort(group, kind="stable")
    begins = np.searchsorted(group[order], group)  # where each group begins among all
    rank = np.empty(len(group), np.int64)
    rank[order] = np.arange(len(group))
    return rank - begins


def _by_definition(
    boxes: Array,
    group: Array,
    most: int,
    threshold: float,
    inclusive: bool,
    offset: int,
    zero: bool,
) -> Array:
    """A mask of the boxes, which come in the order of their scores, that stay."""
    share = overlaps(boxes, boxes, offset, zero).astype(np.float64)
    rivals = (share >= threshold if inclusive else share > threshold) & (group[:, None] == group)
    kept = np.zeros(len(boxes), bool)
    for i in range(len(boxes)):
        full = kept[group == group[i]].sum() >= most
        kept[i] = not full and not (kept[:i] & rivals[:i, i]).any()
    return kept


def _by_kernel(
    boxes: Array,
    group: Array,
    most: int,
    threshold: float,
    inclusive: bool,
    offset: int,
    zero: bool,
) -> Array:
    dead = np.zeros(len(boxes), np.uint8)
    x1, y1, x2, y2 = np.ascontiguousarray(boxes.T)
    one = boxes.dtype.type(offset)
    areas = (x2 - x1 + one) * (y2 - y1 + one)
    left = np.full(group.max(initial=-1) + 1, most)
    from numseg.kernels.boxes.nms import suppress  # importing numseg must not import Numba

    corners = x1, y1, x2, y2
    suppress(0, len(boxes), corners, areas, group, left, one, threshold, inclusive, zero, dead)
    return dead == 0
