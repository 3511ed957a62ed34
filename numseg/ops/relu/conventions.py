"""Whose relu is whose."""

from numseg.conventions import Arguments, elementwise

CONVENTIONS: dict[str, Arguments] = {"PyTorch, ONNX": {}}

ONNX = {"Relu": elementwise()}

PEERS: dict[str, Arguments] = {
    "torch.nn.functional:relu": {},
}
