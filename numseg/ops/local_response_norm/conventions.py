"""Whose local response normalisation is whose."""

from __future__ import annotations

from typing import Any

from numseg.conventions import Arguments, Onnx, attribute

CONVENTIONS: dict[str, Arguments] = {
    "PyTorch, Caffe": {"extra": "before"},
    "ONNX": {"extra": "after"},
}

ONNX = {
    "LRN": Onnx(
        "x",
        attribute("size", "size"),
        attribute("alpha", "alpha", 1e-4),
        attribute("beta", "beta", 0.75),
        attribute("k", "bias", 1.0),
        settled={"extra": "after"},
        idle=lambda a: ("extra",) if a["size"] % 2 else (),
        opset=13,
    )
}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:local_response_norm": {},
}
