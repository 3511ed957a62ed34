"""Whose ELU is whose."""

from numseg.conventions import Arguments, attribute, elementwise

CONVENTIONS: dict[str, Arguments] = {"PyTorch, ONNX": {}}

CHOICES = {"alpha": (1.0, 0.2, 2.0)}

ONNX = {"Elu": elementwise(attribute("alpha", "alpha", 1.0))}

PEERS: dict[str, Arguments] = {
    "torch.nn.functional:elu": {},
}
