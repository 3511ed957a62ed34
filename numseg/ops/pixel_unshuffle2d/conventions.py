"""Whose pixel_unshuffle2d is whose."""

from __future__ import annotations

from typing import Any

from numseg.conventions import Arguments, Onnx, attribute, word

CONVENTIONS: dict[str, Arguments] = {
    "PyTorch": {"mode": "CRD"},
    "TensorFlow, ONNX": {"mode": "DCR"},
}

ONNX = {
    "SpaceToDepth": Onnx(
        "x",
        attribute("downscale_factor", "blocksize"),
        word("mode", "mode", {"DCR": "DCR", "CRD": "CRD"}, "DCR", since=28),
        opset=13,
    )
}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:pixel_unshuffle": {},
}
