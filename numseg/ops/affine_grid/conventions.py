"""Whose affine_grid is whose."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.conventions import Arguments, Node, Onnx, Part, flag

CONVENTIONS: dict[str, Arguments] = {"PyTorch, ONNX": {}}


def _write(arguments: Arguments, node: Node) -> None:
    node.inputs["size"] = np.array(arguments["size"], np.int64)


def _read(node: Node) -> Arguments:
    size = node.constant("size")
    if size is None or len(size) != 4:
        raise node.refusal("expected the size of images, (N, C, H, W)")
    return {"size": tuple(size.tolist())}


ONNX = {
    "AffineGrid": Onnx(
        "theta size",
        Part(("size",), _write, _read),
        flag("align_corners", "align_corners", 0),
        since=20,
    )
}

PEERS: dict[str, dict[str, Any]] = {"torch.nn.functional:affine_grid": {}}
