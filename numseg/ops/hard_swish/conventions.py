"""Whose hard swish is whose."""

from numseg.conventions import Arguments, elementwise

CONVENTIONS: dict[str, Arguments] = {"PyTorch, ONNX": {}}

ONNX = {"HardSwish": elementwise(since=14)}

PEERS: dict[str, Arguments] = {
    "torch.nn.functional:hardswish": {},
}
