"""The feature pyramid (Lin et al., "Feature Pyramid Networks for Object Detection", 2016).

::

    C5 > 1 x 1                                      > 3 x 3 > P5 > every other pixel > P6
    C4 > 1 x 1 + twice as large, of the line above  > 3 x 3 > P4
    C3 > 1 x 1 + twice as large, of the line above  > 3 x 3 > P3
    C2 > 1 x 1 + twice as large, of the line above  > 3 x 3 > P2
"""

from __future__ import annotations

from collections.abc import Sequence

from numseg.graph import Builder
from numseg.nets import blocks
from numseg.nets.blocks import Stage
from numseg.ops.add import add
from numseg.ops.max_pool2d import max_pool2d
from numseg.ops.upsample_nearest2d import upsample_nearest2d

INIT = ("kaiming_uniform", {"a": 1.0})


def feature_pyramid(
    net: Builder, name: str, stages: Sequence[Stage], channels: int = 256, *, pool: bool = True
) -> list[Stage]:
    """Maps of equally many channels, each of what is fine and of what is seen from afar.

    Parameters
    ----------
    net : Builder
    name : str
        Of the pyramid. Nodes and parameters are ``name.inner_blocks.0.0``,
        ``name.layer_blocks.0.0`` and so on, as torchvision 0.28 names those of
        ``ops.FeaturePyramidNetwork``.
    stages : sequence of Stage
        Of a backbone, the largest map first.
    channels : int
        Of every map that comes out.
    pool : bool
        One map more, ``name.pool``: every other pixel of the last one.

    Returns
    -------
    list of Stage
        The largest map first.
    """
    found: list[Stage] = []
    above = None
    for number in reversed(range(len(stages))):
        stage = stages[number]
        inner = blocks.conv(
            net, f"{name}.inner_blocks.{number}.0", *stage, channels, 1, init=INIT
        )  # fmt: skip
        if above is not None:
            larger = net.add(upsample_nearest2d, above, inner.size, name=f"{name}.larger.{number}")
            inner = net.add(add, inner, larger, name=f"{name}.sum.{number}")
        above = inner
        layer = blocks.conv(
            net, f"{name}.layer_blocks.{number}.0", inner, channels, channels, 3, 1, init=INIT
        )
        found.insert(0, Stage(layer, channels))
    if pool:
        last = net.add(max_pool2d, found[-1].value, 1, 2, name=f"{name}.pool")
        found.append(Stage(last, channels))
    return found
