"""R-CNN (Girshick, Donahue, Darrell and Malik, "Rich feature hierarchies for accurate object
detection and semantic segmentation", 2014).

::

    regions  selective search                                   ~2000 boxes
             cut from the image with 16 pixels of context,      per region    224 x 224
             warped to the network's size
             VGG-16 up to fc7                                   per region    one pass each
             a support vector machine for each class            per region
             a regression of the box for each class             per region

The paper trains in turn: the network by a softmax, the machines on its fc7, the boxes on its pool5.
Here all are layers of one network on fc7, trained together, by ``kind="hinge"`` with the machines'
loss and by ``kind="softmax"`` with that of its fine-tuning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from numseg import checks
from numseg.detectors import regions as r
from numseg.detectors import vgg_parts
from numseg.detectors.given_regions import GivenRegions, Settings
from numseg.detectors.selective_search import remembered, selective_search_of
from numseg.errors import ArgumentError
from numseg.graph import Graph
from numseg.nets import blocks
from numseg.nets.backbones import vgg
from numseg.nets.blocks import Stage
from numseg.ops.adaptive_max_pool2d import adaptive_max_pool2d
from numseg.ops.flatten import flatten
from numseg.ops.roi_align import roi_align
from numseg.typing import Array

WARPS = ("warp", "square", "square_without_context")


@checks.named("rcnn")
def rcnn(
    in_channels: int = 3,
    classes: int = 21,
    *,
    width: int = 64,
    level: int = 5,
    hidden: int | None = None,
    size: int = 224,
    context: float = 16,
    warp: str = "warp",
    output_size: int = 7,
    dropout: float = 0.5,
    fixed_levels: int = 0,
    kind: str = "softmax",
    mean: float | Sequence[float] = 0.5,
    std: float | Sequence[float] = 0.25,
    at_once: int = 32,
    search: Mapping[str, Any] | None = None,
    sampling: Mapping[str, Any] | None = None,
    codes: Mapping[str, Any] | None = None,
    finding: Mapping[str, Any] | None = None,
) -> GivenRegions:
    """R-CNN on VGG-16.

    Parameters
    ----------
    size : int
        Rows and columns of a warped region: 224 for VGG-16, 227 for the paper's first network.
    context : float
        Pixels around the region, in the warped one: 16 in the paper, which also has 0.
    warp : {"warp", "square", "square_without_context"}
        The region is stretched to a square; or the smallest square around it is cut, as it is or
        with nothing in it that is not of the region.
    output_size : int
        The last map is pooled to that: 7 x 7 pixels, pool5 of VGG-16.
    kind : {"softmax", "hinge"}
        The scores' loss, and what they are: :func:`~numseg.detectors.regions.joint_loss`.
    at_once : int
        Regions that go through the network together, when an image is searched.
    in_channels, classes, width, level, hidden, dropout, fixed_levels, mean, std
        As in :func:`~numseg.detectors.fast_rcnn`.
    search, sampling, codes, finding
        As there. By default a box is learned of regions that overlap an object by 0.6; background
        is all that overlaps objects by less than 0.5.

    Returns
    -------
    Detector

    Notes
    -----
    What lies outside of the image is the mean. Regions are sampled bilinearly at the centres of the
    warped pixels, without a filter, as by the paper's program.

    Source: Girshick et al. 2014, and its appendices A (warping) and C (boxes).
    """
    size = checks.integer("size", size, 1)
    around = checks.real("context", context, 0)
    if 2 * around >= size:
        raise ArgumentError(f"context is {context} on both sides, but size only {size}")
    classes = checks.integer("classes", classes, 2)
    settings = Settings(
        classes,
        r.scaling(in_channels, mean, std, None, None),
        r.settings(r.Sampling, "sampling", sampling, least=0.0),
        r.settings(r.Codes, "codes", codes),
        r.settings(r.Finding, "finding", finding, **r.FINDING[r.kind_of(kind)]),
        offset=0,
        kind=kind,
        least=0.6,
        at_once=checks.integer("at_once", at_once, 1),
    )
    hidden = vgg.HIDDEN * width if hidden is None else checks.integer("hidden", hidden, 1)
    scores = classes - (kind == "hinge")
    graph = network(in_channels, width, level, hidden, scores, classes, output_size, dropout)
    return RCNN(
        None,
        graph,
        remembered(selective_search_of(search)),
        settings,
        frozen=vgg_parts.fixed(graph, fixed_levels),
        warping=(size, around, checks.choice("warp", warp, WARPS)),
    )


class RCNN(GivenRegions):
    """Regions are cut from the image; there is no map."""

    def __init__(self, *given: Any, warping: tuple[int, float, str], **others: Any) -> None:
        super().__init__(*given, **others)
        self.warping = warping

    def of_regions(self, maps: Array, rows: Array) -> tuple[Array, ...]:
        """The warped regions of the images."""
        return (warped(maps, rows, *self.warping),)


def warped(x: Array, rows: Array, size: int, context: float, warp: str) -> Array:
    """Regions of images, each as (C, size, size), with context around them.

    Parameters
    ----------
    x : array, (N, C, H, W)
    rows : array, (K, 5), dtype of x
        Index of the image, x1, y1, x2, y2: edges.
    size, context, warp
        Of :func:`rcnn`.
    """
    first, last = rows[:, 1:3].astype(np.float64), rows[:, 3:].astype(np.float64)
    centre, half = (first + last) / 2, (last - first) / 2
    if warp != "warp":
        half = np.broadcast_to(half.max(1, keepdims=True), half.shape)
    grown = half * (size / (size - 2 * context))
    cut = np.concatenate([rows[:, :1], centre - grown, centre + grown], 1).astype(x.dtype)
    windows = roi_align(x, cut, size, sampling_ratio=1, aligned=True)
    if warp != "square_without_context":
        return windows
    place = (np.arange(size) + 0.5) / size * 2 - 1  # of each pixel, from -1 to 1
    inside = []
    for axis in (0, 1):
        at = centre[:, axis, None] + grown[:, axis, None] * place
        inside.append((at >= first[:, axis, None]) & (at <= last[:, axis, None]))
    columns, lines = inside
    return windows * (lines[:, None, :, None] & columns[:, None, None, :])


def network(
    in_channels: int, width: int, level: int, hidden: int, scores: int, boxes: int,
    output_size: int, dropout: float,
) -> Graph:  # fmt: skip
    """From warped regions to scores and codes."""
    net = Graph.build()
    x = Stage(blocks.image(net, in_channels), in_channels)
    h, size = (
        vgg_parts.add_features(net, x, width, level),
        checks.integer("output_size", output_size, 1),
    )
    y = net.add(flatten, net.add(adaptive_max_pool2d, h.value, size, name="pooled"), name="flatten")
    h = Stage(y, h.channels * size * size)
    return net.output(*vgg_parts.heads(net, h, hidden, scores, boxes, dropout), prune=True)
