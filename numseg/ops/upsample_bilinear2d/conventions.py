"""Whose bilinear upsampling is whose."""

from __future__ import annotations

from typing import Any

from numseg.conventions import Arguments, Node, Part, constant, flag, ignored
from numseg.ops.upsample_nearest2d.conventions import resize

CONVENTIONS: dict[str, Arguments] = {
    "PyTorch": {"coordinates": None},
    "PyTorch align_corners=False": {"align_corners": False, "coordinates": None},
    "PyTorch align_corners=True": {"align_corners": True, "coordinates": None},
    "ONNX half_pixel": {"align_corners": False, "coordinates": "half_pixel"},
    "ONNX pytorch_half_pixel": {"align_corners": False, "coordinates": "pytorch_half_pixel"},
    "ONNX asymmetric, TensorFlow 1": {"align_corners": False, "coordinates": "asymmetric"},
    "PyTorch antialias=True": {"antialias": True, "coordinates": None},
    "ONNX antialias": {
        "antialias": True,
        "exclude_outside": False,
        "align_corners": False,
        "coordinates": "half_pixel",
    },
}


def _write(arguments: Arguments, node: Node) -> None:
    outside = arguments["exclude_outside"]
    node.attributes["exclude_outside"] = int(arguments["antialias"] if outside is None else outside)


def _read(node: Node) -> Arguments:
    return {"exclude_outside": bool(node.take("exclude_outside", 0))}


FILTERS = flag("antialias", "antialias", 0, since=18), Part(("exclude_outside",), _write, _read)
"""What nodes say of filters."""

ONNX = {
    "Resize": resize(
        constant("mode", "linear", "nearest"),
        ignored("nearest_mode", "cubic_coeff_a"),
        *FILTERS,
    )
}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:interpolate": {"constants": {"mode": "bilinear"}},
}
