"""Whose batch normalisation is whose."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.conventions import Arguments, Node, Onnx, Part, attribute, constant, filled

CONVENTIONS: dict[str, Arguments] = {
    "PyTorch": {"unbiased": True, "momentum_of": "new", "allow_single": False},
    "ONNX 15": {"unbiased": False, "momentum_of": "old", "allow_single": True},
    "TensorFlow fused": {"unbiased": True, "momentum_of": "old", "allow_single": True},
    "Caffe": {"unbiased": True, "momentum_of": "new", "allow_single": True},
}


def _statistics(arguments: Arguments, node: Node) -> None:
    if arguments["return_running"]:
        if arguments["running_mean"] is None or not arguments["training"]:
            raise node.refusal("has new statistics in training alone")
        node.results = 3
    else:
        node.results = 1
    node.outputs = 3 if arguments["training"] else 1
    if node.opset < 14:
        if arguments["training"]:
            raise node.refusal("training = True needs opset 14")
    else:
        node.attributes["training_mode"] = int(arguments["training"])


def _training(node: Node) -> Arguments:
    training = bool(node.take("training_mode", 0)) if node.opset >= 14 else False
    if node.outputs > 1 and not training:
        raise node.refusal(f"training_mode = 0, but has {node.outputs} outputs")
    returned, node.outputs = node.outputs == 3, 1 if node.outputs == 3 else node.outputs
    return {"training": training, "return_running": returned}


def _of(value: float) -> Any:
    return lambda a: np.full(a["x"].shape[1], value, a["x"].dtype)


SETTLED = {"unbiased": False, "momentum_of": "old", "allow_single": True}

ONNX = {
    "BatchNormalization": Onnx(
        "x weight bias running_mean running_var",
        filled(weight=_of(1), bias=_of(0), running_mean=_of(0), running_var=_of(1)),
        attribute("eps", "epsilon", 1e-5),
        attribute("momentum", "momentum", 0.9),
        constant("spatial", 1),
        Part(("training", "return_running"), _statistics, _training),
        since=7,
        opset=15,
        settled=SETTLED,
        idle=lambda a: ("allow_single",) if a["training"] else tuple(SETTLED),
    )
}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:batch_norm": {},
}
