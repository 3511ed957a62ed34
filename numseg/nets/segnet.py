"""SegNet (Badrinarayanan, Kendall and Cipolla, "SegNet: a deep convolutional encoder-decoder
architecture for image segmentation", 2015).

::

    conv1_1 conv1_2         pool1 ------ indices ------ upsample1   conv1_2_D conv1_1_D
    conv2_1 conv2_2         pool2 ------ indices ------ upsample2   conv2_2_D conv2_1_D
    conv3_1 .. conv3_3      pool3 ------ indices ------ upsample3   conv3_3_D .. conv3_1_D
    conv4_1 .. conv4_3      pool4 ------ indices ------ upsample4   conv4_3_D .. conv4_1_D
    conv5_1 .. conv5_3      pool5 ------ indices ------ upsample5   conv5_3_D .. conv5_1_D

The encoder is VGG-16 without its classifier, the decoder its mirror image. Each convolution, 3 x 3,
is followed by batch normalisation and relu; the last one, which scores the classes, is not.
"""

from __future__ import annotations

from numseg import checks
from numseg.graph import Graph, Value
from numseg.nets import blocks
from numseg.nets.backbones import vgg
from numseg.nets.blocks import Stage
from numseg.ops.max_pool2d import max_pool2d
from numseg.ops.max_unpool2d import max_unpool2d


def segnet(in_channels: int = 3, classes: int = 11, *, width: int = 64) -> Graph:
    """SegNet, of VGG-16.

    Parameters
    ----------
    in_channels, classes : int
        Channels of the image, and of the output, whose values are logits. CamVid's 11 classes have
        labels 0 to 10; 11 is ignored.
    width : int
        Channels of the first convolution.

    Returns
    -------
    Graph
        With one input ``x``, (N, in_channels, H, W) of any size, and an output of that size,
        (N, classes, H, W).

        Parameters have the names of the authors' Caffe layers: ``conv1_1.weight``,
        ``conv1_1_bn.weight`` to ``conv5_3`` in the encoder, ``conv5_3_D.weight`` down to
        ``conv1_1_D.weight`` in the decoder.

    Notes
    -----
    Poolings round up, 360 > 180 > 90 > 45 > 23 > 12, so that an unpooling does not know from its
    input which size it has to make: it makes that of what was pooled.

    Source: Badrinarayanan et al. 2015; github.com/alexgkendall/SegNet-Tutorial, segnet_train, whose
    class weights are the median of the frequencies over each one's.

    Examples
    --------
    >>> import numseg as ns
    >>> shapes = ns.nets.segnet().shapes((1, 3, 360, 480))
    >>> shapes["pool5"], shapes["upsample5"], shapes["conv1_1_D"]
    ((1, 512, 12, 15), (1, 512, 23, 30), (1, 11, 360, 480))
    """
    net = Graph.build()
    x = Stage(blocks.image(net, in_channels), in_channels)
    pooled: dict[str, tuple[Value, Value]] = {}

    def conv(place: str, x: Value, channels: int, filters: int) -> Value:
        name = f"conv{place}"
        return blocks.conv(
            net, name, x, channels, filters, 3, 1, bias=True,
            norm="batch_norm", norm_name=f"{name}_bn",
            activation="relu", activation_name=f"relu{place}",
        )  # fmt: skip

    def pool(name: str, x: Value) -> Value:
        y, indices = net.add(
            max_pool2d, x, 2, ceil_mode=True, return_indices=True, name=name, results=2
        )
        pooled[name] = x, indices
        return y

    stages = vgg.trunk(x, checks.integer("width", width, 1), conv, pool)
    h = stages["pool5"]
    for level, count in reversed(list(enumerate(vgg.CONVS, 1))):
        like, indices = pooled[f"pool{level}"]
        y = net.add(
            max_unpool2d, h.value, indices, 2, output_size=like.size, name=f"upsample{level}"
        )
        h = Stage(y, h.channels)
        for j in range(count, 1, -1):  # as many channels out as went in at this place
            h = Stage(conv(f"{level}_{j}_D", h.value, h.channels, h.channels), h.channels)
        if level > 1:
            filters = stages[f"pool{level - 1}"].channels
            h = Stage(conv(f"{level}_1_D", h.value, h.channels, filters), filters)
    classes = checks.integer("classes", classes, 1)
    return net.output(blocks.conv(net, "conv1_1_D", h.value, h.channels, classes, 3, 1))
