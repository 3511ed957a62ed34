"""Derivatives of smooth_l1_loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg import reductions
from numseg.ops.smooth_l1_loss import smooth_l1_loss
from numseg.plan import Saved
from numseg.typing import Array


def jvp(saved: Saved, along: dict[str, Any]) -> Array:
    return reductions.jvp(smooth_l1_loss, saved, along)


def double_backward(saved: Saved, grad_y: Array, along: dict[str, Any]) -> dict[str, Array]:
    """The second derivative is 1 / beta between -beta and beta, and 0 elsewhere, at beta too."""
    g = saved.plan.geometry
    curved = np.abs(saved.x - saved.target) < g.beta
    step = sum(sign * along[n] for n, sign in (("x", 1), ("target", -1)) if along[n] is not None)
    found = grad_y / g.divisor * g.scale * curved * step / (g.beta or 1.0)
    return {"x": found, "target": -found}
