"""FCN (Long, Shelhamer and Darrell, "Fully convolutional networks for semantic segmentation",
2015).

::

    VGG-16, pad 100 > pool3 ---------------- pool4 ---------------- pool5, fc6, fc7
                      score_pool3            score_pool4            score_fr
                      crop 9                 crop 5                    |
    FCN-32s             |                      |                    upscore   x 32, crop 19
    FCN-16s             |                      + <- upscore2 x 2 ----- |
                        |                      upscore16  x 16, crop 27
    FCN-8s              + <- upscore_pool4 x 2 |
                        upscore8  x 8, crop 31

Names are those of the authors' Caffe models, so that their files fit: ``conv1_1.weight``,
``fc6.weight``, ``score_fr.weight``, ``upscore2.weight``.
"""

from __future__ import annotations

from numseg import checks
from numseg.graph import Graph, Value, constant, initialiser
from numseg.nets import blocks
from numseg.nets.backbones import vgg
from numseg.nets.blocks import Stage
from numseg.ops.add import add
from numseg.ops.crop import crop
from numseg.ops.max_pool2d import max_pool2d
from numseg.ops.multiply import multiply
from numseg.ops.reshape import reshape

PAD = 100
"""Of the first convolution: fc6 then has 7 x 7 pixels to read in any image."""


def fcn32s(
    in_channels: int = 3, classes: int = 21, *, width: int = 64, dropout: float = 0.5
) -> Graph:
    """FCN-32s: scores of 32 x 32 pixels, interpolated.

    Parameters
    ----------
    in_channels, classes : int
        Channels of the image, and of the output, whose values are logits; the background counts
        as a class.
    width : int
        Channels of the first convolution.
    dropout : float
        Of fc6 and of fc7, in training.

    Returns
    -------
    Graph
        With one input ``x``, (N, in_channels, H, W) of any size, and an output of that size,
        (N, classes, H, W).

    Notes
    -----
    The deconvolutions interpolate bilinearly and are constants: no training changes them. Each
    has a weight from every class to every other, zero but on its diagonal, and no bias. Weights of
    the layers that score are zero at first, as published.

    What was published takes BGR images in 0 to 255, less (104.00699, 116.66877, 122.67892).

    Source: Long et al. 2015; the authors' models at github.com/shelhamer/fcn.berkeleyvision.org.

    Examples
    --------
    >>> import numseg as ns
    >>> ns.nets.fcn32s().shapes((1, 3, 37, 500))["score"]
    (1, 21, 37, 500)
    """
    net = _Net(in_channels, classes, width, dropout)
    return net.output(net.up("upscore", net.score, 32), 19)


def fcn16s(
    in_channels: int = 3, classes: int = 21, *, width: int = 64, dropout: float = 0.5
) -> Graph:
    """FCN-16s: the scores of FCN-32s and those of ``pool4``; the arguments are those of
    :func:`fcn32s`."""
    net = _Net(in_channels, classes, width, dropout)
    h = net.fused("pool4", net.up("upscore2", net.score, 2), 5)
    return net.output(net.up("upscore16", h, 16), 27)


def fcn8s(
    in_channels: int = 3,
    classes: int = 21,
    *,
    width: int = 64,
    dropout: float = 0.5,
    at_once: bool = False,
) -> Graph:
    """FCN-8s: the scores of FCN-16s and those of ``pool3``.

    Parameters
    ----------
    in_channels, classes, width, dropout
        Of :func:`fcn32s`.
    at_once : bool
        By default the network that is trained in stages, each with the parameters of the one before
        it: VGG-16, FCN-32s, FCN-16s, FCN-8s. At once, from VGG-16, it is trained with ``pool4``
        times 0.01 and ``pool3`` times 0.0001, by constants ``scale_pool4.weight`` and
        ``scale_pool3.weight``: features of different layers are of different sizes.

    Returns
    -------
    Graph
        As :func:`fcn32s`.

    Examples
    --------
    >>> import numseg as ns
    >>> graph = ns.nets.fcn8s()
    >>> graph.crop_offset("upscore8", "x", (1, 3, 64, 64))
    (31, 31)
    """
    at_once = checks.flag("at_once", at_once)
    net = _Net(in_channels, classes, width, dropout)
    h = net.fused("pool4", net.up("upscore2", net.score, 2), 5, 1e-2 if at_once else None)
    h = net.fused("pool3", net.up("upscore_pool4", h, 2), 9, 1e-4 if at_once else None)
    return net.output(net.up("upscore8", h, 8), 31)


class _Net:
    """VGG-16 up to the scores of fc7, and what goes on from there."""

    def __init__(self, in_channels: int, classes: int, width: int, dropout: float) -> None:
        self.net = net = Graph.build()
        self.classes = checks.integer("classes", classes, 1)
        self.x = blocks.image(net, in_channels)

        def conv(place: str, x: Value, channels: int, filters: int) -> Value:
            padding = PAD if place == "1_1" else 1
            return vgg.caffe_conv(net, place, x, channels, filters, padding)

        def pool(name: str, x: Value) -> Value:
            return net.add(max_pool2d, x, 2, ceil_mode=True, name=name)

        width = checks.integer("width", width, 1)
        self.stages = vgg.trunk(Stage(self.x, in_channels), width, conv, pool)
        fc7 = vgg.caffe_hidden(net, self.stages["pool5"], vgg.HIDDEN * width, dropout=dropout)
        self.score = self.scored("score_fr", fc7)

    def scored(self, name: str, x: Stage) -> Value:
        return blocks.conv(self.net, name, x.value, x.channels, self.classes, 1, init="zeros")

    def up(self, name: str, x: Value, stride: int) -> Value:
        """Interpolated by a constant."""
        return blocks.conv_transpose(
            self.net, name, x, self.classes, self.classes, 2 * stride, stride,
            bias=False, init="bilinear", trainable=False,
        )  # fmt: skip

    def fused(self, name: str, coarse: Value, offset: int, scale: float | None = None) -> Value:
        """Coarse scores, and those of a pooling where they lie on them."""
        fine = self.stages[name]
        if scale is not None:
            fine = Stage(self.scaled(f"scale_{name}", fine, scale), fine.channels)
        score = self.scored(f"score_{name}", fine)
        cut = self.net.add(crop, score, coarse.size, offset, name=f"score_{name}c")
        return self.net.add(add, coarse, cut, name=f"fuse_{name}")

    def scaled(self, name: str, x: Stage, scale: float) -> Value:
        """Each channel times a constant, all the same at first."""
        init = initialiser((constant, {"value": scale}))
        factor = self.net.param(f"{name}.weight", (x.channels,), init, trainable=False)
        factor = self.net.add(reshape, factor, (x.channels, 1, 1), name=f"{name}.reshape")
        return self.net.add(multiply, x.value, factor, name=name)

    def output(self, y: Value, offset: int) -> Graph:
        return self.net.output(self.net.add(crop, y, self.x.size, offset, name="score"))
