"""Xception-65, the modified aligned Xception of DeepLab v3+ (Chollet, "Xception: deep learning with
depthwise separable convolutions", 2016; Dai et al., "Deformable convolutional networks: COCO
detection and segmentation challenge 2017 entry"; Chen et al., DeepLab v3+, 2018).

::

    entry_flow    conv1_1 3 x 3 / 2, 32; conv1_2 3 x 3, 64                   stride  2
                  block1    128  128  128 / 2     + 1 x 1 / 2                        4
                  block2    256  256  256 / 2     + 1 x 1 / 2                        8
                  block3    728  728  728 / 2     + 1 x 1 / 2                       16
    middle_flow   unit1 .. unit16   728  728  728     + x                           16
    exit_flow     block1    728 1024 1024 / 2     + 1 x 1 / 2                       32
                  block2   1536 1536 2048                                           32
    mean, logits

A number is a separable convolution: 3 x 3 of each channel, norm, 1 x 1, norm; a relu lies before
it. The last block has no skip, and its relus lie inside, after either norm. Where ``output_stride``
is less than 32, the last strides are 1 instead, and what follows is dilated.
"""

from __future__ import annotations

from collections.abc import Sequence

from numseg import checks
from numseg.errors import ArgumentError
from numseg.graph import Builder, Graph
from numseg.nets import blocks
from numseg.nets.blocks import Stage
from numseg.ops.add import add
from numseg.ops.flatten import flatten
from numseg.ops.global_avg_pool2d import global_avg_pool2d

NORM = ("batch_norm", {"eps": 1e-3})
MIDDLE = 16
"""Units of the middle flow."""


def xception65(
    in_channels: int = 3,
    classes: int = 1000,
    *,
    width: int = 32,
    middle: int = MIDDLE,
    output_stride: int = 32,
    multi_grid: Sequence[int] = (1, 1, 1),
    dropout: float = 0.0,
) -> Graph:
    """Xception-65, modified and aligned; a classifier.

    Parameters
    ----------
    in_channels, classes : int
        Channels of the image, and logits.
    width : int
        Channels of the first convolution; others are in proportion.
    middle : int
        Units of the middle flow.
    output_stride : {32, 16, 8}
        Pixels of the image from one pixel of the last features to the next.
    multi_grid : three ints
        Factors of the dilations of the last block's convolutions: (1, 2, 4) in DeepLab v3. v3+ has
        none.
    dropout : float
        Before the logits, in training.

    Returns
    -------
    Graph
        With one input ``x``, (N, in_channels, H, W) of any size, and an output ``logits``,
        (N, classes). Parameters are named after the authors' TensorFlow scopes:
        ``entry_flow.conv1_1.weight`` and ``entry_flow.conv1_1.norm.weight``,
        ``entry_flow.block1.separable_conv1.depthwise.weight``, ``.pointwise.weight``,
        ``entry_flow.block1.shortcut.weight``, ``middle_flow.unit1...``, ``exit_flow.block2...``,
        ``logits.weight``.

    Notes
    -----
    Source: arXiv 1802.02611, section 3.2 and figure 4; tensorflow/models, research/deeplab,
    ``core/xception.py``.

    Examples
    --------
    >>> import numseg as ns
    >>> ns.nets.xception65().shapes((1, 3, 299, 299))["exit_flow.block2.separable_conv3.pointwise"]
    (1, 2048, 10, 10)
    """
    net = Graph.build()
    x = Stage(blocks.image(net, in_channels), in_channels)
    h = features(
        net, x, width=width, middle=middle, output_stride=output_stride, multi_grid=multi_grid
    )["exit_flow"]
    y = net.add(flatten, net.add(global_avg_pool2d, h.value, name="mean"), name="flatten")
    y = blocks.dropout(net, "dropout", y, dropout)
    classes = checks.integer("classes", classes, 1)
    return net.output(blocks.linear(net, "logits", y, h.channels, classes))


