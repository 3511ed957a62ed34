"""Whose addition is whose."""

from numseg.conventions import Arguments, Onnx

CONVENTIONS: dict[str, Arguments] = {"PyTorch, ONNX": {}}

ONNX = {"Add": Onnx("x other", since=7)}

PEERS: dict[str, Arguments] = {
    "torch:add": {},
}
