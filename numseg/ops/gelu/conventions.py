"""Whose GELU is whose."""

from numseg.conventions import Arguments, elementwise, word

CONVENTIONS: dict[str, Arguments] = {
    "PyTorch, ONNX": {"approximate": "none"},
    "GPT-2, BERT's first code": {"approximate": "tanh"},
}

ONNX = {
    "Gelu": elementwise(
        word("approximate", "approximate", {"none": "none", "tanh": "tanh"}, "none"), since=20
    )
}

PEERS: dict[str, Arguments] = {
    "torch.nn.functional:gelu": {},
}
