"""Whose hard sigmoid is whose."""

from numseg.conventions import Arguments, attribute, elementwise

CONVENTIONS: dict[str, Arguments] = {
    "PyTorch, Keras 3": {"alpha": 1 / 6},
    "ONNX without attributes, Keras 2": {"alpha": 0.2},
}

CHOICES = {"alpha": (1 / 6, 0.2)}

ONNX = {
    "HardSigmoid": elementwise(attribute("alpha", "alpha", 0.2), attribute("beta", "beta", 0.5))
}

PEERS: dict[str, Arguments] = {
    "torch.nn.functional:hardsigmoid": {},
}
