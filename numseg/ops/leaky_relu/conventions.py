"""Whose leaky ReLU is whose."""

from numseg.conventions import Arguments, attribute, elementwise

CONVENTIONS: dict[str, Arguments] = {
    "PyTorch, ONNX": {"negative_slope": 0.01},
    "TensorFlow": {"negative_slope": 0.2},
}

CHOICES = {"negative_slope": (0.01, 0.2, 0.0)}

ONNX = {"LeakyRelu": elementwise(attribute("negative_slope", "alpha", 0.01))}

PEERS: dict[str, Arguments] = {
    "torch.nn.functional:leaky_relu": {},
}
