"""Whose RoI Pool is whose."""

from __future__ import annotations

from typing import Any

from numseg.testing.conventions import Arguments, Node, pair
from numseg.typing import Array

CONVENTIONS: dict[str, Arguments] = {
    "torchvision, Caffe": {"arithmetic": None, "rounding": "half_away"},
    "the formula on paper": {"arithmetic": "exact", "rounding": "half_away"},
    "Chainer on the CPU": {"rounding": "half_even"},
    "mmcv": {"rounding": "none"},
}


def _node(x: Array, boxes: Array, output_size: Any, spatial_scale: float) -> Node:
    attributes = {"pooled_shape": pair(output_size), "spatial_scale": spatial_scale}
    return Node({"x": x, "boxes": boxes}, attributes)


ONNX = {"MaxRoiPool": _node}

PEERS: dict[str, dict[str, Any]] = {
    "torchvision.ops:roi_pool": {},
}
