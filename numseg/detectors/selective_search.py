"""Selective search (Uijlings, van de Sande, Gevers and Smeulders, "Selective search for object
recognition", 2013): boxes that may hold an object, without learning.

::

    Felzenszwalb's segmentation of the image                    a few hundred segments
    the two neighbours most like each other become one, again and again, until there is one
    every segment that there ever was has a box                 the hierarchy is all scales at once

    likeness  c  colours    the common part of two histograms, 25 bins for each channel
              t  texture    the same of slopes in 8 directions, 10 bins for each of each channel
              s  size       small ones first: 1 - (size + size') / size of the image
              f  fill       those that fit into each other: 1 - what their box has besides / ...

The search is made in several colour spaces, from several segmentations, by several sums of
likenesses, and all boxes are put together.
"""

from __future__ import annotations

import hashlib
import heapq
import inspect
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import ndimage

from numseg import checks, files
from numseg.chance import hashed
from numseg.errors import ArgumentError, shown
from numseg.typing import Array

COLOUR_BINS, TEXTURE_BINS, DIRECTIONS = 25, 10, 8
SPACES = ("rgb", "hsv", "lab", "gray")
MEASURES = "ctsf"
REMEMBERED = 4096


@checks.named("selective_search")
def selective_search(
    image: Array,
    *,
    spaces: Sequence[str] = ("hsv", "lab"),
    measures: Sequence[str] = ("ctsf", "tsf"),
    scales: Sequence[float] = (50, 100),
    sigma: float = 0.8,
    min_segment: int | None = None,
    min_size: float = 0,
    max_regions: int | None = None,
    order: str = "random",
    seed: int = 0,
) -> Array:
    """Boxes of regions, those of large segments rather first.

    Parameters
    ----------
    image : array, (C, H, W), any real dtype
        Red, green and blue, or one channel. Its numbers are stretched to 0 ... 1, so that neither
        a mean nor a factor matters.
    spaces : sequence of {"rgb", "hsv", "lab", "gray"}
        Colour spaces, in each of which there is a search.
    measures : sequence of str
        Of which likenesses the sum is taken: letters of "ctsf".
    scales : sequence of float
        Felzenszwalb's k: the larger, the larger are the first segments.
    sigma : float
        By which the image is blurred before it is segmented.
    min_segment : int, optional
        The least pixels of a segment; by default each scale's k, as in the paper's program.
    min_size : float
        Boxes with a shorter side are left out.
    max_regions : int, optional
        Only the first so many.
    order : {"random", "hierarchy"}
        "random": by the place in the hierarchy from the top times a random number, as in the
        paper. "hierarchy": by the place alone.
    seed : int
        Of the random numbers.

    Returns
    -------
    array, (K, 4), float64
        Edges x0, y0, x1, y1, no two boxes the same; the same on every machine that segments alike.

    Raises
    ------
    MissingExtra
        Without scikit-image (extra ``demo``).
    ArgumentError
        For another shape, numbers that are not finite, words that are none.

    Notes
    -----
    By default this is the paper's "fast" search (section 5.2): two colour spaces, two sums, two
    scales, eight searches. Its "single" search is ``spaces=("hsv",), measures=("ctsf",),
    scales=(100,)``. Of equally like pairs the one whose later segment is older is joined first.

    Source: Uijlings et al. 2013; Felzenszwalb and Huttenlocher 2004, by scikit-image. Texture is,
    as in the public programs, of derivatives of a Gaussian with sigma 1.
    """
    colours = _colours(image)
    for name, words, known in (("spaces", spaces, SPACES), ("measures", measures, None)):
        if not checks.is_sequence(words) or not words:
            raise ArgumentError(f"{name} must be a sequence of words, got {shown(words)}")
        for j, word in enumerate(words):
            if known is not None:
                checks.choice(f"{name}[{j}]", word, known)
            elif not isinstance(word, str) or not word or set(word) - set(MEASURES):
                raise ArgumentError(f"{name}[{j}] must be letters of 'ctsf', got {shown(word)}")
    if not checks.is_sequence(scales) or not scales:
        raise ArgumentError(f"scales must be a sequence of numbers, got {shown(scales)}")
    ks = [checks.positive(f"scales[{j}]", k) for j, k in enumerate(scales)]
    blur = checks.real("sigma", sigma, 0)
    least = min_segment if min_segment is None else checks.integer("min_segment", min_segment, 1)
    shortest = checks.real("min_size", min_size, 0)
    most = None if max_regions is None else checks.integer("max_regions", max_regions, 0)
    checks.choice("order", order, ("random", "hierarchy"))
    random = order == "random"

    segment = files.optional(
        "skimage.segmentation", "scikit-image", "demo", "selective search"
    ).felzenszwalb
    boxes: list[Array] = []
    ranks: list[Array] = []
    for space, k in itertools.product(spaces, ks):
        pixels = in_space(colours, space)
        labels = segment(pixels, scale=k, sigma=blur, min_size=round(k) if least is None else least)
        for measure in measures:
            found = hierarchy(pixels, labels, measure)[::-1]
            rank = np.arange(1, len(found) + 1, dtype=np.float64)
            if random:
                bits = hashed(checks.integer("seed", seed), len(boxes), np.arange(len(found)))
                rank *= (bits >> np.uint64(11)) * 2.0**-53
            boxes.append(found)
            ranks.append(rank)
    every = np.concatenate(boxes)[np.argsort(np.concatenate(ranks), kind="stable")]
    _, first = np.unique(every, axis=0, return_index=True)
    every = every[np.sort(first)]
    sides = np.minimum(every[:, 2] - every[:, 0], every[:, 3] - every[:, 1])
    return every[sides >= shortest][:most]


