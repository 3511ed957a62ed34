"""Whose bilinear upsampling is whose."""

from __future__ import annotations

from typing import Any

from numseg.ops.upsample_nearest2d.conventions import resize
from numseg.testing.conventions import Arguments, Node, Unsupported
from numseg.typing import Array

CONVENTIONS: dict[str, Arguments] = {
    "PyTorch": {"coordinates": None},
    "PyTorch align_corners=False": {"align_corners": False, "coordinates": None},
    "PyTorch align_corners=True": {"align_corners": True, "coordinates": None},
    "ONNX half_pixel": {"align_corners": False, "coordinates": "half_pixel"},
    "ONNX pytorch_half_pixel": {"align_corners": False, "coordinates": "pytorch_half_pixel"},
    "ONNX asymmetric, TensorFlow 1": {"align_corners": False, "coordinates": "asymmetric"},
}


def _node(
    x: Array, size: Any, scale_factor: Any, recompute_scale_factor: bool, coordinates: str | None
) -> Node:
    if coordinates is None:
        raise Unsupported("None is PyTorch's rule, which has no name in ONNX")
    return resize(x, size, scale_factor, recompute_scale_factor, coordinates, {"mode": "linear"})


ONNX = {"Resize": _node}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:interpolate": {"constants": {"mode": "bilinear"}},
}