def scaled(channels: int, width: int) -> int:
    """Of a network whose first convolution has 32."""
    return max(1, channels * width // 32)


def features(
    net: Builder,
    x: Stage,
    *,
    width: int = 32,
    middle: int = MIDDLE,
    output_stride: int = 32,
    multi_grid: Sequence[int] = (1, 1, 1),
) -> dict[str, Stage]:
    """All that lies before the classifier; the arguments are those of :func:`xception65`.

    Returns
    -------
    dict of Stage
        "low_level": the second convolution of ``entry_flow.block2``, at stride 4, which DeepLab
        v3+'s decoder reads; "exit_flow": the last features.
    """
    width = checks.integer("width", width, 1)
    middle = checks.integer("middle", middle, 1)
    if output_stride not in (8, 16, 32):
        raise ArgumentError(f"output_stride must be 8, 16 or 32, got {output_stride}")
    if len(multi_grid) != 3:
        raise ArgumentError(f"multi_grid holds {len(multi_grid)} factors, expected 3")
    grid = [checks.integer(f"multi_grid[{j}]", g, 1) for j, g in enumerate(multi_grid)]
    place, rate = 2, 1
    low_level = x

    def unit(name: str, x: Stage, filters: tuple[int, int, int], stride: int = 1) -> Stage:
        """A block, with its stride, or with the dilation that earlier strides became."""
        nonlocal place, rate, low_level
        strided = place < output_stride
        place *= stride if strided else 1
        last = name == "exit_flow.block2"
        h = _unit(
            net, name, x, [scaled(f, width) for f in filters], stride if strided else 1,
            [rate * g for g in grid] if last else [rate] * 3, inside=last,
        )  # fmt: skip
        rate *= 1 if strided else stride
        if name == "entry_flow.block2":
            low_level = h[1]
        if last:
            return h[2]
        shortcut = x.value
        if not name.startswith("middle_flow"):
            shortcut = blocks.conv(
                net, f"{name}.shortcut", shortcut, x.channels, h[2].channels, 1,
                stride=stride if strided else 1, norm=NORM,
            )  # fmt: skip
        return Stage(net.add(add, h[2].value, shortcut, name=name), h[2].channels)

    for name, channels, stride in (("conv1_1", 32, 2), ("conv1_2", 64, 1)):
        filters = scaled(channels, width)
        y = blocks.conv(
            net, f"entry_flow.{name}", x.value, x.channels, filters, 3, 1, stride=stride,
            norm=NORM, activation="relu",
        )  # fmt: skip
        x = Stage(y, filters)
    for number, channels in enumerate((128, 256, 728), 1):
        x = unit(f"entry_flow.block{number}", x, (channels, channels, channels), 2)
    for number in range(1, middle + 1):
        x = unit(f"middle_flow.unit{number}", x, (728, 728, 728))
    x = unit("exit_flow.block1", x, (728, 1024, 1024), 2)
    x = unit("exit_flow.block2", x, (1536, 1536, 2048))
    return {"low_level": low_level, "exit_flow": x}


def _unit(
    net: Builder,
    name: str,
    x: Stage,
    filters: Sequence[int],
    stride: int,
    rates: Sequence[int],
    inside: bool,
) -> list[Stage]:
    """Three separable convolutions, the stride at the last; relus before each, or inside."""
    made = []
    for number, (count, rate) in enumerate(zip(filters, rates, strict=True), 1):
        y = x.value
        if not inside:
            y = blocks.activate(net, f"{name}.relu{number}", y)
        y = blocks.separable(
            net, f"{name}.separable_conv{number}", y, x.channels, count, 3, rate,
            stride=stride if number == len(filters) else 1, dilation=rate,
            norm=NORM, activation="relu" if inside else None,
        )  # fmt: skip
        x = Stage(y, count)
        made.append(x)
    return made
