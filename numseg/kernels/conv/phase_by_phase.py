"""The gradient of a convolution with respect to its image, as convolutions of stride 1.

The pixels a stride apart form a *phase*. In a phase, the gradient is a convolution of gy with the
taps that meet it, last tap first.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from numseg.kernels.conv.epilogue import Epilogue
from numseg.kernels.conv.problem import Axis, Correlation, Problem
from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.threads import launch
from numseg.typing import Array


@kernel()
def _swap(start, stop, w, swapped):
    """Filters and channels change places. A unit is a channel."""
    for unit in range(start, stop):
        group, c = divmod(unit, w.shape[2])
        for f in range(w.shape[1]):
            for tap in range(w.shape[3]):
                swapped[group, c, f, tap] = w[group, f, c, tap]


def input_gradient(p: Problem, convolution: Callable[[Problem], Correlation]) -> Correlation:
    """``convolution`` chooses how each phase is computed."""
    rows, columns = ([phase(axis, first) for first in range(min(axis.stride, axis.size))]
                     for axis in (p.rows, p.columns))  # fmt: skip
    turned = p._replace(
        channels=p.filters, filters=p.channels, height=p.rows.size, width=p.columns.size
    )
    phases = [convolution(turned._replace(rows=r, columns=c).met) for r in rows for c in columns]
    taps = p.kernel[0] * p.kernel[1]

    def run(gy: Array, w: Array, bias: Array | None, gx: Array, epilogue: Epilogue | None) -> None:
        if p.filters > 1 and p.channels > 1:  # or every weight of a channel lay in another page
            swapped = np.empty((p.groups, p.channels, p.filters, taps), w.dtype)
            by_filter = w.reshape(p.groups, p.filters, p.channels, taps)
            launch(_swap, p.groups * p.channels, w.size, by_filter, swapped)
            swapped.flags.writeable = False  # as w is, or the kernel would be compiled again
            w = swapped
        for correlation in phases:
            correlation(gy, w, bias, gx, epilogue)

    return run


def phase(axis: Axis, first: int) -> Axis:
    """The pixels ``first + s * u``, u = 0, 1, ...: which taps meet them, and at which outputs.

    Tap i meets pixel z at output p where ``p * s + i * d - pad = z``. The taps for which s divides
    ``z + pad - i * d`` are ``apart = s / gcd(s, d)`` apart, and from one to the next p falls by
    ``d / gcd(s, d)``.
    """
    s, d, pad = axis.stride, axis.dilation, axis.pad
    apart, pixels = s // math.gcd(s, d), -(-(axis.size - first) // s)
    taps = [i for i in range(axis.taps) if (first + pad - i * d) % s == 0]
    if not taps:
        return Axis(axis.outputs, pixels, 0, 1, 1, 0, first, s)
    last = taps[-1]  # meets the smallest p
    return Axis(
        size=axis.outputs,
        outputs=pixels,
        taps=len(taps),
        stride=1,
        dilation=d * apart // s,
        pad=-((first + pad - last * d) // s),
        first=first,
        step=s,
        tap_first=last,
        tap_step=-apart,
    )
