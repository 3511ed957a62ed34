"""Whose bilinear upsampling is whose."""

from __future__ import annotations

from typing import Any

from numseg.conventions import Arguments, constant, ignored
from numseg.ops.upsample_nearest2d.conventions import resize

CONVENTIONS: dict[str, Arguments] = {
    "PyTorch": {"coordinates": None},
    "PyTorch align_corners=False": {"align_corners": False, "coordinates": None},
    "PyTorch align_corners=True": {"align_corners": True, "coordinates": None},
    "ONNX half_pixel": {"align_corners": False, "coordinates": "half_pixel"},
    "ONNX pytorch_half_pixel": {"align_corners": False, "coordinates": "pytorch_half_pixel"},
    "ONNX asymmetric, TensorFlow 1": {"align_corners": False, "coordinates": "asymmetric"},
}


ONNX = {
    "Resize": resize(
        constant("mode", "linear", "nearest"),
        ignored("nearest_mode"),
    )
}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:interpolate": {"constants": {"mode": "bilinear"}},
}
