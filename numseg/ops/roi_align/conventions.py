"""Whose RoI Align is whose."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.testing.conventions import Arguments, Node, Unsupported
from numseg.typing import Array

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


def _node(
    x: Array,
    boxes: Array,
    output_size: tuple[int, int],
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
    mode: str,
) -> Node:
    if mode == "max":
        raise Unsupported("ONNX takes the maximum over corners, not over samples")
    index = boxes[:, 0].astype(np.int64)
    attributes = {
        "coordinate_transformation_mode": "half_pixel" if aligned else "output_half_pixel",
        "mode": {"avg": "avg", "max_corners": "max"}[mode],
        "output_height": output_size[0],
        "output_width": output_size[1],
        "sampling_ratio": max(sampling_ratio, 0),
        "spatial_scale": float(spatial_scale),
    }
    return Node({"x": x, "boxes": boxes[:, 1:], "index": index}, attributes, opset=16)


ONNX = {"RoiAlign": _node}

PEERS: dict[str, dict[str, Any]] = {
    "torchvision.ops:roi_align": {},
}
