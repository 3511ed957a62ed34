"""Whose pixel_unshuffle2d is whose."""

from __future__ import annotations

from typing import Any

from numseg.conventions import Arguments, Onnx, attribute

CONVENTIONS: dict[str, Arguments] = {
    "PyTorch": {"mode": "CRD"},
    "TensorFlow, ONNX": {"mode": "DCR"},
}

ONNX = {
    "SpaceToDepth": Onnx(
        "x", attribute("downscale_factor", "blocksize"), settled={"mode": "DCR"}, opset=13
    )
}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:pixel_unshuffle": {},
}
