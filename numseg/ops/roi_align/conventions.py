"""Whose RoI Align is whose."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.conventions import Arguments, Node, Onnx, Part, attribute, pair, word

TORCHVISION = {"mode": "avg", "arithmetic": None, "outside": "zero"}

CONVENTIONS: dict[str, Arguments] = {
    "torchvision": TORCHVISION,
    "torchvision aligned=False": TORCHVISION | {"aligned": False},
    "detectron2 aligned=True": TORCHVISION | {"aligned": True},
    "torchvision, deterministic, on CUDA": TORCHVISION | {"outside": "clamp"},
    "ONNX 10 avg, output_half_pixel": {"mode": "avg", "aligned": False},
    "ONNX 16 avg, half_pixel": {"mode": "avg", "aligned": True},
    "ONNX max, output_half_pixel": {"mode": "max_corners", "aligned": False},
    "ONNX max, half_pixel": {"mode": "max_corners", "aligned": True},
    "mmcv max": {"mode": "max"},
}

CHOICES = {"sampling_ratio": (-1, 1, 2)}


def _boxes(arguments: Arguments, node: Node) -> None:
    """ONNX has the numbers of the images apart, as integers."""
    boxes = arguments["boxes"]
    node.inputs |= {"rois": boxes[:, 1:], "index": boxes[:, 0].astype(np.int64)}


def _rows(node: Node) -> Arguments:
    rois, index = node.constant("rois"), node.constant("index")
    if rois is None or index is None:  # of no box
        return {"boxes": np.zeros((0, 5), getattr(node.inputs["x"], "dtype", np.float32))}
    return {"boxes": np.concatenate([index[:, None].astype(rois.dtype), rois], 1)}


def _size(arguments: Arguments, node: Node) -> None:
    height, width = pair(arguments["output_size"])
    node.attributes |= {"output_height": height, "output_width": width}


ONNX = {
    "RoiAlign": Onnx(
        "x rois index",
        Part(("boxes",), _boxes, _rows),
        Part(
            ("output_size",),
            _size,
            lambda n: {"output_size": (n.take("output_height", 1), n.take("output_width", 1))},
        ),
        attribute(
            "sampling_ratio",
            "sampling_ratio",
            0,
            to=lambda ratio: max(ratio, 0),
            back=lambda ratio: ratio or -1,
        ),
        attribute("spatial_scale", "spatial_scale", 1.0, to=float),
        word(
            "aligned",
            "coordinate_transformation_mode",
            {True: "half_pixel", False: "output_half_pixel"},
            "half_pixel",
            since=16,
            before="output_half_pixel",
        ),
        word("mode", "mode", {"avg": "avg", "max_corners": "max"}, "avg"),
        since=10,
        opset=16,
    )
}

PEERS: dict[str, dict[str, Any]] = {
    "torchvision.ops:roi_align": {},
}
