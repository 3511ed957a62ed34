"""Whose pixel_shuffle2d is whose."""

from __future__ import annotations

from typing import Any

from numseg.conventions import Arguments, Onnx, attribute

CONVENTIONS: dict[str, Arguments] = {
    "PyTorch": {"mode": "CRD"},
    "TensorFlow, ONNX without attributes": {"mode": "DCR"},
}


ONNX = {
    "DepthToSpace": Onnx(
        "x",
        attribute("upscale_factor", "blocksize"),
        attribute("mode", "mode", "DCR", since=11),
        opset=13,
    )
}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:pixel_shuffle": {},
}
