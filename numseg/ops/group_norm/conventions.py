"""Whose group normalisation is whose."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.conventions import Arguments, Onnx, attribute, constant, filled

CONVENTIONS: dict[str, Arguments] = {"PyTorch, ONNX 21": {}}


ONNX = {
    "GroupNormalization": Onnx(
        "x weight bias",
        filled(
            weight=lambda a: np.ones(a["x"].shape[1], a["x"].dtype),
            bias=lambda a: np.zeros(a["x"].shape[1], a["x"].dtype),
        ),
        attribute("eps", "epsilon", 1e-5),
        attribute("num_groups", "num_groups"),
        constant("stash_type", 1),
        since=21,  # before it a weight was a group's
        opset=21,
    )
}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:group_norm": {},
}
