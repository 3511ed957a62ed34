"""Hypercolumns (Hariharan, Arbelaez, Girshick and Malik, "Hypercolumns for object segmentation and
fine-grained localization", 2015).

::

    VGG-16 > pool2 ------> conv4_3 ------> fc6, fc7
               |              |               |
             1 x 1          1 x 1           1 x 1       scores of the classes
               | x 4          | x 8           | x 32
               + ------------ + ------------- +         at every pixel

The hypercolumn of a pixel is what several layers have there, interpolated, in one vector. A linear
classifier of it is a sum over layers, and interpolation is linear: so each layer is classified
where it is, and the scores are interpolated and added up.
"""

from __future__ import annotations

from collections.abc import Sequence

from numseg import checks
from numseg.errors import ArgumentError
from numseg.graph import Graph, Value
from numseg.nets import blocks
from numseg.nets.backbones import vgg
from numseg.nets.blocks import Stage
from numseg.ops.add import add
from numseg.ops.max_pool2d import max_pool2d
from numseg.ops.upsample_bilinear2d import upsample_bilinear2d


def hypercolumns_vgg16(
    in_channels: int = 3,
    classes: int = 21,
    *,
    width: int = 64,
    layers: Sequence[str] = ("pool2", "conv4_3", "fc7"),
    kernel: int = 1,
    dropout: float = 0.5,
) -> Graph:
    """Hypercolumns of VGG-16, and a linear classifier of them.

    Parameters
    ----------
    in_channels, classes : int
        Channels of the image, and of the output, whose values are logits.
    width : int
        Channels of the first convolution.
    layers : sequence of str
        What a hypercolumn is made of: "conv1_1" to "conv5_3" (after their relu), "pool1" to
        "pool5", and "fc7".
    kernel : int
        Odd; more than 1, the classifier sees the columns of neighbours too, ``kernel`` x ``kernel``
        pixels of each layer.
    dropout : float
        Of fc6 and of fc7, in training.

    Returns
    -------
    Graph
        With one input ``x``, (N, in_channels, H, W), H and W multiples of 32, so that each layer's
        pixels are as many for each 32 rows, and an output of that size, (N, classes, H, W).

        Parameters have Caffe's names, ``conv1_1.weight`` to ``fc7.bias``; the classifier's are
        ``score_pool2.weight`` and so on, and one bias, that of the last layer.

    Notes
    -----
    The paper classifies the pixels of a detected box, resized to 224 x 224, by a grid of
    classifiers, each for one place in the box, between which it interpolates; here one classifier
    sees all places of a whole image. fc6 is padded by 3, so that fc7 has a pixel for each of
    ``pool5``. The paper's layers are pool2, conv4 and fc7; the last of VGG-16's conv4 is taken.

    Source: arXiv 1411.5752, sections 3 and 3.2, figure 2.

    Examples
    --------
    >>> import numseg as ns
    >>> shapes = ns.nets.hypercolumns_vgg16().shapes((1, 3, 224, 224))
    >>> shapes["score_pool2"], shapes["score_fc7"], shapes["score"]
    ((1, 21, 56, 56), (1, 21, 7, 7), (1, 21, 224, 224))
    """
    width = checks.integer("width", width, 1)
    classes = checks.integer("classes", classes, 1)
    if checks.integer("kernel", kernel, 1) % 2 == 0:
        raise ArgumentError(f"kernel must be odd, got {kernel}")
    net = Graph.build()
    x = blocks.image(net, in_channels, centred=True)

    def conv(place: str, x: Value, channels: int, filters: int) -> Value:
        return vgg.caffe_conv(net, place, x, channels, filters)

    def pool(name: str, x: Value) -> Value:
        return net.add(max_pool2d, x, 2, name=name)

    stages = vgg.trunk(Stage(x, in_channels), width, conv, pool)
    hidden = vgg.HIDDEN * width
    fc7 = stages["fc7"] = vgg.caffe_hidden(net, stages["pool5"], hidden, 7, 3, dropout=dropout)
    for layer in layers:
        checks.choice("layers", layer, tuple(stages))
    if not layers or len(set(layers)) < len(layers):
        raise ArgumentError(f"layers must be some, each once, got {tuple(layers)}")
    scores = []
    for place, layer in enumerate(layers, 1):
        y = blocks.conv(
            net, f"score_{layer}", stages[layer].value, stages[layer].channels, classes, kernel,
            kernel // 2, bias=place == len(layers), init=vgg.CLASSIFIER,
        )  # fmt: skip
        scores.append(net.add(upsample_bilinear2d, y, x.size, name=f"upscore_{layer}"))
    y = scores[0]
    for place, other in enumerate(scores[1:], 2):
        name = "score" if place == len(scores) else f"score.sum{place}"
        y = net.add(add, y, other, name=name)
    return net.output(y, fc7.value).at(y.source)  # without what is deeper than all layers
