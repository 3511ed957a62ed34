"""Whose SELU is whose."""

from numseg.conventions import Arguments, constant, elementwise
from numseg.ops.selu import ALPHA, SCALE

CONVENTIONS: dict[str, Arguments] = {"PyTorch, ONNX": {}}

ONNX = {"Selu": elementwise(constant("alpha", ALPHA), constant("gamma", SCALE))}

PEERS: dict[str, Arguments] = {
    "torch.nn.functional:selu": {},
}
