"""Derivatives of sigmoid_focal_loss."""

from __future__ import annotations

from typing import Any

from numseg import reductions
from numseg.ops.sigmoid_focal_loss import sigmoid_focal_loss
from numseg.plan import Saved
from numseg.typing import Array


def jvp(saved: Saved, along: dict[str, Any]) -> Array:
    return reductions.jvp(sigmoid_focal_loss, saved, along)
