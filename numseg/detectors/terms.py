"""Terms of losses that detectors share, each with its gradient by what a network said."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.ops.binary_cross_entropy_with_logits import binary_cross_entropy_with_logits
from numseg.ops.cross_entropy import cross_entropy
from numseg.ops.smooth_l1_loss import smooth_l1_loss
from numseg.typing import Array


def softmax_loss(scores: Array, labels: Array) -> tuple[float, Array]:
    """The mean of ``-log p[label]``."""
    loss, saved = cross_entropy.forward(scores, labels)
    return float(loss), cross_entropy.backward(saved, np.ones((), scores.dtype), needs=["x"])[0]


def codes_loss(
    codes: Array, at: Any, targets: Array, *, beta: float, share: float
) -> tuple[float, Array]:
    """``share`` times the sum of smooth L1 losses of the codes at some places."""
    own = codes.dtype.type(share)
    term, saved = smooth_l1_loss.forward(
        codes[at], targets.astype(codes.dtype), beta=beta, reduction="sum"
    )
    grad = np.zeros_like(codes)
    grad[at] = smooth_l1_loss.backward(saved, np.asarray(own), needs=["x"])[0]
    return float(term * own), grad


def masks_loss(logits: Array, labels: Array, targets: Array) -> tuple[float, Array]:
    """The mean cross-entropy of the pixels of each region's class, of logits (P, classes, M, M).

    Source: He et al., "Mask R-CNN", 2017; torchvision 0.28, ``roi_heads.maskrcnn_loss``.
    """
    loss, saved = binary_cross_entropy_with_logits.forward(logits, targets, labels=labels)
    one = np.ones((), logits.dtype)
    return float(loss), binary_cross_entropy_with_logits.backward(saved, one, needs=["x"])[0]
