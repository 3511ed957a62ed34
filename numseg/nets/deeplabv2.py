"""DeepLab v2 (Chen, Papandreou, Kokkinos, Murphy and Yuille, "DeepLab: semantic image segmentation
with deep convolutional nets, atrous convolution, and fully connected CRFs", 2016).

::

                                             > 3 x 3, rate  6 (> 1 x 1 > 1 x 1)
    x > VGG-16 or ResNet-101, at stride 8    > 3 x 3, rate 12 (> 1 x 1 > 1 x 1)    > sum > x 8
                                             > 3 x 3, rate 18 (> 1 x 1 > 1 x 1)
                                             > 3 x 3, rate 24 (> 1 x 1 > 1 x 1)

On VGG-16 each branch of the pyramid is an fc6, fc7 and fc8 of its own; on ResNet-101 its 3 x 3
convolution scores the classes at once. With several scales, the same network sees the image at each
of them, and the largest score counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from numseg import checks
from numseg.errors import ArgumentError
from numseg.graph import Builder, Graph, Value, ones, zeros
from numseg.nets import blocks
from numseg.nets.backbones import vgg
from numseg.nets.blocks import Stage
from numseg.nets.deeplabv1 import HIDDEN, features, finished, image
from numseg.operator import Operator
from numseg.ops.add import add
from numseg.ops.batch_norm import batch_norm
from numseg.ops.max_pool2d import max_pool2d
from numseg.ops.maximum import maximum
from numseg.ops.relu import relu
from numseg.ops.upsample_bilinear2d import upsample_bilinear2d

RATES = (6, 12, 18, 24)
UNITS = (3, 4, 23, 3)
"""Of ResNet-101's four stages."""

Scores: TypeAlias = Callable[[Builder, Stage], Value]
"""Adds a network that scores the classes of an image, at stride 8."""


def deeplabv2_vgg16(
    in_channels: int = 3,
    classes: int = 21,
    *,
    width: int = 64,
    rates: Sequence[int] = RATES,
    dropout: float = 0.5,
    scales: Sequence[float] = (1,),
    upsample: bool = True,
    crf: bool = False,
) -> Graph:
    """DeepLab v2 on VGG-16: DeepLab-ASPP.

    Parameters
    ----------
    in_channels, classes : int
        Channels of the image, and of the output, whose values are logits; the background counts
        as a class.
    width : int
        Channels of the first convolution.
    rates : sequence of int
        Dilations of the pyramid, one for each branch: ASPP-L by default; ASPP-S is 2, 4, 8, 12.
    dropout : float
        Of each branch's fc6 and fc7, in training.
    scales : sequence of float
        (1, 0.75, 0.5) in the paper: scores of the image at these scales, of which the largest at
        each pixel counts. All have the same parameters.
    upsample : bool
        An output as large as the image; False: one pixel for 8 x 8.
    crf : bool
        The paper's CRF behind it, not trained: an output ``crf``, whose values are logits too
        (:func:`numseg.nets.crf.crf_rnn`, settings "deeplab-v2-vgg").

    Returns
    -------
    Graph
        With one input ``x``, (N, in_channels, H, W), and an output ``upscore``, (N, classes, H, W);
        H and W of the form ``8 k + 1``, as in :func:`deeplabv1_vgg16`; of ``16 k + 1`` with the
        paper's scales.

        Parameters have the names of the authors' Caffe models: ``conv1_1.weight``,
        ``fc6_1.weight``, ``fc7_1``, ``fc8_voc12_1`` to ``fc6_4``, ``fc7_4``, ``fc8_voc12_4``.

    Notes
    -----
    Source: arXiv 1606.00915, sections 3.1, 3.2 and 4.1; the authors' models deeplabv2_vgg16, of
    37,877,652 parameters, and deeplabv2_resnet101, of 44,048,532.

    Examples
    --------
    >>> import numseg as ns
    >>> ns.nets.deeplabv2_vgg16().shapes((1, 3, 321, 481))["fc8_voc12"]
    (1, 21, 41, 61)
    """
    classes = checks.integer("classes", classes, 1)
    width = checks.integer("width", width, 1)

    def scores(net: Builder, x: Stage) -> Value:
        h = features(net, x, width)

        def branch(number: int, rate: int) -> Value:
            fc7 = vgg.caffe_hidden(
                net, h, HIDDEN * width, 3, rate, rate, dropout=dropout, branch=f"_{number}"
            )
            name = f"fc8_voc12_{number}"
            return blocks.conv(net, name, fc7.value, fc7.channels, classes, 1, init=vgg.CLASSIFIER)

        return _sum(net, "fc8_voc12", [branch(j, r) for j, r in enumerate(_rates(rates), 1)])

    return _deeplab(in_channels, classes, scores, scales, upsample, crf, "deeplab-v2-vgg")


