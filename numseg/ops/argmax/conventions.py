"""Whose argmax is whose; and what ONNX's ArgMax and ArgMin have in common."""

from __future__ import annotations

from typing import Any

from numseg.conventions import Arguments, Onnx, Unsupported, attribute, flag

CONVENTIONS: dict[str, Arguments] = {"PyTorch, NumPy, ONNX": {}}


def _axis(dim: int | None) -> int:
    if dim is None:
        raise Unsupported("ONNX has no place in all of x: dim is None")
    return dim


def searches() -> Onnx:
    """A node of an axis; which of equal numbers may be said since opset 12."""
    return Onnx(
        "x",
        attribute("dim", "axis", 0, to=_axis),
        flag("keepdim", "keepdims", 1),
        attribute("select_last_index", "select_last_index", 0, to=int, back=bool, since=12),
        opset=13,
    )


ONNX = {"ArgMax": searches()}

PEERS: dict[str, dict[str, Any]] = {
    "torch:argmax": {},
    "numpy:argmax": {"names": {"dim": "axis", "keepdim": "keepdims"}},
}
