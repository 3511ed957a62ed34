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


def _moved(pixels: float) -> Any:
    def change(arguments: Arguments) -> Arguments:
        shift = pixels / (arguments["spatial_scale"] or 1.0)
        boxes = arguments["boxes"] + np.array([0, shift, shift, shift, shift])
        return arguments | {"boxes": boxes.astype(arguments["boxes"].dtype)}

    return change


def _ordered(columns: list[int]) -> Any:
    return lambda arguments: arguments | {"boxes": arguments["boxes"][:, columns]}


def _inclusive(arguments: Arguments) -> Arguments:
    one = 1 / (arguments["spatial_scale"] or 1.0)
    end = np.array([0, 0, 0, one, one])
    return arguments | {"boxes": (arguments["boxes"] + end).astype(arguments["boxes"].dtype)}


PROBES = {
    "off by half a pixel: boxes moved by -1/2": _moved(-0.5),
    "off by half a pixel: boxes moved by +1/2": _moved(0.5),
    "boxes read as (y1, x1, y2, x2)": _ordered([0, 2, 1, 4, 3]),
    "the end of a box taken as inside: one pixel more": _inclusive,
}


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
