"""Whose division is whose."""

from numseg.conventions import Arguments, Onnx

CONVENTIONS: dict[str, Arguments] = {"PyTorch, ONNX": {}}

ONNX = {"Div": Onnx("x other", since=7)}

PEERS: dict[str, Arguments] = {
    "torch:divide": {},
}
