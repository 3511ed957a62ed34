"""Whose global max pooling is whose."""

from __future__ import annotations

from numseg.conventions import Arguments, elementwise

CONVENTIONS: dict[str, Arguments] = {"ONNX": {}}

ONNX = {"GlobalMaxPool": elementwise(since=1)}
