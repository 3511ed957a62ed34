"""Whose minimum is whose."""

from numseg.conventions import Arguments, Onnx

CONVENTIONS: dict[str, Arguments] = {"PyTorch, ONNX": {}}

ONNX = {"Min": Onnx("x other", since=8)}

PEERS: dict[str, Arguments] = {
    "torch:minimum": {},
}
