"""batch_norm on CUDA: sums over each channel, a few operations for each, and the result."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from numseg.cuda import normalising
from numseg.cuda.launch import Double, Doubles, Reals, given, kernel, launch, thread
from numseg.cuda.normalising import Channels, layout_of
from numseg.cuda.runtime import empty
from numseg.cuda.sets import Sets, sets_of, sums_of
from numseg.ops.batch_norm.geometry import Geometry


class Running(NamedTuple):
    """How running statistics move."""

    of_batch: bool
    momentum: Double
    correction: Double
    eps: Double


@kernel
def _statistics(
    x: Reals,
    sums: Reals,
    old_mean: Reals,
    old_var: Reals,
    running_mean: Reals,
    running_var: Reals,
    mean: Doubles,
    var: Doubles,
    stats: Reals,
    how: Running,
    g: Sets,
) -> None:
    c, _ = thread()
    if c >= g.sets:
        return
    before = np.float64(old_mean[c]) if old_mean.size > 0 else np.float64(0)
    spread = np.float64(old_var[c]) if old_var.size > 0 else np.float64(1)
    mean[c], var[c] = before, spread
    if how.of_batch:
        mean[c], var[c] = normalising.mean_and_variance(x, sums, c, g)
        before = (1 - how.momentum) * before + how.momentum * mean[c]
        spread = (1 - how.momentum) * spread + how.momentum * var[c] * how.correction
    running_mean[c], running_var[c] = before, spread
    normalising.publish(stats, g.sets, c, mean[c], var[c], how.eps)


def forward(
    x: Any,
    old_mean: Any,
    old_var: Any,
    weight: Any,
    bias: Any,
    y: Any,
    running_mean: Any,
    running_var: Any,
    mean: Any,
    var: Any,
    g: Geometry,
) -> None:
    sets, stats = sets_of(g.n, g.c, g.size), empty((3 * g.c,), x.dtype)
    sums = empty((0,), x.dtype)
    if g.of_batch:
        sums = sums_of(normalising._moments, 2, sets, x.dtype, x)
    old = given(old_mean, x.dtype), given(old_var, x.dtype)
    how = Running(g.of_batch, Double(g.momentum), Double(g.correction), Double(g.eps))
    arrays = x, sums, *old, running_mean, running_var, mean, var, stats
    launch(_statistics, 1, g.c, *arrays, how, sets)
    normalising.normalise(x, stats, weight, bias, y, layout_of(g.n, g.c, g.size, 1, False))


def backward(
    x: Any,
    weight: Any,
    running_mean: Any,
    running_var: Any,
    mean: Any,
    var: Any,
    gy: Any,
    gx: Any,
    gw: Any,
    gb: Any,
    g: Geometry,
) -> None:
    stats = normalising.published(mean, var, g.eps, x.dtype)
    sums = pulls = None
    if gw is not None or gb is not None or g.of_batch:
        sums = normalising.products(x, gy, stats, None, sets_of(g.n, g.c, g.size))
        normalising.over_images(sums, gw, gb, 1, g.c)
    if gx is not None:
        if g.of_batch:
            channels = Channels(g.c, 1, g.n * g.size)
            pulls = normalising.pulls_of(sums, weight, var, g.eps, channels)
        layout = layout_of(g.n, g.c, g.size, 1, False)
        normalising.project(x, gy, stats, weight, pulls, gx, layout)
