"""Whose cross-entropy is whose."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.conventions import Arguments, Node, Onnx, Part, word

CONVENTIONS: dict[str, Arguments] = {
    "PyTorch": {"empty": "nan", "label_smoothing": 0.0},
    "Caffe, normalization VALID": {"reduction": "valid", "min_probability": 1.1754944e-38},
}


def _labels(arguments: Arguments, node: Node) -> None:
    node.inputs["target"] = arguments["target"].astype(np.int64, copy=False)
    if arguments["ignore_index"] is not None:
        node.attributes["ignore_index"] = arguments["ignore_index"]


def _ignored(node: Node) -> Arguments:
    return {"ignore_index": node.take("ignore_index", None)}


def labelled() -> Onnx:
    """A loss of labels."""
    return Onnx(
        "x target weight",
        Part(("ignore_index",), _labels, _ignored),
        word("reduction", "reduction", {n: n for n in ("mean", "sum", "none")}, "mean"),
        since=12,
        settled={"empty": "nan"},
        idle=lambda a: ("empty",),  # what ONNX says nothing of
    )


ONNX = {"SoftmaxCrossEntropyLoss": labelled()}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:cross_entropy": {},
}
