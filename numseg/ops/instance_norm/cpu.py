"""instance_norm on the CPU: group_norm by the statistics of x, batch_norm by the running ones."""

from __future__ import annotations

import numpy as np

from numseg.ops.batch_norm import cpu as by_batch
from numseg.ops.group_norm import cpu as by_group
from numseg.ops.instance_norm.geometry import Geometry, batch, groups
from numseg.typing import Array


def forward(
    x: Array,
    old_mean: Array | None,
    old_var: Array | None,
    weight: Array | None,
    bias: Array | None,
    y: Array,
    running_mean: Array,
    running_var: Array,
    mean: Array,
    var: Array,
    g: Geometry,
) -> None:
    if g.of_input:
        by_group.forward(x, weight, bias, y, mean, var, groups(g))
        with np.errstate(all="ignore"):  # infinities and NaN come and go as in kernels
            _move(running_mean, 0.0 if old_mean is None else old_mean, mean, 1.0, g)
            _move(running_var, 1.0 if old_var is None else old_var, var, g.correction, g)
    else:
        running, used = (running_mean, running_var), (mean.reshape(-1), var.reshape(-1))
        by_batch.forward(x, old_mean, old_var, weight, bias, y, *running, *used, batch(g))


def _move(running: Array, old: Array | float, new: Array, correction: float, g: Geometry) -> None:
    average = new.sum(0) / max(g.n, 1) * correction
    running[...] = (1 - g.momentum) * np.float64(old) + g.momentum * average


def backward(
    x: Array,
    weight: Array | None,
    running_mean: Array,
    running_var: Array,
    mean: Array,
    var: Array,
    gy: Array,
    gx: Array | None,
    gw: Array | None,
    gb: Array | None,
    g: Geometry,
) -> None:
    if g.of_input:
        by_group.backward(x, weight, mean, var, gy, gx, gw, gb, groups(g))
    else:
        given = x, weight, running_mean, running_var, mean.reshape(-1), var.reshape(-1)
        by_batch.backward(*given, gy, gx, gw, gb, batch(g))
