"""Whose L2 normalisation is whose."""

from __future__ import annotations

from typing import Any

from numseg.conventions import Arguments, constant, elementwise

CONVENTIONS: dict[str, Arguments] = {
    "PyTorch normalize": {"eps_rule": "max"},
    "Caffe (ParseNet, SSD)": {"eps_rule": "inside"},
    "PyTorch ports of SSD": {"eps_rule": "outside"},
}

CHOICES = {"eps": (1e-12, 0.0, 1e-10)}


ONNX = {"LpNormalization": elementwise(constant("axis", 1, -1), constant("p", 2), since=1)}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:normalize": {"constants": {"p": 2, "dim": 1}},
}
