"""group_norm on CUDA: sums over each group of each image, a few operations for each, and the
result. Backward sums over channels, and, where their planes are single numbers, as layer_norm's
are, over weighted groups and over images."""

from __future__ import annotations

from typing import Any

from numseg.cuda import normalising
from numseg.cuda.normalising import Channels, layout_of
from numseg.cuda.sets import sets_of
from numseg.ops.group_norm.geometry import Geometry


def forward(x: Any, weight: Any, bias: Any, y: Any, mean: Any, var: Any, g: Geometry) -> None:
    sets = sets_of(1, g.n * g.groups, g.channels * g.size)
    stats = normalising.statistics(x, mean, var, g.eps, sets)
    normalising.normalise(x, stats, weight, bias, y, _layout(g))


def backward(
    x: Any,
    weight: Any,
    mean: Any,
    var: Any,
    gy: Any,
    gx: Any,
    gw: Any,
    gb: Any,
    g: Geometry,
) -> None:
    c, groups = g.groups * g.channels, g.n * g.groups
    numbers = g.channels * g.size
    stats = normalising.published(mean, var, g.eps, x.dtype)
    pulls, wanted = None, gx is not None and gx.size > 0
    if g.size == 1:
        if gw is not None or gb is not None:
            by_channel = sets_of(g.n, c, 1, per=max(g.channels, 1), step=g.groups)
            sums = normalising.products(x, gy, stats, None, by_channel)
            normalising.over_images(sums, gw, gb, 1, c)
        if wanted:
            rows = sets_of(1, groups, g.channels, period=g.groups)
            sums = normalising.products(x, gy, stats, weight, rows)
            pulls = normalising.pulls_of(sums, None, var, g.eps, Channels(g.groups, 1, numbers))
    else:
        planes = sets_of(1, g.n * c, g.size, per=max(g.channels, 1))
        sums = normalising.products(x, gy, stats, None, planes)
        normalising.over_images(sums, gw, gb, g.n, c)
        if wanted:
            channels = Channels(g.groups, g.channels, numbers)
            pulls = normalising.pulls_of(sums, weight, var, g.eps, channels)
    if wanted:
        normalising.project(x, gy, stats, weight, pulls, gx, _layout(g))


def _layout(g: Geometry) -> normalising.Layout:
    return layout_of(g.n, g.groups * g.channels, g.size, max(g.channels, 1), True)
