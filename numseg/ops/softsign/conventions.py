"""Whose softsign is whose."""

from numseg.conventions import Arguments, elementwise

CONVENTIONS: dict[str, Arguments] = {"PyTorch, ONNX": {}}

ONNX = {"Softsign": elementwise(since=1)}

PEERS: dict[str, Arguments] = {
    "torch.nn.functional:softsign": {},
}
