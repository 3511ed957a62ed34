"""DeconvNet (Noh, Hong and Han, "Learning deconvolution network for semantic segmentation", 2015).

::

    224   conv1_1 conv1_2        pool1 ---- indices ---- unpool1   deconv1_1 deconv1_2   seg-score
    112   conv2_1 conv2_2        pool2 ---- indices ---- unpool2   deconv2_1 deconv2_2
     56   conv3_1 .. conv3_3     pool3 ---- indices ---- unpool3   deconv3_1 .. deconv3_3
     28   conv4_1 .. conv4_3     pool4 ---- indices ---- unpool4   deconv4_1 .. deconv4_3
     14   conv5_1 .. conv5_3     pool5 ---- indices ---- unpool5   deconv5_1 .. deconv5_3
      7   fc6 7 x 7     1     fc7     1     fc6-deconv 7 x 7

The encoder is VGG-16 with fc6 and fc7 as convolutions, the decoder its mirror image, of transposed
convolutions. Each is followed by batch normalisation and relu; the scores, 1 x 1, are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from numseg import checks
from numseg.errors import ArgumentError
from numseg.graph import Graph, Value
from numseg.nets import blocks
from numseg.nets.backbones import vgg
from numseg.nets.blocks import Stage
from numseg.ops.max_pool2d import max_pool2d
from numseg.ops.max_unpool2d import max_unpool2d
from numseg.ops.upsample_bilinear2d import upsample_bilinear2d
from numseg.typing import Array, ArrayLike


def deconvnet(in_channels: int = 3, classes: int = 21, *, width: int = 64) -> Graph:
    """DeconvNet.

    Parameters
    ----------
    in_channels, classes : int
        Channels of the image, and of the output, whose values are logits; the background counts
        as a class.
    width : int
        Channels of the first convolution.

    Returns
    -------
    Graph
        With one input ``x``, (N, in_channels, H, W), H and W at least 193 (fc6 reads 7 x 7 pixels
        of ``pool5``) and 224 in the paper, and an output of that size, (N, classes, H, W).

        Parameters have the names of the authors' Caffe layers: ``conv1_1.weight``,
        ``bn1_1.weight``, ``fc6.weight``, ``bnfc6.weight``, ``fc6-deconv.weight``,
        ``fc6-deconv-bn.weight``, ``deconv5_1.weight``, ``debn5_1.weight``,
        ``seg-score-voc.weight``.

    Notes
    -----
    The paper takes pictures apart into windows, proposals of objects: :func:`over_windows`. It
    trains in two stages, with the same network and loss:

    1. on easy examples: a window of 1.2 times each object's box, whose other pixels are
       background, whatever they show;
    2. from those parameters, on proposals whose intersection over union with an object's box is
       0.5 or more, with all labels in them.

    Both resize windows to 250 x 250 and cut 224 x 224 out of them at random, and take SGD with a
    momentum of 0.9, a weight decay of 0.0005 and batches of 64.

    What was published takes BGR images in 0 to 255, less (104.008, 116.669, 122.675).

    Source: Noh et al. 2015; github.com/HyeonwooNoh/DeconvNet.

    Examples
    --------
    >>> import numseg as ns
    >>> shapes = ns.nets.deconvnet().shapes((1, 3, 224, 224))
    >>> shapes["fc7"], shapes["fc6-deconv"], shapes["seg-score-voc"]
    ((1, 4096, 1, 1), (1, 512, 7, 7), (1, 21, 224, 224))
    """
    width = checks.integer("width", width, 1)
    net = Graph.build()
    x = Stage(blocks.image(net, in_channels), in_channels)
    pooled: dict[str, tuple[Value, Value]] = {}

    def add(block: Any, x: Stage, filters: int, kernel: int, *names: str, **others: Any) -> Stage:
        """A layer, its normalisation and its relu, by the names of all three."""
        name, norm_name, activation_name = names
        y = block(
            net, name, x.value, x.channels, filters, kernel, bias=True,
            norm="batch_norm", norm_name=norm_name,
            activation="relu", activation_name=activation_name, **others,
        )  # fmt: skip
        return Stage(y, filters)

    def conv(place: str, x: Value, channels: int, filters: int) -> Value:
        names = f"conv{place}", f"bn{place}", f"relu{place}"
        return add(blocks.conv, Stage(x, channels), filters, 3, *names, padding=1).value

    def deconv(place: str, x: Stage, filters: int) -> Stage:
        names = f"deconv{place}", f"debn{place}", f"derelu{place}"
        return add(blocks.conv_transpose, x, filters, 3, *names, stride=1, padding=1)

    def pool(name: str, x: Value) -> Value:
        y, indices = net.add(
            max_pool2d, x, 2, ceil_mode=True, return_indices=True, name=name, results=2
        )
        pooled[name] = x, indices
        return y

    stages = vgg.trunk(x, width, conv, pool)
    h = add(blocks.conv, stages["pool5"], vgg.HIDDEN * width, 7, "fc6", "bnfc6", "relu6")
    h = add(blocks.conv, h, vgg.HIDDEN * width, 1, "fc7", "bnfc7", "relu7")
    names = "fc6-deconv", "fc6-deconv-bn", "fc6-deconv-relu"
    h = add(blocks.conv_transpose, h, stages["pool5"].channels, 7, *names, stride=1)
    for level, count in reversed(list(enumerate(vgg.CONVS, 1))):
        like, indices = pooled[f"pool{level}"]
        y = net.add(max_unpool2d, h.value, indices, 2, output_size=like.size, name=f"unpool{level}")
        h = Stage(y, h.channels)
        for j in range(1, count):
            h = deconv(f"{level}_{j}", h, h.channels)
        h = deconv(f"{level}_{count}", h, stages[f"pool{max(level - 1, 1)}"].channels)
    classes = checks.integer("classes", classes, 1)
    return net.output(blocks.conv(net, "seg-score-voc", h.value, h.channels, classes, 1))


def over_windows(
    graph: Graph,
    params: Mapping[str, ArrayLike],
    image: Array,
    boxes: ArrayLike,
    side: int = 224,
) -> Array:
    """Scores of a picture from those of its windows: of each class and pixel the largest.

    Each window is resized to ``side`` x ``side``, scored, and its scores are resized back. Outside
    a window its scores count as 0, so none below 0 is left: the paper's equation 1, whose softmax
    over classes is the probability.

    Parameters
    ----------
    graph : Graph
        One image in, scores of its size out: :func:`deconvnet`, or another.
    params : mapping of str to array
    image : array, (C, H, W), float32 or float64
    boxes : array of integers, (K, 4)
        Windows ``x1, y1, x2, y2``, the last row and column not included. They may reach beyond the
        picture, where it counts as 0.
    side : int

    Returns
    -------
    array, (classes, H, W), dtype of the image

    Raises
    ------
    ArgumentError
        For arrays of other shapes or dtypes, no box, or a box without pixels.

    Notes
    -----
    Resizing is bilinear, without antialiasing; the authors' MATLAB code has it where it shrinks.

    Source: Noh et al. 2015, section 4.4 and equation 1, which take the 50 best of 2000 proposals;
    their code leaves out windows less than 112 pixels wide or high.
    """
    checks.floats(image=image)
    _, rows, columns = checks.axes("image", image, "c h w")
    boxes = np.asarray(boxes)
    checks.integers(boxes=boxes)
    if boxes.ndim != 2 or boxes.shape[1] != 4 or not len(boxes):
        raise ArgumentError(f"boxes has shape {boxes.shape}, expected (K, 4), K at least 1")
    best: Any = None
    for k, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
        if x1 >= x2 or y1 >= y2:
            raise ArgumentError(f"boxes[{k}] is {x1}, {y1}, {x2}, {y2}: it has no pixels")
        window = np.zeros((1, len(image), y2 - y1, x2 - x1), image.dtype)
        inside = slice(max(y1, 0), max(y2, 0)), slice(max(x1, 0), max(x2, 0))
        piece = image[:, *inside]
        top, left = max(-y1, 0), max(-x1, 0)
        here = slice(top, top + piece.shape[1]), slice(left, left + piece.shape[2])
        window[0][:, *here] = piece
        scores = graph.run(params, upsample_bilinear2d(window, side))
        scores = upsample_bilinear2d(scores, (y2 - y1, x2 - x1))[0]
        best = np.zeros((len(scores), rows, columns), image.dtype) if best is None else best
        np.maximum(best[:, *inside], scores[:, *here], out=best[:, *inside])
    return best
