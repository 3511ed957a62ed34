"""Whose hard swish is whose."""

from numseg.testing.conventions import Arguments, elementwise

CONVENTIONS: dict[str, Arguments] = {"PyTorch, ONNX": {}}

ONNX = {"HardSwish": elementwise()}

PEERS: dict[str, Arguments] = {
    "torch.nn.functional:hardswish": {},
}
