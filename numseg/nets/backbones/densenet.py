"""DenseNet-BC (Huang, Liu, van der Maaten and Weinberger, "Densely Connected Convolutional
Networks", 2016).

::

    conv 7 x 7 /2, 2 k > max pool 3 x 3 /2 > dense block > transition > dense block > transition
    > dense block > transition > dense block > norm, relu > mean > linear

A layer of a dense block reads all that the block's layers before it gave, and adds k channels (the
growth rate): norm, relu, conv 1 x 1 to 4 k; norm, relu, conv 3 x 3 to k. A transition halves the
channels (norm, relu, conv 1 x 1) and rows and columns (mean of 2 x 2).
"""

from __future__ import annotations

from numseg import checks
from numseg.graph import Builder, Graph, Value
from numseg.nets import blocks
from numseg.nets.blocks import Stage
from numseg.ops.avg_pool2d import avg_pool2d
from numseg.ops.concat import concat
from numseg.ops.max_pool2d import max_pool2d

LAYERS_121 = (6, 12, 24, 16)
BOTTLENECK = 4
SMALLEST = 29
"""Rows and columns of which one is left after the last transition."""


def densenet121(in_channels: int = 3, classes: int = 1000, *, growth_rate: int = 32) -> Graph:
    """DenseNet-121; by default torchvision's classifier.

    Parameters
    ----------
    in_channels, classes : int
        Channels of the image, and logits.
    growth_rate : int
        The paper's k, the channels that each layer adds; all other widths are in proportion.

    Returns
    -------
    Graph
        With one input ``x``, (N, in_channels, H, W), H and W at least 29, and an output (N,
        classes). Parameters and nodes have torchvision's names:
        ``features.denseblock1.denselayer1.norm1.weight``.

    Notes
    -----
    Source: arXiv 1608.06993, table 1, DenseNet-BC; torchvision 0.28, ``models.densenet121``.

    Examples
    --------
    >>> import numseg as ns
    >>> ns.nets.densenet121().shapes((1, 3, 224, 224))["features.norm5.relu"]
    (1, 1024, 7, 7)
    """
    net = Graph.build()
    x = Stage(blocks.image(net, in_channels, SMALLEST), in_channels)
    *_, last = features(net, x, growth_rate=growth_rate)
    classes = checks.integer("classes", classes, 1)
    h = blocks.means(net, last.value)
    return net.output(
        blocks.linear(net, "classifier", h, last.channels, classes, init="torch_uniform")
    )


def features(
    net: Builder,
    x: Stage,
    *,
    layers: tuple[int, ...] = LAYERS_121,
    growth_rate: int = 32,
    name: str = "features",
) -> list[Stage]:
    """All that lies before the classifier: what each dense block gives, the last one normalised;
    at stride 4, 8, 16 and 32."""
    k = checks.integer("growth_rate", growth_rate, 1)
    h = blocks.conv(
        net, f"{name}.conv0", x.value, x.channels, 2 * k, 7, 3, stride=2,
        norm="batch_norm", norm_name=f"{name}.norm0",
        activation="relu", activation_name=f"{name}.relu0",
    )  # fmt: skip
    stage = Stage(net.add(max_pool2d, h, 3, 2, 1, name=f"{name}.pool0"), 2 * k)
    stages: list[Stage] = []
    for number, count in enumerate(layers, 1):
        if stages:
            stage = _transition(net, f"{name}.transition{number - 1}", stage)
        for j in range(1, count + 1):
            stage = _layer(net, f"{name}.denseblock{number}.denselayer{j}", stage, k)
        stages.append(stage)
    last = stages.pop()
    h = _norm_relu(net, f"{name}.norm5", f"{name}.norm5.relu", last)
    return [*stages, Stage(h, last.channels)]


def _norm_relu(net: Builder, norm: str, relu: str, x: Stage) -> Value:
    return blocks.activate(net, relu, blocks.normalise(net, norm, x.value, x.channels))


def _layer(net: Builder, name: str, x: Stage, k: int) -> Stage:
    """x, and k channels more."""
    h = _norm_relu(net, f"{name}.norm1", f"{name}.relu1", x)
    h = blocks.conv(
        net, f"{name}.conv1", h, x.channels, BOTTLENECK * k, 1,
        norm="batch_norm", norm_name=f"{name}.norm2",
        activation="relu", activation_name=f"{name}.relu2",
    )  # fmt: skip
    h = blocks.conv(net, f"{name}.conv2", h, BOTTLENECK * k, k, 3, 1, bias=False)
    return Stage(net.add(concat, (x.value, h), name=f"{name}.concat"), x.channels + k)


def _transition(net: Builder, name: str, x: Stage) -> Stage:
    """Half the channels, half the rows and columns."""
    channels = x.channels // 2
    h = _norm_relu(net, f"{name}.norm", f"{name}.relu", x)
    h = blocks.conv(net, f"{name}.conv", h, x.channels, channels, 1, bias=False)
    return Stage(net.add(avg_pool2d, h, 2, name=f"{name}.pool"), channels)
