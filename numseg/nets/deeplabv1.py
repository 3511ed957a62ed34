"""DeepLab (Chen, Papandreou, Kokkinos, Murphy and Yuille, "Semantic image segmentation with deep
convolutional nets and fully connected CRFs", 2014), LargeFOV.

::

    321   2 x conv 3 x 3, width        pool1  3 x 3 / 2    161
    161   2 x conv 3 x 3, width * 2    pool2  3 x 3 / 2     81
     81   3 x conv 3 x 3, width * 4    pool3  3 x 3 / 2     41
     41   3 x conv 3 x 3, width * 8    pool4  3 x 3 / 1     41
     41   3 x conv 3 x 3, rate 2       pool5  3 x 3 / 1     41, pool5a its mean of 3 x 3
     41   fc6 3 x 3, rate 12, fc7 1 x 1, width * 16; fc8_voc12 1 x 1     x 8 > 321

VGG-16 without its last two strides. Names are those of the authors' Caffe models, so that their
files fit.
"""

from __future__ import annotations

from typing import Literal

from numseg import checks
from numseg.errors import ArgumentError
from numseg.graph import Builder, Graph, Value
from numseg.nets import blocks
from numseg.nets.backbones import vgg
from numseg.nets.blocks import Stage
from numseg.nets.crf import crf_rnn
from numseg.ops.avg_pool2d import avg_pool2d
from numseg.ops.max_pool2d import max_pool2d
from numseg.ops.upsample_bilinear2d import upsample_bilinear2d

SETTINGS = "deeplab-v1-largefov"
"""Of its CRF."""

HIDDEN = 16
"""fc6 and fc7 have so many times the channels of the first convolution."""


def deeplabv1_vgg16(
    in_channels: int = 3,
    classes: int = 21,
    *,
    width: int = 64,
    dropout: float = 0.5,
    upsample: bool = True,
    crf: bool = False,
) -> Graph:
    """DeepLab-LargeFOV.

    Parameters
    ----------
    in_channels, classes : int
        Channels of the image, and of the output, whose values are logits; the background counts
        as a class.
    width : int
        Channels of the first convolution.
    dropout : float
        Of fc6 and of fc7, in training.
    upsample : bool
        An output as large as the image. False: one pixel for 8 x 8, as the authors train, with
        every eighth row and column of the labels.
    crf : bool
        The paper's CRF behind it, not trained: an output ``crf``, whose values are logits too
        (:func:`numseg.nets.crf.crf_rnn`, settings "deeplab-v1-largefov").

    Returns
    -------
    Graph
        With one input ``x``, (N, in_channels, H, W), and an output ``upscore``, (N, classes, H, W).
        H and W are of the form ``8 k + 1``: then what is pooled is odd each time, windows lie
        centred on the image, and pixel (p, q) of ``fc8_voc12``, (N, classes, k + 1, k + 1), on its
        pixel (8 p, 8 q). Other sizes are an error that names the nearest. The authors take
        ``32 k - 31``, 321 for one, so that a network of stride 32 could have the same images.

    Notes
    -----
    Logits are interpolated between the centres of the corner pixels (``align_corners=True``), as
    Caffe's Interp layer does.

    What was published takes BGR images in 0 to 255, less (104.008, 116.669, 122.675).

    Source: arXiv 1412.7062; the authors' model DeepLab-LargeFOV (vgg128_large_fov), of
    20,505,429 parameters.

    Examples
    --------
    >>> import numseg as ns
    >>> shapes = ns.nets.deeplabv1_vgg16().shapes((1, 3, 321, 321))
    >>> shapes["fc8_voc12"], shapes["upscore"]
    ((1, 21, 41, 41), (1, 21, 321, 321))
    """
    classes = checks.integer("classes", classes, 1)
    width = checks.integer("width", width, 1)
    upsample, crf = checks.flag("upsample", upsample), checks.flag("crf", crf)
    net = Graph.build()
    x = image(net, in_channels)
    h = features(net, Stage(x, in_channels), width)
    h = Stage(net.add(avg_pool2d, h.value, 3, 1, 1, name="pool5a"), h.channels)
    h = vgg.caffe_hidden(net, h, HIDDEN * width, 3, 12, 12, dropout=dropout)
    y = blocks.conv(net, "fc8_voc12", h.value, h.channels, classes, 1, init=vgg.CLASSIFIER)
    return net.output(finished(net, y, x, in_channels, classes, upsample, crf and SETTINGS))


# -- what v2 has of it --------------------------------------------------------------------------


def image(net: Builder, channels: int) -> Value:
    """The input, of 8 k + 1 rows and columns."""
    return blocks.image(net, channels, centred=True)


def features(net: Builder, x: Stage, width: int) -> Stage:
    """VGG-16 up to ``pool5``, at stride 8."""

    def conv(place: str, x: Value, channels: int, filters: int) -> Value:
        rate = 2 if place.startswith("5") else 1
        return vgg.caffe_conv(net, place, x, channels, filters, rate, rate)

    def pool(name: str, x: Value) -> Value:
        return net.add(max_pool2d, x, 3, 1 if name in ("pool4", "pool5") else 2, 1, name=name)

    return vgg.trunk(x, width, conv, pool)["pool5"]


def upsampled(net: Builder, y: Value, x: Value) -> Value:
    """Logits at the size of the image."""
    return net.add(upsample_bilinear2d, y, x.size, align_corners=True, name="upscore")


def finished(
    net: Builder,
    y: Value,
    x: Value,
    channels: int,
    classes: int,
    upsample: bool,
    settings: str | Literal[False],
) -> Value:
    """What follows the scores: they get the size of the image, and a CRF."""
    if settings and not upsample:
        raise ArgumentError("crf is True, but upsample False: it takes scores for each pixel")
    if upsample:
        y = upsampled(net, y, x)
    if settings:
        y = crf_rnn(net, "crf", y, x, channels, classes, settings, compat="number", trainable=False)
    return y
