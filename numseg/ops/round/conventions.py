"""Whose round is whose."""

from numseg.conventions import Arguments, elementwise

CONVENTIONS: dict[str, Arguments] = {"PyTorch, NumPy, ONNX": {}}

ONNX = {"Round": elementwise(since=11)}

PEERS: dict[str, Arguments] = {
    "torch:round": {},
}
