"""Whose exponential is whose."""

from numseg.conventions import Arguments, elementwise

CONVENTIONS: dict[str, Arguments] = {"PyTorch, ONNX": {}}

ONNX = {"Exp": elementwise()}

PEERS: dict[str, Arguments] = {
    "torch:exp": {},
}
