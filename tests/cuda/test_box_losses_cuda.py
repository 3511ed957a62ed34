"""complete_box_iou_loss on CUDA with alpha held constant, as it is by default: a gradient that is
not the derivative of the value, and so is in no case of the contract."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns
from numseg.cuda import runtime

if not runtime.cuda_available():
    pytest.skip(
        "no GPU: NUMBA_ENABLE_CUDASIM=1 pytest tests/cuda, after pip install '.[cuda-test]'",
        allow_module_level=True,
    )

from numseg.cuda.arrays import Cuda


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_alpha_is_held_constant(dtype):
    rng = np.random.default_rng(0)
    low, side = rng.uniform(0, 2, (2, 40, 2)), rng.uniform(0.25, 2, (2, 40, 2))
    boxes = np.concatenate([low, low + side], -1).astype(dtype)
    y, saved = ns.complete_box_iou_loss.forward(*map(Cuda.from_host, boxes))
    expected, kept = ns.complete_box_iou_loss.reference.forward(*boxes)
    grad = np.ones_like(expected)
    found = ns.complete_box_iou_loss.backward(saved, Cuda.from_host(grad))
    wanted = ns.complete_box_iou_loss.reference.backward(kept, grad)
    for ours, theirs in zip((y, *found), (expected, *wanted), strict=True):
        bound = 256 * np.finfo(dtype).eps * np.maximum(1, np.abs(theirs))
        assert (np.abs(Cuda.to_host(ours) - theirs) <= bound).all()
