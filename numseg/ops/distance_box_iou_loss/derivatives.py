"""Derivatives of distance_box_iou_loss."""

from __future__ import annotations

from typing import Any

from numseg.ops.distance_box_iou_loss import distance_box_iou_loss
from numseg.ops.generalized_box_iou_loss.derivatives import of_family
from numseg.plan import Saved
from numseg.typing import Array


def jvp(saved: Saved, along: dict[str, Any]) -> Array:
    return of_family(distance_box_iou_loss, saved, along)
