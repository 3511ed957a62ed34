"""Whose softplus is whose."""

from numseg.conventions import Arguments, Onnx

CONVENTIONS: dict[str, Arguments] = {"PyTorch": {}, "ONNX": {"threshold": 1000.0}}

CHOICES = {"beta": (1.0, 0.5, 2.0), "threshold": (20.0, 1000.0, 1.0)}

ONNX = {"Softplus": Onnx("x", settled={"threshold": 1000.0})}

PEERS: dict[str, Arguments] = {
    "torch.nn.functional:softplus": {},
}
