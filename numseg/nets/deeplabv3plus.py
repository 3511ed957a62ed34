"""DeepLab v3+ (Chen, Zhu, Papandreou, Schroff and Adam, "Encoder-decoder with atrous separable
convolution for semantic image segmentation", 2018).

::

    encoder   Xception-65 at stride 16 > 1 x 1                      256
                                       > 3 x 3, rate  6, separable  256
                                       > 3 x 3, rate 12, separable  256   > concat > 1 x 1, 256
                                       > 3 x 3, rate 18, separable  256             |
                                       > mean of the image > 1 x 1  256             | x 4
    decoder   low-level features at stride 4 > 1 x 1, 48 ------------- concat <-----+
                                                    3 x 3, 3 x 3, separable, 256 > 1 x 1 > x 4
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numseg import checks
from numseg.errors import ArgumentError
from numseg.graph import Builder, Graph, Value
from numseg.nets import blocks
from numseg.nets.backbones import xception
from numseg.nets.backbones.xception import scaled
from numseg.nets.blocks import Stage
from numseg.ops.concat import concat
from numseg.ops.global_avg_pool2d import global_avg_pool2d
from numseg.ops.upsample_bilinear2d import upsample_bilinear2d

RATES = (6, 12, 18)
"""Of the pyramid at output stride 16; they double as the stride halves."""

NORMED: dict[str, Any] = {"norm": "batch_norm", "activation": "relu"}


def deeplabv3plus_xception65(
    in_channels: int = 3,
    classes: int = 21,
    *,
    width: int = 32,
    middle: int = xception.MIDDLE,
    output_stride: int = 16,
    rates: Sequence[int] | None = None,
    multi_grid: Sequence[int] = (1, 1, 1),
    dropout: float = 0.1,
) -> Graph:
    """DeepLab v3+ on the modified aligned Xception-65.

    Parameters
    ----------
    in_channels, classes : int
        Channels of the image, and of the output, whose values are logits; the background counts
        as a class.
    width : int
        Channels of the first convolution; others are in proportion.
    middle : int
        Units of the middle flow.
    output_stride : {16, 8, 32}
        Pixels of the image from one pixel of the encoder's features to the next. The paper trains
        at 16 and evaluates at 16 and at 8, with the same parameters.
    rates : sequence of int, optional
        Dilations of the pyramid. By default 6, 12, 18 at output stride 16, twice that at 8.
    multi_grid : three ints
        Factors of the dilations of the last block. The paper found no use for them; (1, 2, 4) is
        v3's.
    dropout : float
        After the pyramid, in training.

    Returns
    -------
    Graph
        With one input ``x``, (N, in_channels, H, W) of any size, and an output ``upscore``, (N,
        classes, H, W). Sizes of the form ``16 k + 1``, 513 in the paper, are interpolated by a
        factor of exactly 4 each time.

        Parameters are named after the authors' TensorFlow scopes: :func:`xception65`'s,
        ``image_pooling.weight``, ``aspp0.weight``, ``aspp1.depthwise.weight`` and
        ``aspp1.pointwise.weight`` to ``aspp3``, ``concat_projection.weight``,
        ``decoder.feature_projection0.weight``, ``decoder.decoder_conv0.depthwise.weight``,
        ``logits.weight``; a norm is ``aspp0.norm.weight``. In training a batch has two images at
        least: the norm after the image's mean sees one number of each.

    Notes
    -----
    Interpolation is bilinear with ``align_corners=True``, as the authors' code has it. Norms of
    the backbone have an eps of 1e-3, others 1e-5.

    Source: arXiv 1802.02611, sections 3 and 4; tensorflow/models, research/deeplab, ``model.py``,
    by ``--decoder_output_stride=4``.

    Examples
    --------
    >>> import numseg as ns
    >>> shapes = ns.nets.deeplabv3plus_xception65().shapes((1, 3, 513, 513))
    >>> shapes["concat_projection"], shapes["decoder.concat"], shapes["upscore"]
    ((1, 256, 33, 33), (1, 304, 129, 129), (1, 21, 513, 513))
    """
    net = Graph.build()
    x = blocks.image(net, in_channels)
    stages = xception.features(
        net, Stage(x, in_channels), width=width, middle=middle, output_stride=output_stride,
        multi_grid=multi_grid,
    )  # fmt: skip
    if rates is None:
        rates = [rate * 16 // output_stride for rate in RATES]
    h = _pyramid(net, stages["exit_flow"], scaled(256, width), rates)
    h = h._replace(value=blocks.dropout(net, "dropout", h.value, dropout))
    h = _decoder(net, h, stages["low_level"], scaled(48, width))
    classes = checks.integer("classes", classes, 1)
    y = blocks.conv(net, "logits", h.value, h.channels, classes, 1)
    return net.output(_resized(net, "upscore", y, x))


def _pyramid(net: Builder, x: Stage, filters: int, rates: Sequence[int]) -> Stage:
    """Atrous spatial pyramid pooling, of separable convolutions."""
    if not rates:
        raise ArgumentError("rates must hold at least one dilation, got none")
    rates = [checks.integer(f"rates[{j}]", rate, 1) for j, rate in enumerate(rates)]
    mean = net.add(global_avg_pool2d, x.value, name="image_pooling.mean")
    mean = blocks.conv(net, "image_pooling", mean, x.channels, filters, 1, **NORMED)
    branches = [
        _resized(net, "image_pooling.resized", mean, x.value),
        blocks.conv(net, "aspp0", x.value, x.channels, filters, 1, **NORMED),
    ]
    for number, rate in enumerate(rates, 1):
        name = f"aspp{number}"
        branches.append(
            blocks.separable(
                net, name, x.value, x.channels, filters, 3, rate, dilation=rate, **NORMED
            )
        )
    y = net.add(concat, branches, name="concat")
    y = blocks.conv(net, "concat_projection", y, len(branches) * filters, filters, 1, **NORMED)
    return Stage(y, filters)


def _decoder(net: Builder, x: Stage, low_level: Stage, projected: int) -> Stage:
    """The pyramid's features where the low-level ones are, and both through two convolutions."""
    low = blocks.conv(
        net, "decoder.feature_projection0", low_level.value, low_level.channels, projected, 1,
        **NORMED,
    )  # fmt: skip
    y = _resized(net, "decoder.resized", x.value, low)
    y = net.add(concat, (y, low), name="decoder.concat")
    channels = x.channels + projected
    for name in ("decoder.decoder_conv0", "decoder.decoder_conv1"):
        y = blocks.separable(net, name, y, channels, x.channels, 3, 1, **NORMED)
        channels = x.channels
    return Stage(y, channels)


def _resized(net: Builder, name: str, y: Value, like: Value) -> Value:
    return net.add(upsample_bilinear2d, y, like.size, align_corners=True, name=name)
