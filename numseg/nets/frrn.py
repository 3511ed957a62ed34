"""FRRN, full-resolution residual networks (Pohlen, Hermans, Mathias and Leibe, "Full-resolution
residual networks for semantic segmentation in street scenes", 2017).

::

    conv 5 x 5, 48; 3 residual units
       |               \\ 1 x 1, 32
    pooling stream      residual stream, at full resolution
       |  / 2               |
    3 units of  96      <-> |      a unit reads the residual stream, pooled, beside its
       |  / 2               |      own, and adds to it what it makes of both, enlarged
    4 units of 192      <-> |
       |  / 2               |
    2 units of 384      <-> |
       |  / 2               |
    2 units of 384      <-> |      (FRRN-B has 2 units of 384 at 1 / 32 below)
       |  x 2               |
    2 units of 192      <-> |      (and 2 of 192 at 1 / 16)
       |  x 2               |
    2 units of 192      <-> |
       |  x 2               |
    2 units of  96      <-> |
       |  x 2               |
       concat --------------
    3 residual units of 48, 1 x 1
"""

from __future__ import annotations

from typing import Any, NamedTuple

from numseg import checks
from numseg.graph import Builder, Graph
from numseg.nets import blocks
from numseg.nets.blocks import Stage
from numseg.ops.add import add
from numseg.ops.concat import concat
from numseg.ops.max_pool2d import max_pool2d
from numseg.ops.upsample_bilinear2d import upsample_bilinear2d
from numseg.ops.upsample_nearest2d import upsample_nearest2d


class Level(NamedTuple):
    """Units at one resolution."""

    units: int
    multiple: int
    """Their channels, of those at full resolution."""


DOWN = (Level(3, 2), Level(4, 4), Level(2, 8), Level(2, 8))
"""At 1/2, 1/4, 1/8, 1/16."""
UP = (Level(2, 4), Level(2, 4), Level(2, 2))
"""At 1/8, 1/4, 1/2."""

NORMED: dict[str, Any] = {"init": "he_uniform", "norm": "batch_norm", "activation": "relu"}


def frrn_a(in_channels: int = 3, classes: int = 19, *, width: int = 48, lanes: int = 32) -> Graph:
    """FRRN-A, which pools down to 1/16.

    Parameters
    ----------
    in_channels, classes : int
        Channels of the image, and of the output, whose values are logits; Cityscapes's 19 classes.
    width : int
        Channels at full resolution; others are in proportion.
    lanes : int
        Channels of the residual stream.

    Returns
    -------
    Graph
        With one input ``x``, (N, in_channels, H, W), H and W multiples of 16 (of 32 for FRRN-B),
        and an output of that size, (N, classes, H, W).

        Parameters are named ``conv.weight`` and ``conv.norm.weight``, ``ru1.conv1.weight`` to
        ``ru3``, ``split.weight``, ``down2.frru1.conv1.weight`` and ``down2.frru1.back.weight`` (the
        number is what the resolution is divided by), ``up8.frru1...`` to ``up2``, ``ru4`` to
        ``ru6``, ``ru4.skip.weight`` and ``score.weight``.

    Notes
    -----
    Convolutions have a norm and no bias; but what a unit adds to the residual stream (``back``) has
    a bias and no norm, and so have the scores. The pooling stream is enlarged bilinearly, with
    PyTorch's half-pixel centres, what goes to the residual stream by repetition.

    The paper trains by a bootstrapped loss, the mean over the worst pixels of each image.

    Source: arXiv 1611.08323, table 1; github.com/TobyPDE/FRRN.

    Examples
    --------
    >>> import numseg as ns
    >>> shapes = ns.nets.frrn_a().shapes((1, 3, 256, 512))
    >>> shapes["down16.frru2.conv2"], shapes["score"]
    ((1, 384, 16, 32), (1, 19, 256, 512))
    """
    return _frrn(in_channels, classes, width, lanes, DOWN, UP)


