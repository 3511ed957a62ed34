"""Whose instance normalisation is whose."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.conventions import Arguments, Onnx, attribute, filled

CONVENTIONS: dict[str, Arguments] = {"PyTorch, ONNX": {}}


def _of(value: float) -> Any:
    return lambda a: np.full(a["x"].shape[1], value, a["x"].dtype)


ONNX = {
    "InstanceNormalization": Onnx(
        "x weight bias",
        filled(weight=_of(1), bias=_of(0)),
        attribute("eps", "epsilon", 1e-5),
        idle=lambda a: ("momentum",),
        since=6,
        opset=22,
    )
}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:instance_norm": {},
}
