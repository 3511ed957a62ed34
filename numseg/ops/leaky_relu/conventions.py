"""Whose leaky ReLU is whose."""

from numseg.testing.conventions import Arguments, elementwise

CONVENTIONS: dict[str, Arguments] = {
    "PyTorch, ONNX": {"negative_slope": 0.01},
    "TensorFlow": {"negative_slope": 0.2},
}

CHOICES = {"negative_slope": (0.01, 0.2, 0.0)}

ONNX = {"LeakyRelu": elementwise(negative_slope="alpha")}

PEERS: dict[str, Arguments] = {
    "torch.nn.functional:leaky_relu": {},
}
