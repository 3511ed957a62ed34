"""Whose RoI Pool is whose."""

from __future__ import annotations

from typing import Any

from numseg.conventions import REQUIRED, Arguments, Onnx, attribute, rows_columns

CONVENTIONS: dict[str, Arguments] = {
    "torchvision, Caffe": {"arithmetic": None, "rounding": "half_away"},
    "the formula on paper": {"arithmetic": "exact", "rounding": "half_away"},
    "Chainer on the CPU": {"rounding": "half_even"},
    "mmcv": {"rounding": "none"},
}


ONNX = {
    "MaxRoiPool": Onnx(
        "x boxes",
        rows_columns("output_size", "pooled_shape", REQUIRED),
        attribute("spatial_scale", "spatial_scale", 1.0),
    )
}

PEERS: dict[str, dict[str, Any]] = {
    "torchvision.ops:roi_pool": {},
}
