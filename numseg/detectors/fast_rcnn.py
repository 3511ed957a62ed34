"""Fast R-CNN (Girshick, "Fast R-CNN", 2015).

::

    image    conv1_1 ... conv5_3 of VGG-16                      once          stride 16
    regions  selective search                                   ~2000 boxes
             RoI Pool 7 x 7, fc6, fc7 (4096)                    per region
             cls_score: a softmax of all classes                per region    1 + K
             bbox_pred: a box for each class                    per region    4 (1 + K)

    loss     -log p[u] + [u >= 1] sum of smooth_l1(t[u] - v)

One pass over the image serves all regions, and one loss trains all layers, those below the pooling
of regions too: that is what SPPNet could not, and what R-CNN needed three trainings for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numseg import checks
from numseg.detectors import regions as r
from numseg.detectors import vgg_parts
from numseg.detectors.given_regions import GivenRegions, Settings
from numseg.detectors.selective_search import remembered, selective_search_of
from numseg.graph import Graph
from numseg.nets.backbones import vgg
from numseg.nets.blocks import Stage
from numseg.ops.flatten import flatten
from numseg.ops.roi_pool import roi_pool


@checks.named("fast_rcnn")
def fast_rcnn(
    in_channels: int = 3,
    classes: int = 21,
    *,
    width: int = 64,
    level: int = 5,
    hidden: int | None = None,
    output_size: int = 7,
    dropout: float = 0.5,
    fixed_levels: int = vgg_parts.FIXED,
    mean: float | Sequence[float] = 0.5,
    std: float | Sequence[float] = 0.25,
    min_size: int | None = 600,
    max_size: int | None = 1000,
    offset: int = 1,
    search: Mapping[str, Any] | None = None,
    sampling: Mapping[str, Any] | None = None,
    codes: Mapping[str, Any] | None = None,
    finding: Mapping[str, Any] | None = None,
) -> GivenRegions:
    """Fast R-CNN on VGG-16.

    Parameters
    ----------
    in_channels, classes : int
        Channels of an image, and classes, the background included.
    width : int
        Channels of the first convolution: 64 in VGG-16.
    level : int
        Of how many of its five levels the convolutions are used; regions are pooled from a map of
        stride ``2 ** (level - 1)``.
    hidden : int, optional
        Channels of fc6 and fc7: ``64 * width`` by default.
    output_size : int
        Rows and columns of a pooled region.
    dropout : float
        Of fc6 and fc7, in training.
    fixed_levels : int
        Levels that training leaves as they are: 2 in the paper, whose start is an ImageNet
        network; 0 for a training from the start.
    mean, std : number, or one for each channel
        An image is ``(image - mean) / std``. Caffe's weights, whose images go to 255, have means
        of 0.482, 0.454, 0.404 (red, green, blue) and a std of 1 / 255.
    min_size, max_size : int, optional
        See :class:`~numseg.detectors.regions.Scaling`.
    offset : {0, 1}
        1, as in the paper's program: boxes are pixels, the last one included, and a side is
        ``x2 - x1 + 1``. 0: edges.
    search : mapping, optional
        Arguments of :func:`~numseg.detectors.selective_search.selective_search`.
    sampling, codes, finding : mapping, optional
        Of :class:`~numseg.detectors.regions.Sampling`, :class:`~numseg.detectors.regions.Codes`
        and :class:`~numseg.detectors.regions.Finding` what shall differ.

    Returns
    -------
    Detector
        134,690,729 parameters for 21 classes. Their names are those of Caffe's model:
        ``conv1_1.weight``, ``fc6``, ``fc7``, ``cls_score``, ``bbox_pred``.

    Notes
    -----
    Regions of an image are proposed by selective search (extra ``demo``), and remembered for images
    that come again.

    Source: Girshick 2015, and its program (fast-rcnn, ``models/VGG16``); VGG-16's poolings round
    up there, and pool5 is what pools regions.
    """
    settings = Settings(
        checks.integer("classes", classes, 2),
        r.scaling(in_channels, mean, std, min_size, max_size),
        r.settings(r.Sampling, "sampling", sampling),
        r.settings(r.Codes, "codes", codes),
        r.settings(r.Finding, "finding", finding),
        checks.integer("offset", offset, 0, 1),
    )
    trunk = vgg_parts.features(in_channels, width, level)
    hidden = vgg.HIDDEN * width if hidden is None else checks.integer("hidden", hidden, 1)
    graph = head(width, level, hidden, classes, output_size, dropout)
    frozen = vgg_parts.fixed(trunk, fixed_levels)
    return GivenRegions(trunk, graph, remembered(selective_search_of(search)), settings, frozen)


def head(
    width: int, level: int, hidden: int, classes: int, output_size: int, dropout: float
) -> Graph:
    """From a map and boxes (K, 5) to scores (K, classes) and codes (K, 4 * classes)."""
    net = Graph.build()
    features, boxes = net.input("features"), net.input("boxes")
    size = checks.integer("output_size", output_size, 1)
    h = net.add(roi_pool, features, boxes, size, 1 / vgg_parts.stride(level), name="roi_pool5")
    h = net.add(flatten, h, name="flatten")
    inputs = vgg_parts.channels(width, level) * size * size
    return net.output(*vgg_parts.heads(net, Stage(h, inputs), hidden, classes, classes, dropout))
