"""instance_norm on CUDA: group_norm by the statistics of x, batch_norm by the running ones."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from numseg.cuda.launch import Double, Doubles, Reals, given, kernel, launch, thread
from numseg.ops.batch_norm import cuda as by_batch
from numseg.ops.group_norm import cuda as by_group
from numseg.ops.instance_norm.geometry import Geometry, batch, groups


class Share(NamedTuple):
    """How a running statistic moves towards the mean of those of the images."""

    images: int
    momentum: Double
    correction: Double
    start: Double
    """What it is where none is given."""


@kernel
def _move(old: Reals, new: Doubles, running: Reals, how: Share) -> None:
    c, _ = thread()
    if c >= running.size:
        return
    total = np.float64(0)
    for n in range(how.images):
        total += new[n * running.size + c]
    before = np.float64(old[c]) if old.size > 0 else how.start
    average = total / max(how.images, 1) * how.correction
    running[c] = (1 - how.momentum) * before + how.momentum * average


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
    if g.of_input:
        by_group.forward(x, weight, bias, y, mean, var, groups(g))
        for old, new, running, correction, start in (
            (old_mean, mean, running_mean, 1.0, 0.0),
            (old_var, var, running_var, g.correction, 1.0),
        ):
            how = Share(g.n, Double(g.momentum), Double(correction), Double(start))
            launch(_move, 1, g.c, given(old, x.dtype), new, running, how)
    else:
        running = running_mean, running_var, mean.reshape(g.c), var.reshape(g.c)
        by_batch.forward(x, old_mean, old_var, weight, bias, y, *running, batch(g))


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
    if g.of_input:
        by_group.backward(x, weight, mean, var, gy, gx, gw, gb, groups(g))
    else:
        saved = running_mean, running_var, mean.reshape(g.c), var.reshape(g.c)
        by_batch.backward(x, weight, *saved, gy, gx, gw, gb, batch(g))
