"""Whose where is whose: conditions of PyTorch, NumPy and ONNX are truth values."""

from numseg.conventions import Arguments

CONVENTIONS: dict[str, Arguments] = {"PyTorch, NumPy, ONNX": {}}
