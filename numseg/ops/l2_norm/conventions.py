"""Whose L2 normalisation is whose."""

from __future__ import annotations

from typing import Any

from numseg.testing.conventions import Arguments, Node
from numseg.typing import Array

CONVENTIONS: dict[str, Arguments] = {
    "PyTorch normalize": {"eps_rule": "max"},
    "Caffe (ParseNet, SSD)": {"eps_rule": "inside"},
    "PyTorch ports of SSD": {"eps_rule": "outside"},
}

CHOICES = {"eps": (1e-12, 0.0, 1e-10)}


def _node(x: Array) -> Node:
    return Node({"x": x}, {"axis": 1, "p": 2})


ONNX = {"LpNormalization": _node}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:normalize": {"constants": {"p": 2, "dim": 1}},
}
