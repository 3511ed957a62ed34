"""Derivatives of decode_boxes, along both axes at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.ops.encode_boxes.derivatives import measured
from numseg.plan import Saved
from numseg.typing import Array


def jvp(saved: Saved, along: dict[str, Any]) -> Array:
    g = saved.plan.geometry
    codes = saved.codes.reshape(g.size, g.each, 4)
    side, _ = measured(saved.anchors.reshape(g.size, 1, 4), g.offset)
    per_shift, per_scale = [g.weight_x, g.weight_y], [g.weight_w, g.weight_h]
    scale = codes[..., 2:] / per_scale
    factor = np.exp(np.minimum(scale, g.most))
    moved = grown = np.zeros_like(scale)
    if (t := along["codes"]) is not None:
        t = t.reshape(codes.shape)
        moved = t[..., :2] / per_shift * side
        grown = np.where(scale > g.most, 0.0, t[..., 2:] / per_scale * factor * side)
    if (t := along["anchors"]) is not None:
        d_side, d_center = measured(t.reshape(g.size, 1, 4), 0.0)
        moved = moved + codes[..., :2] / per_shift * d_side + d_center
        grown = grown + factor * d_side
    found = np.concatenate([moved - grown / 2, moved + grown / 2], -1)
    return found.reshape(saved.codes.shape)
