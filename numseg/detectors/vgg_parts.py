"""VGG-16 cut in two, as Fast R-CNN has it: convolutions for the image, layers for each region.

::

    x  conv1_1 ... conv5_3   stride 16                                      features
    h  fc6, relu, dropout, fc7, relu, dropout, then cls_score and bbox_pred   heads

Names are those of Caffe's models.
"""

from __future__ import annotations

import functools

from numseg import checks
from numseg.graph import Builder, Graph, Value
from numseg.nets import blocks
from numseg.nets.backbones import vgg
from numseg.nets.blocks import Stage
from numseg.ops.max_pool2d import max_pool2d

FIXED = 2
"""Levels of an ImageNet network that Fast R-CNN's training leaves as they are: conv1 and conv2."""


def stride(level: int) -> int:
    """Pixels of the image, for each of the map after this level's convolutions."""
    return 2 ** (level - 1)


def channels(width: int, level: int) -> int:
    """Of that map."""
    return width * min(2 ** (level - 1), 8)


def add_features(net: Builder, x: Stage, width: int, level: int) -> Stage:
    """The convolutions up to this level's, its pooling left out. Poolings round up, as Caffe's."""
    conv = functools.partial(vgg.caffe_conv, net)

    def pool(name: str, x: Value) -> Value:
        return net.add(max_pool2d, x, 2, ceil_mode=True, name=name)

    stages = vgg.trunk(x, checks.integer("width", width, 1), conv, pool)
    last = vgg.CONVS[checks.integer("level", level, 1, len(vgg.CONVS)) - 1]
    return stages[f"conv{level}_{last}"]


def features(in_channels: int, width: int = 64, level: int = 5) -> Graph:
    """From the image to the map: ``x`` (N, in_channels, H, W)."""
    net = Graph.build()
    x = Stage(blocks.image(net, in_channels), in_channels)
    return net.output(add_features(net, x, width, level).value, prune=True)


def fixed(graph: Graph, levels: int) -> set[str]:
    """The parameters of the first so many levels."""
    count = checks.integer("fixed_levels", levels, 0, len(vgg.CONVS))
    first = tuple(f"conv{level}_" for level in range(1, count + 1))
    return {param.name for param in graph.params if param.name.startswith(first)}


def heads(
    net: Builder, h: Stage, hidden: int, scores: int, boxes: int, dropout: float = 0.5
) -> tuple[Value, Value]:
    """Of a vector for each region: two hidden layers, then scores and codes of so many classes."""
    for number in "67":
        y = blocks.linear(
            net, f"fc{number}", h.value, h.channels, hidden,
            activation="relu", activation_name=f"relu{number}",
        )  # fmt: skip
        h = Stage(blocks.dropout(net, f"drop{number}", y, dropout), hidden)
    return siblings(net, h, scores, boxes)


def siblings(net: Builder, h: Stage, scores: int, boxes: int) -> tuple[Value, Value]:
    """Fast R-CNN's two last layers, with its start values."""
    score = blocks.linear(
        net, "cls_score", h.value, h.channels, scores, init=("normal", {"std": 0.01})
    )
    code = blocks.linear(
        net, "bbox_pred", h.value, h.channels, 4 * boxes, init=("normal", {"std": 0.001})
    )
    return score, code
