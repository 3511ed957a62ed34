"""Whose nearest-neighbour upsampling is whose."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.conventions import Arguments, Node, Onnx, Part, constant, ignored, word
from numseg.geometry import COORDINATES
from numseg.ops.upsample_nearest2d import upsample_nearest2d
from numseg.ops.upsample_nearest2d.geometry import ROUNDINGS

CONVENTIONS: dict[str, Arguments] = {
    "PyTorch nearest": {"coordinates": "nearest", "rounding": "floor"},
    "PyTorch nearest-exact": {"coordinates": "nearest-exact", "rounding": "floor"},
    "ONNX asymmetric, floor": {"coordinates": "asymmetric", "rounding": "floor"},
    "ONNX without attributes": {"coordinates": "half_pixel", "rounding": "round_prefer_floor"},
}


def resize(*parts: Part) -> Onnx:
    """A node for an upsampling of the rows and columns."""
    return Onnx(
        "x roi scales sizes",
        Part(("size", "scale_factor", "recompute_scale_factor"), _factors, _sizes),
        *parts,
        word(
            "coordinates",
            "coordinate_transformation_mode",
            {n: n for n in COORDINATES},
            "half_pixel",
        ),
        ignored("extrapolation_value"),  # of another mode
        constant("keep_aspect_ratio_policy", "stretch"),
        since=11,
        opset=19,
    )


def _factors(arguments: Arguments, node: Node) -> None:
    size, factors = arguments["size"], arguments["scale_factor"]
    if size is None and not arguments["recompute_scale_factor"]:
        factors = factors if isinstance(factors, (list, tuple)) else [factors] * 2
        if any(float(np.float32(f)) != f for f in factors):
            raise node.refusal("has factors in float32")
        node.inputs["scales"] = np.array([1, 1, *factors], np.float32)
    else:
        shape = upsample_nearest2d.output_shape(arguments["x"].shape, size, factors)
        if 0 in shape[2:]:
            raise node.refusal("has no sizes without pixels")
        node.inputs["sizes"] = np.array(shape)
    if node.opset < 13:
        node.inputs["roi"] = np.zeros(0, np.float32)
        if node.inputs["scales"] is None:
            node.inputs["scales"] = np.zeros(0, np.float32)


def _sizes(node: Node) -> Arguments:
    node.inputs.pop("roi", None)  # of a mode that is none of ours
    scales, sizes = node.constant("scales"), node.constant("sizes")
    axes, given = node.take("axes", [0, 1, 2, 3]), scales if sizes is None else sizes
    if given is None or len(given) != len(axes):
        raise node.refusal("expected scales or sizes for each axis")
    by_axis = {axis % 4: value for axis, value in zip(axes, given.tolist(), strict=True)}
    rows, columns = by_axis.pop(2, None), by_axis.pop(3, None)
    shape = getattr(node.inputs["x"], "shape", (None, None))
    for axis, value in by_axis.items():
        if value != 1 if sizes is None else shape[axis] not in (value, None):
            raise node.refusal(f"resizes axis {axis}: {value}")
    if rows is None or columns is None:
        raise node.refusal(f"axes = {list(axes)}, expected rows and columns")
    return {"scale_factor": (rows, columns)} if sizes is None else {"size": (rows, columns)}


ONNX = {
    "Resize": resize(
        word("rounding", "nearest_mode", {n: n for n in ROUNDINGS}, "round_prefer_floor"),
        constant("mode", "nearest"),
        ignored("cubic_coeff_a"),  # of another mode
        constant("exclude_outside", 0),
        constant("antialias", 0),
    )
}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:interpolate": {"constants": {"mode": "nearest"}},
}
