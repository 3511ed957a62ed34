"""Whose bicubic upsampling is whose."""

from __future__ import annotations

from typing import Any

from numseg.conventions import Arguments, Node, Part, constant, ignored
from numseg.ops.upsample_bilinear2d.conventions import FILTERS
from numseg.ops.upsample_nearest2d.conventions import resize

CONVENTIONS: dict[str, Arguments] = {
    "PyTorch": {"coordinates": None},
    "PyTorch antialias=True, Pillow": {"antialias": True, "coordinates": None},
    "ONNX": {
        "align_corners": False,
        "coordinates": "half_pixel",
        "cubic_coeff_a": -0.75,
        "exclude_outside": False,
    },
}

CHOICES = {"cubic_coeff_a": (None, -0.5, -0.75)}


def _write(arguments: Arguments, node: Node) -> None:
    a = arguments["cubic_coeff_a"]
    usual = -0.5 if arguments["antialias"] else -0.75
    node.attributes["cubic_coeff_a"] = usual if a is None else a


def _read(node: Node) -> Arguments:
    return {"cubic_coeff_a": float(node.take("cubic_coeff_a", -0.75))}


ONNX = {
    "Resize": resize(
        constant("mode", "cubic", "nearest"),
        ignored("nearest_mode"),
        *FILTERS,
        Part(("cubic_coeff_a",), _write, _read),
    )
}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:interpolate": {"constants": {"mode": "bicubic"}},
}