def frrn_b(in_channels: int = 3, classes: int = 19, *, width: int = 48, lanes: int = 32) -> Graph:
    """FRRN-B, which pools down to 1/32; the arguments are those of :func:`frrn_a`."""
    down, up = (*DOWN, Level(2, 8)), (Level(2, 4), *UP)
    return _frrn(in_channels, classes, width, lanes, down, up)


def _frrn(
    in_channels: int,
    classes: int,
    width: int,
    lanes: int,
    down: tuple[Level, ...],
    up: tuple[Level, ...],
) -> Graph:
    width = checks.integer("width", width, 1)
    lanes = checks.integer("lanes", lanes, 1)
    classes = checks.integer("classes", classes, 1)
    net = Graph.build()
    x = blocks.image(net, in_channels, centred=True)
    y = Stage(blocks.conv(net, "conv", x, in_channels, width, 5, 2, **NORMED), width)
    for number in (1, 2, 3):
        y = _residual_unit(net, f"ru{number}", y, width)
    z = Stage(
        blocks.conv(net, "split", y.value, width, lanes, 1, init="he_uniform", norm="batch_norm"),
        lanes,
    )
    scale = 1
    for level in down:
        scale *= 2
        y = y._replace(value=net.add(max_pool2d, y.value, 2, name=f"pool{scale}"))
        y, z = _level(net, f"down{scale}", y, z, level, width, scale)
    for level in up:
        scale //= 2
        y = _doubled(net, f"double{scale}", y)
        y, z = _level(net, f"up{scale}", y, z, level, width, scale)
    y = _doubled(net, "double1", y)
    y = _joined(net, "concat", y, z)
    for number in (4, 5, 6):
        y = _residual_unit(net, f"ru{number}", y, width)
    return net.output(blocks.conv(net, "score", y.value, width, classes, 1, init="he_uniform"))


def _level(
    net: Builder, name: str, y: Stage, z: Stage, level: Level, width: int, scale: int
) -> tuple[Stage, Stage]:
    for number in range(1, level.units + 1):
        y, z = _full_resolution_unit(
            net, f"{name}.frru{number}", y, z, level.multiple * width, scale
        )
    return y, z


def _full_resolution_unit(
    net: Builder, name: str, y: Stage, z: Stage, filters: int, scale: int
) -> tuple[Stage, Stage]:
    """Both streams after a full-resolution residual unit: figure 2 of the paper."""
    pooled = net.add(max_pool2d, z.value, scale, name=f"{name}.pool")
    h = _joined(net, f"{name}.concat", y, z._replace(value=pooled))
    for part in ("conv1", "conv2"):
        value = blocks.conv(net, f"{name}.{part}", h.value, h.channels, filters, 3, 1, **NORMED)
        h = Stage(value, filters)
    back = blocks.conv(net, f"{name}.back", h.value, filters, z.channels, 1, init="he_uniform")
    back = net.add(upsample_nearest2d, back, scale_factor=scale, name=f"{name}.unpool")
    return h, z._replace(value=net.add(add, z.value, back, name=f"{name}.add"))


def _residual_unit(net: Builder, name: str, x: Stage, filters: int) -> Stage:
    """Two convolutions and x, or a projection of x; no relu after the sum."""
    y = blocks.conv(net, f"{name}.conv1", x.value, x.channels, filters, 3, 1, **NORMED)
    y = blocks.conv(
        net, f"{name}.conv2", y, filters, filters, 3, 1, **{**NORMED, "activation": None}
    )
    skip = x.value
    if x.channels != filters:
        skip = blocks.conv(
            net, f"{name}.skip", skip, x.channels, filters, 1, bias=False, init="he_uniform"
        )
    return Stage(net.add(add, y, skip, name=f"{name}.add"), filters)


def _joined(net: Builder, name: str, y: Stage, z: Stage) -> Stage:
    return Stage(net.add(concat, (y.value, z.value), name=name), y.channels + z.channels)


def _doubled(net: Builder, name: str, y: Stage) -> Stage:
    return y._replace(value=net.add(upsample_bilinear2d, y.value, scale_factor=2, name=name))