def deeplabv2_resnet101(
    in_channels: int = 3,
    classes: int = 21,
    *,
    width: int = 64,
    units: Sequence[int] = UNITS,
    rates: Sequence[int] = RATES,
    scales: Sequence[float] = (1,),
    upsample: bool = True,
    crf: bool = False,
) -> Graph:
    """DeepLab v2 on ResNet-101.

    Parameters
    ----------
    units : sequence of int
        How many, in each of the four stages; ResNet-101's.
    in_channels, classes, width, rates, scales, upsample, crf
        Of :func:`deeplabv2_vgg16`; the CRF's settings are "deeplab-v2-resnet101". With several
        scales norms take their running statistics in training too, for each sees several images:
        as the authors train.

    Returns
    -------
    Graph
        As of :func:`deeplabv2_vgg16`. Parameters have the names of the authors' Caffe models:
        ``conv1.weight``, ``res2a_branch1.weight``, ``bn2a_branch1.running_mean``,
        ``scale2a_branch1.weight``, ``fc1_voc12_c0.weight`` to ``fc1_voc12_c3``.

    Notes
    -----
    The strides of a stage are on the first 1 x 1 convolution of its first unit, as in the paper on
    ResNet, where torchvision has them on the 3 x 3; the last two stages have rates 2 and 4 in the
    place of their strides.

    Source: as :func:`deeplabv2_vgg16`.

    Examples
    --------
    >>> import numseg as ns
    >>> ns.nets.deeplabv2_resnet101().shapes((1, 3, 321, 321))["fc1_voc12"]
    (1, 21, 41, 41)
    """
    classes = checks.integer("classes", classes, 1)
    width = checks.integer("width", width, 1)
    if len(units) != len(UNITS):
        raise ArgumentError(f"units holds {len(units)} numbers, expected 4")
    units = [checks.integer(f"units[{j}]", count, 1) for j, count in enumerate(units)]

    def scores(net: Builder, x: Stage) -> Value:
        h = _resnet(net, x, width, units)

        def branch(number: int, rate: int) -> Value:
            name = f"fc1_voc12_c{number}"
            return blocks.conv(
                net, name, h.value, h.channels, classes, 3, rate, dilation=rate,
                init=vgg.CLASSIFIER,
            )  # fmt: skip

        return _sum(net, "fc1_voc12", [branch(j, r) for j, r in enumerate(_rates(rates))])

    settings = "deeplab-v2-resnet101"
    return _deeplab(in_channels, classes, scores, scales, upsample, crf, settings)


# -- ResNet, by Caffe's names -------------------------------------------------------------------


def _resnet(net: Builder, x: Stage, width: int, units: Sequence[int]) -> Stage:
    """The four stages, at stride 8."""
    h = _conv(net, "conv1", "_conv1", x, width, 7, stride=2, padding=3)
    y = net.add(max_pool2d, h.value, 3, 2, 1, name="pool1")
    h = Stage(y, width)
    for stage, (count, stride, rate) in enumerate(
        zip(units, (1, 2, 1, 1), (1, 1, 2, 4), strict=True), 2
    ):
        for number in range(count):
            first = number == 0
            place = "abc"[number] if first or count <= 3 else f"b{number}"  # a, b1, b2, b3
            planes = width * 2 ** (stage - 2)
            h = _unit(net, f"{stage}{place}", h, planes, first, stride if first else 1, rate)
    return h


