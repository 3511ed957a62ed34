"""Whose addition is whose."""

from __future__ import annotations

from typing import Any

from numseg.conventions import Arguments, Onnx

CONVENTIONS: dict[str, Arguments] = {"PyTorch, ONNX": {}}


ONNX = {"Add": Onnx("x other", since=7)}

PEERS: dict[str, dict[str, Any]] = {
    "torch:add": {},
}