def _colours(image: Any) -> Array:
    """(H, W, 3) float64 between 0 and 1."""
    array = np.asarray(image)
    c, rows, columns = checks.axes("image", array, "c h w")
    if c not in (1, 3):
        raise ArgumentError(f"image has {c} channels, expected 1 or 3")
    if not rows or not columns:
        raise ArgumentError(f"image has shape {array.shape}, expected at least one pixel")
    numbers = array.astype(np.float64)
    if not np.isfinite(numbers).all():
        raise ArgumentError("image holds numbers that are not finite")
    low, high = numbers.min(), numbers.max()
    numbers = (numbers - low) / (high - low) if high > low else np.zeros_like(numbers)
    return np.broadcast_to(np.moveaxis(numbers, 0, -1), (rows, columns, 3))


def in_space(colours: Array, space: str) -> Array:
    """Pixels of red, green and blue in another colour space, each channel between 0 and 1."""
    if space == "rgb":
        return np.ascontiguousarray(colours)
    color = files.optional("skimage.color", "scikit-image", "demo", "selective search")
    if space == "hsv":
        return color.rgb2hsv(colours)
    if space == "lab":
        return (color.rgb2lab(colours) + np.array([0, 128, 128])) / np.array([100, 255, 255])
    return color.rgb2gray(colours)[..., None]


# -- the hierarchy ----------------------------------------------------------------------------


class Segments:
    """What is known of each segment, by its number; new ones are added at the end.

    Parameters
    ----------
    pixels : array, (H, W, C), between 0 and 1
    labels : array, (H, W), integers
        Numbers of segments from 0 on, all in use.
    """

    def __init__(self, pixels: Array, labels: Array) -> None:
        count = labels.max() + 1
        self.image = labels.size
        self.sizes = np.bincount(labels.ravel(), minlength=count).tolist()
        self.boxes = [
            (c.start, r.start, c.stop, r.stop) for r, c in ndimage.find_objects(labels + 1)
        ]
        self.colours = list(_histograms(pixels, labels, COLOUR_BINS, count))
        self.textures = list(_histograms(slopes(pixels), labels, TEXTURE_BINS, count))

    def likeness(self, measure: str, i: int, j: int) -> float:
        """The sum of the likenesses that the letters stand for."""
        return sum(LIKENESS[letter](self, i, j) for letter in measure)

    def join(self, i: int, j: int) -> int:
        """A new segment of two, and its number."""
        a, b = self.sizes[i], self.sizes[j]
        self.sizes.append(a + b)
        self.boxes.append(_around(self.boxes[i], self.boxes[j]))
        for of in (self.colours, self.textures):
            of.append((a * of[i] + b * of[j]) / (a + b))
        return len(self.sizes) - 1


def _colour(of: Segments, i: int, j: int) -> float:
    return float(np.minimum(of.colours[i], of.colours[j]).sum())


def _texture(of: Segments, i: int, j: int) -> float:
    return float(np.minimum(of.textures[i], of.textures[j]).sum())


def _size(of: Segments, i: int, j: int) -> float:
    return 1 - (of.sizes[i] + of.sizes[j]) / of.image


