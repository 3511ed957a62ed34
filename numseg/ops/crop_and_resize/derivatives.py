"""Derivatives of crop_and_resize: roi_align's, of one sample a pixel."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.ops.crop_and_resize import crop_and_resize
from numseg.ops.crop_and_resize.reference import as_samples, crops
from numseg.ops.roi_align.derivatives import second, tangents, wide
from numseg.plan import Saved
from numseg.typing import Array


def jvp(saved: Saved, along: dict[str, Any]) -> Array:
    plan, g = saved.plan, saved.plan.geometry
    if along["boxes"] is None:
        how = {**plan.parameters, "arithmetic": "float32" if g.single else "float64"}
        how["extrapolation_value"] = 0.0
        return crop_and_resize(along["x"], saved.boxes, saved.box_indices, **how)
    x, boxes, vx, vboxes = wide(saved.x, saved.boxes, along["x"], along["boxes"])
    regions = crops(boxes, saved.box_indices, g)
    return tangents(regions, x, vx, _as_rois(vboxes), as_samples(g))


def double_backward(saved: Saved, grad_y: Array, along: dict[str, Any]) -> dict[str, Array]:
    g = saved.plan.geometry
    if along["boxes"] is None:  # the jvp is crop_and_resize of the motion
        at = saved._replace(x=along["x"])
        return {"boxes": crop_and_resize.backward(at, grad_y, needs=["boxes"])[1]}
    x, boxes, vx, vboxes = wide(saved.x, saved.boxes, along["x"], along["boxes"])
    regions = crops(boxes, saved.box_indices, g)
    gy = np.asarray(grad_y, np.float64)
    gx, grois = second(regions, x, vx, _as_rois(vboxes), gy, as_samples(g))
    return {"x": gx, "boxes": grois[:, [2, 1, 4, 3]]}


def _as_rois(boxes: Array) -> Array:
    """An index, which does not matter, x1, y1, x2, y2."""
    return boxes[:, [0, 1, 0, 3, 2]]
