"""Whose gt is whose: PyTorch's and ONNX's are truth values, which are the same numbers."""

from numseg.conventions import Arguments

CONVENTIONS: dict[str, Arguments] = {"PyTorch, ONNX": {}}