def _fill(of: Segments, i: int, j: int) -> float:
    x0, y0, x1, y1 = _around(of.boxes[i], of.boxes[j])
    return 1 - ((x1 - x0) * (y1 - y0) - of.sizes[i] - of.sizes[j]) / of.image


LIKENESS: Mapping[str, Callable[[Segments, int, int], float]] = {
    "c": _colour, "t": _texture, "s": _size, "f": _fill,
}  # fmt: skip


def hierarchy(pixels: Array, labels: Array, measure: str = "ctsf") -> Array:
    """The boxes of all segments, and of all that become of them by joining the two neighbours that
    are most alike; (2 S - 1, 4) of S segments that hang together, in the order of their making."""
    segments = Segments(pixels, labels)
    near: dict[int, set[int]] = {i: set() for i in range(len(segments.sizes))}
    queue: list[tuple[float, int, int]] = []

    def meet(i: int, j: int) -> None:
        near[i].add(j)
        near[j].add(i)
        heapq.heappush(queue, (-segments.likeness(measure, i, j), j, i))

    for i, j in neighbours(labels):
        meet(int(i), int(j))
    while queue:
        _, j, i = heapq.heappop(queue)
        if i not in near or j not in near:
            continue  # one of them is part of another by now
        new = segments.join(i, j)
        around = sorted((near.pop(i) | near.pop(j)) - {i, j})
        near[new] = set()
        for other in around:
            near[other] -= {i, j}
            meet(other, new)
    return np.array(segments.boxes, np.float64)


def neighbours(labels: Array) -> Array:
    """Pairs (i, j), i < j, of segments that share an edge of a pixel, each once, in order."""
    beside = np.stack([labels[:, :-1].ravel(), labels[:, 1:].ravel()], 1)
    below = np.stack([labels[:-1].ravel(), labels[1:].ravel()], 1)
    pairs = np.sort(np.concatenate([beside, below]), axis=1)
    return np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)


def slopes(pixels: Array) -> Array:
    """How steeply each channel rises in eight directions, (H, W, 8 C), 1 for the steepest."""
    down, right = (
        ndimage.gaussian_filter1d(
            ndimage.gaussian_filter1d(pixels, 1.0, axis=axis, order=1), 1.0, axis=1 - axis
        )
        for axis in (0, 1)
    )
    angles = np.arange(DIRECTIONS) * (2 * np.pi / DIRECTIONS)
    rises = [np.maximum(np.cos(a) * right + np.sin(a) * down, 0) for a in angles]
    every = np.concatenate(rises, axis=-1)
    steepest = every.max()
    return every / steepest if steepest > 0 else every


def _histograms(pixels: Array, labels: Array, bins: int, count: int) -> Array:
    """Of each segment one histogram for each channel, all together summing to 1."""
    channels = pixels.shape[-1]
    which = np.minimum((pixels * bins).astype(np.int64), bins - 1).clip(0)
    flat = (labels[..., None] * channels + np.arange(channels)) * bins + which
    found = np.bincount(flat.ravel(), minlength=count * channels * bins)
    found = found.reshape(count, channels * bins).astype(np.float64)
    return found / found.sum(1, keepdims=True)


def _around(a: Sequence[int], b: Sequence[int]) -> tuple[int, int, int, int]:
    """The smallest box that holds both."""
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


# -- as a detector's proposals ----------------------------------------------------------------


def selective_search_of(settings: Mapping[str, Any] | None) -> Callable[[Array], Array]:
    """The search with these arguments."""
    given = dict(settings or {})
    known = tuple(inspect.signature(selective_search).parameters)[1:]
    for name in given:
        checks.choice("search", name, known)
    return lambda image: selective_search(image, **given)


def remembered(propose: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """The same regions for an image that comes again, without a second search.

    Training sees an image in every epoch. The last 4096 images are known, by a digest of their
    bytes.
    """
    known: dict[bytes, Array] = {}

    def regions(image: Array) -> Array:
        array = np.ascontiguousarray(image)
        key = hashlib.sha256(f"{array.shape} {array.dtype}".encode() + array.tobytes()).digest()
        found = known.get(key)
        if found is None:
            found = propose(image)
            found.flags.writeable = False
            if len(known) >= REMEMBERED:
                known.pop(next(iter(known)), None)
            known[key] = found
        return found

    return regions
