"""Whose hard sigmoid is whose."""

from numseg.testing.conventions import Arguments, elementwise

CONVENTIONS: dict[str, Arguments] = {
    "PyTorch, Keras 3": {"alpha": 1 / 6},
    "ONNX without attributes, Keras 2": {"alpha": 0.2},
}

CHOICES = {"alpha": (1 / 6, 0.2)}

ONNX = {"HardSigmoid": elementwise(alpha="alpha", beta="beta")}

PEERS: dict[str, Arguments] = {
    "torch.nn.functional:hardsigmoid": {},
}
