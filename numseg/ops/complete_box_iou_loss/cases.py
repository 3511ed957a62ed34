"""Inputs for complete_box_iou_loss: those of its family. With alpha held constant, which is not the
derivative of the value, tests/ops/test_box_iou_losses.py has it."""

from numseg.ops.generalized_box_iou_loss.cases import (
    EXACT,
    cuda_roundings,
    good,
    pairs,
    refusals,
    roundings,
)
from numseg.testing.cases import refused

__all__ = ["EXACT", "cuda_roundings", "invalid", "roundings", "valid"]

valid = pairs(alpha_gradient=[True], eps=[1e-7, 0.125])  # with 0, equal boxes are 0 / 0

invalid = [
    *refusals(good),
    refused(good)("alpha_gradient must be True or False, got 1", alpha_gradient=1),
]
