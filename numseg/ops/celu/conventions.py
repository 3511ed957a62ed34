"""Whose CELU is whose."""

from numseg.conventions import Arguments, attribute, elementwise

CONVENTIONS: dict[str, Arguments] = {"PyTorch, ONNX": {}}

CHOICES = {"alpha": (1.0, 0.5, 2.0)}

ONNX = {"Celu": elementwise(attribute("alpha", "alpha", 1.0), since=12)}

PEERS: dict[str, Arguments] = {
    "torch.nn.functional:celu": {},
}
