"""Whose Mish is whose."""

from numseg.conventions import Arguments, elementwise

CONVENTIONS: dict[str, Arguments] = {"PyTorch, ONNX": {}}

ONNX = {"Mish": elementwise(since=18)}

PEERS: dict[str, Arguments] = {
    "torch.nn.functional:mish": {},
}