def _unit(
    net: Builder, name: str, x: Stage, planes: int, project: bool, stride: int, rate: int
) -> Stage:
    """A bottleneck: x, or its projection, and 1 x 1, 3 x 3, 1 x 1."""
    res = f"res{name}_branch"
    h = _conv(net, f"{res}2a", f"{name}_branch2a", x, planes, 1, stride=stride)
    h = _conv(net, f"{res}2b", f"{name}_branch2b", h, planes, 3, padding=rate, dilation=rate)
    h = _conv(net, f"{res}2c", f"{name}_branch2c", h, 4 * planes, 1, activation=None)
    if project:
        x = _conv(
            net, f"{res}1", f"{name}_branch1", x, 4 * planes, 1, stride=stride, activation=None
        )
    y = net.add(add, x.value, h.value, name=f"res{name}")
    return Stage(net.add(relu, y, name=f"res{name}_relu"), 4 * planes)


def _conv(
    net: Builder, name: str, norm: str, x: Stage, filters: int, kernel: int, **others: Any
) -> Stage:
    """A convolution, its normalisation, whose statistics are ``bn...`` and whose scale and shift
    are ``scale...``, and its relu."""

    def normalise(net: Builder, name: str, x: Value, channels: int) -> Value:
        return net.add(
            batch_norm,
            x,
            net.param(f"bn{norm}.running_mean", (channels,), zeros),
            net.param(f"bn{norm}.running_var", (channels,), ones),
            net.param(f"scale{norm}.weight", (channels,), ones),
            net.param(f"scale{norm}.bias", (channels,), zeros),
            # of several scales, each would replace the one running mean
            training=not isinstance(net, _Scale) and net.training,
            name=name,
        )

    options: dict[str, Any] = {"activation": "relu", "activation_name": f"{name}_relu", **others}
    y = blocks.conv(
        net, name, x.value, x.channels, filters, kernel, bias=False,
        norm=normalise, norm_name=f"bn{norm}", **options,
    )  # fmt: skip
    return Stage(y, filters)


# -- what both have -----------------------------------------------------------------------------


def _rates(rates: Sequence[int]) -> list[int]:
    if not rates:
        raise ArgumentError("rates must hold at least one dilation, got none")
    return [checks.integer(f"rates[{j}]", rate, 1) for j, rate in enumerate(rates)]


def _sum(net: Builder, name: str, branches: Sequence[Value]) -> Value:
    y = branches[0]
    for number, branch in enumerate(branches[1:], 2):
        last = number == len(branches)
        y = net.add(add, y, branch, name=name if last else f"{name}.sum{number}")
    return y


def _deeplab(
    in_channels: int,
    classes: int,
    scores: Scores,
    scales: Sequence[float],
    upsample: bool,
    crf: bool,
    settings: str,
) -> Graph:
    """The scores of the image at each scale, the largest of them, at the size of the image."""
    upsample, crf = checks.flag("upsample", upsample), checks.flag("crf", crf)
    factors = [checks.real(f"scales[{j}]", scale) for j, scale in enumerate(scales)]
    if not factors or factors[0] != 1 or not all(0 < factor <= 1 for factor in factors):
        raise ArgumentError(f"scales must be 1 and others in (0, 1], got {tuple(factors)}")
    net = Graph.build()
    x = image(net, in_channels)
    several = _Scale(net)
    y = first = scores(several if len(factors) > 1 else net, Stage(x, in_channels))
    for factor in factors[1:]:
        name = f"x{factor:g}"
        size = x.size.scaled(factor)
        small = net.add(upsample_bilinear2d, x, size, align_corners=True, name=name)
        other = scores(several.at(f"{name}."), Stage(small, in_channels))
        other = net.add(
            upsample_bilinear2d, other, first.size, align_corners=True, name=f"{name}.interp"
        )
        y = net.add(maximum, y, other, name=f"max.{name}")
    return net.output(finished(net, y, x, in_channels, classes, upsample, crf and settings))


class _Scale(Builder):
    """Builds the same layers several times: nodes with names of their own, the parameters of the
    first."""

    def __init__(
        self, net: Builder, prefix: str = "", params: dict[str, Value] | None = None
    ) -> None:
        self.net, self.prefix = net, prefix
        self.params = {} if params is None else params

    def at(self, prefix: str) -> _Scale:
        return _Scale(self.net, prefix, self.params)

    def param(self, name: str, *arguments: Any) -> Value:
        if name not in self.params:
            self.params[name] = self.net.param(name, *arguments)
        return self.params[name]

    def add(self, operator: Operator[..., Any], *args: Any, name: Any = None, **kw: Any) -> Any:
        return self.net.add(operator, *args, name=f"{self.prefix}{name}", **kw)
