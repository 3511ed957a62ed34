"""Which ground truth each box learns from, and which boxes a step learns from."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from numseg import checks
from numseg.boxes.door import floats, named, rows
from numseg.chance import hashed
from numseg.device import Host
from numseg.errors import ArgumentError, ArgumentTypeError, shown
from numseg.typing import Array, ArrayLike

BACKGROUND, IGNORED = -1, -2
"""What :func:`match` gives instead of a number: torchvision's BELOW_LOW_THRESHOLD and
BETWEEN_THRESHOLDS."""


@named
def match(
    quality: ArrayLike,
    high_threshold: float,
    low_threshold: float,
    *,
    allow_low_quality_matches: bool = False,
    min_quality: float = 0.0,
    clobber_positives: bool = False,
    ignored: ArrayLike | None = None,
    ignore: str = "all",
) -> Array:
    """Give each candidate the ground truth that it overlaps most, or none.

    Parameters
    ----------
    quality : array, (M, K), float32 or float64
        Of M ground truths and K candidates how well they fit: :func:`iou` of their boxes.
    high_threshold : float
        A candidate is matched whose best quality is at least that.
    low_threshold : float
        It is background if its best quality is smaller, and not used between the two. At most
        ``high_threshold``.
    allow_low_quality_matches : bool
        Each ground truth also matches the candidates that fit it best, all that are equally good,
        whatever the thresholds say. They get the ground truth that *they* overlap most.
    min_quality : float
        If the best of a ground truth is smaller it does not: 0 in torchvision and Caffe's Faster
        R-CNN, where one that nothing overlaps asks for all candidates, and none is background;
        mmdet's ``min_pos_iou``.
    clobber_positives : bool
        A candidate below the low threshold is background even so: ``RPN_CLOBBER_POSITIVES`` of
        Caffe's Faster R-CNN.
    ignored : array, (K,), bool, optional
        Candidates that are neither right nor wrong, as those in crowds: see :func:`iof`.
    ignore : {"all", "unmatched"}
        "all": they take no part at all, as in mmdet and Detectron. "unmatched": only instead of
        being background, as where COCO evaluates.

    Returns
    -------
    array, (K,), int64
        The number of the ground truth, of equally good ones the lowest; -1 for background, -2 for
        what is not used.

    Raises
    ------
    ArgumentError
        For another shape or dtype, a quality of NaN, thresholds in the wrong order.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> quality = np.array([[0.8, 0.4, 0.1, 0.0], [0.2, 0.6, 0.35, 0.1]])
    >>> ns.boxes.match(quality, 0.7, 0.3)
    array([ 0, -2, -2, -1])
    >>> ns.boxes.match(quality, 0.7, 0.3, allow_low_quality_matches=True)
    array([ 0,  1, -2, -1])
    """
    (quality,) = floats(quality=quality)
    _, k = checks.axes("quality", quality, "m k")
    if np.isnan(quality).any():
        place = [int(i) for i in np.argwhere(np.isnan(quality))[0]]
        raise ArgumentError(f"quality{place} is nan: iou(..., zero_area='zero') has none")
    high = checks.real("high_threshold", high_threshold)
    low = checks.real("low_threshold", low_threshold, maximum=high)
    least = checks.real("min_quality", min_quality)
    closest = checks.flag("allow_low_quality_matches", allow_low_quality_matches)
    clobber = checks.flag("clobber_positives", clobber_positives)
    out = _marked(ignored, k)
    if checks.choice("ignore", ignore, ("all", "unmatched")) == "all":
        quality = np.where(out, -np.inf, quality)
    if not len(quality):
        return np.where(out, IGNORED, np.full(k, BACKGROUND))
    best, which = quality.max(0, initial=-np.inf), quality.argmax(0)
    found = np.where(best >= high, which, np.where(best < low, BACKGROUND, IGNORED))
    if closest and k:
        of_truth = quality.max(1, keepdims=True)
        fits = ((quality == of_truth) & (of_truth >= least)).any(0)
        found = np.where(fits & ~(clobber & (best < low)), which, found)
    unused = out if ignore == "all" else out & (found == BACKGROUND)
    return np.where(unused, IGNORED, found)


def _marked(ignored: Any, k: int) -> Array:
    if ignored is None:
        return np.zeros(k, bool)
    marked = Host.view("ignored", ignored)
    if marked.dtype != np.bool_:
        raise ArgumentTypeError(f"ignored has dtype {marked.dtype}, expected bool")
    checks.axes("ignored", marked, "k")
    rows("ignored", marked, k, "candidates")
    return marked


class Sample(NamedTuple):
    """Candidates of one image, by their numbers."""

    positive: Array
    negative: Array


@named
def sample(
    matches: ArrayLike,
    batch_size_per_image: int,
    positive_fraction: float,
    *,
    seed: Any,
    rounding: str = "down",
) -> Sample:
    """Choose which candidates a step learns from: some that match, and background.

    At most ``batch_size_per_image * positive_fraction`` that match a ground truth, and of
    background as many as are missing then. The choice depends on the seed and on the candidates'
    numbers alone.

    Parameters
    ----------
    matches : array, (K,), integers
        From :func:`match`.
    batch_size_per_image : int
        256 for the region proposals of Faster R-CNN, 128 for its regions, 512 in torchvision.
    positive_fraction : float
        0.5 and 0.25 there.
    seed : int or sequence of int
        Such as (seed, step, image).
    rounding : {"down", "nearest"}
        Of the number that match: down in torchvision and detectron2, to the nearest, halves to
        even, in Caffe's Fast R-CNN.

    Returns
    -------
    positive, negative : array, int64
        Indices, in order.

    Raises
    ------
    ArgumentError
        For another shape or dtype, a negative size, a fraction outside of [0, 1].

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> found = ns.boxes.sample(np.array([0, -1, -2, 1, -1, 0, -1]), 4, 0.5, seed=7)
    >>> len(found.positive), len(found.negative)
    (2, 2)
    """
    array = Host.view("matches", matches)
    checks.integers(matches=array)
    checks.axes("matches", array, "k")
    size = checks.integer("batch_size_per_image", batch_size_per_image, 0)
    most = size * checks.real("positive_fraction", positive_fraction, 0, 1)
    down = checks.choice("rounding", rounding, ("down", "nearest")) == "down"
    words = seed if checks.is_sequence(seed) else [seed]
    numbers = [checks.integer("seed", word) for word in words]
    if not numbers:
        raise ArgumentError(f"seed has no number, got {shown(seed)}")
    positive = _some(np.flatnonzero(array >= 0), int(most) if down else round(most), *numbers, 0)
    negative = _some(np.flatnonzero(array == BACKGROUND), size - len(positive), *numbers, 1)
    return Sample(positive, negative)


def _some(candidates: Array, most: int, *words: int) -> Array:
    """The candidates with the smallest hashes."""
    lucky = np.argsort(hashed(*words, candidates), kind="stable")[:most]
    return np.sort(candidates[lucky])
