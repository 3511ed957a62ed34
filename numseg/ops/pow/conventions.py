"""Whose power is whose."""

from numseg.conventions import Arguments, Onnx

CONVENTIONS: dict[str, Arguments] = {"PyTorch, NumPy, ONNX": {}}

ONNX = {"Pow": Onnx("x other", since=7)}

PEERS: dict[str, Arguments] = {
    "torch:pow": {"names": {"x": "input", "other": "exponent"}},
}
