"""Inputs for distance_box_iou_loss: those of its family."""

from numseg.ops.generalized_box_iou_loss.cases import (
    EXACT,
    cuda_roundings,
    invalid,
    roundings,
    valid,
)

__all__ = ["EXACT", "cuda_roundings", "invalid", "roundings", "valid"]
