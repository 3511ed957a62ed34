"""Derivatives of nll_loss, which is linear."""

from __future__ import annotations

from typing import Any

from numseg import reductions
from numseg.ops.nll_loss import nll_loss
from numseg.plan import Saved
from numseg.typing import Array


def jvp(saved: Saved, along: dict[str, Any]) -> Array:
    return reductions.jvp(nll_loss, saved, along)


def double_backward(saved: Saved, grad_y: Array, along: dict[str, Any]) -> dict[str, Array]:
    return {}
