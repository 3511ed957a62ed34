"""Whose subtraction is whose."""

from numseg.conventions import Arguments, Onnx

CONVENTIONS: dict[str, Arguments] = {"PyTorch, ONNX": {}}

ONNX = {"Sub": Onnx("x other", since=7)}

PEERS: dict[str, Arguments] = {
    "torch:subtract": {},
}
