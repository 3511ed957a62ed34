"""SPPNet for detection (He, Zhang, Ren and Sun, "Spatial pyramid pooling in deep convolutional
networks for visual recognition", 2014, section 4).

::

    image    convolutions up to conv5                           once
    regions  selective search                                   ~2000 boxes
             the window of the map that a region is             its corners, projected
             maxima over 1, 2 x 2, 3 x 3, 6 x 6 bins            per region    50 for each channel
             fc6, fc7, then scores and boxes                    per region

The paper trains the layers after the pooling alone; support vector machines and a regression of
boxes then learn from what those give. Here the last two are layers of the same network, as in Fast
R-CNN, and by ``kind="hinge"`` scores are those of support vector machines.
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
from numseg.graph import Graph
from numseg.nets.backbones import vgg
from numseg.nets.blocks import Stage
from numseg.ops.concat import concat
from numseg.ops.flatten import flatten
from numseg.ops.roi_pool import roi_pool
from numseg.typing import Array

PYRAMID = (1, 2, 3, 6)
"""Bins along an axis: 50 in all."""


@checks.named("sppnet")
def sppnet(
    in_channels: int = 3,
    classes: int = 21,
    *,
    width: int = 64,
    level: int = 5,
    hidden: int | None = None,
    levels: Sequence[int] = PYRAMID,
    dropout: float = 0.5,
    finetune: str = "fc",
    kind: str = "softmax",
    mean: float | Sequence[float] = 0.5,
    std: float | Sequence[float] = 0.25,
    min_size: int | None = 688,
    max_size: int | None = None,
    search: Mapping[str, Any] | None = None,
    sampling: Mapping[str, Any] | None = None,
    codes: Mapping[str, Any] | None = None,
    finding: Mapping[str, Any] | None = None,
) -> GivenRegions:
    """SPPNet on VGG-16's convolutions.

    Parameters
    ----------
    levels : sequence of int
        Of the pyramid: bins along an axis.
    finetune : {"fc", "all"}
        What learns: the layers after the pooling, as in the paper, or those below it too. The
        paper's network comes from ImageNet; one from the start learns little by "fc".
    kind : {"softmax", "hinge"}
        The scores' loss, and what they are: :func:`~numseg.detectors.regions.joint_loss`.
    min_size, max_size
        The paper's single scale is 688; its five scales are not built.
    in_channels, classes, width, level, hidden, dropout, mean, std
        As in :func:`~numseg.detectors.fast_rcnn`.
    search, sampling, codes, finding
        As there.

    Returns
    -------
    Detector

    Notes
    -----
    The paper's convolutions are those of a network like AlexNet (ZF-5). A region's maxima over its
    window are those of :data:`numseg.spatial_pyramid_pool2d`, bit for bit: roi_pool with boxes of
    whole pixels has the same bins.

    Source: He et al. 2014, section 4 and appendix A, "Mapping a window to feature maps".
    """
    checks.choice("finetune", finetune, ("fc", "all"))
    classes = checks.integer("classes", classes, 2)
    settings = Settings(
        classes,
        r.scaling(in_channels, mean, std, min_size, max_size),
        r.settings(r.Sampling, "sampling", sampling),
        r.settings(r.Codes, "codes", codes),
        r.settings(r.Finding, "finding", finding, **r.FINDING[r.kind_of(kind)]),
        offset=0,
        kind=kind,
    )
    trunk = vgg_parts.features(in_channels, width, level)
    hidden = vgg.HIDDEN * width if hidden is None else checks.integer("hidden", hidden, 1)
    scores = classes - (kind == "hinge")
    graph = head(vgg_parts.channels(width, level), levels, hidden, scores, classes, dropout)
    convolutions = {param.name for param in trunk.params} if finetune == "fc" else set()
    return SPPNet(
        trunk, graph, remembered(selective_search_of(search)), settings,
        frozen=convolutions, stride=vgg_parts.stride(level),
    )  # fmt: skip


class SPPNet(GivenRegions):
    """Regions are windows of whole pixels of the map."""

    def __init__(self, *given: Any, stride: int, **others: Any) -> None:
        super().__init__(*given, **others)
        self.stride = stride

    def of_regions(self, maps: Array, rows: Array) -> tuple[Array, ...]:
        """The map, and the window of each region."""
        windows = window(rows[:, 1:].astype(np.float64), self.stride, maps.shape[2:])
        return maps, np.concatenate([rows[:, :1], windows], 1).astype(rows.dtype)


def window(edges: Array, stride: int, size: Sequence[int]) -> Array:
    """The pixels of a map that are a region's, the last ones included.

    Pixel p of the map looks at the image around ``stride * p``. A region's window is the pixels
    that look at a place within it: from ``floor(x1 / stride) + 1`` to ``ceil(x2 / stride) - 1``.
    Where there is none, it is the one nearest to the middle; none is outside of the map.

    Parameters
    ----------
    edges : array, (K, 4)
    stride : int
        Of the map: all strides up to it multiplied.
    size : (int, int)
        Rows and columns of the map.
    """
    first = np.floor(edges[:, :2] / stride) + 1
    last = np.ceil(edges[:, 2:] / stride) - 1
    middle = np.round((edges[:, :2] + edges[:, 2:]) / (2 * stride))
    none = first > last
    found = np.concatenate([np.where(none, middle, first), np.where(none, middle, last)], 1)
    rows, columns = size
    return found.clip(0, np.array([columns, rows, columns, rows]) - 1)


def head(channels: int, levels: Any, hidden: int, scores: int, boxes: int, dropout: float) -> Graph:
    """From a map and windows (K, 5) to scores and codes."""
    net = Graph.build()
    features, windows = net.input("features"), net.input("boxes")
    bins = [checks.integer(f"levels[{j}]", n, 1) for j, n in enumerate(levels)]
    pooled = [
        net.add(
            flatten,
            net.add(roi_pool, features, windows, n, arithmetic="exact", name=f"pool5_{n}x{n}"),
            name=f"flatten_{n}x{n}",
        )
        for n in bins
    ]
    h = Stage(net.add(concat, pooled, name="spp"), channels * sum(n * n for n in bins))
    return net.output(*vgg_parts.heads(net, h, hidden, scores, boxes, dropout))
