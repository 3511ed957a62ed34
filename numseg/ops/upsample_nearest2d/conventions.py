"""Whose nearest-neighbour upsampling is whose."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.ops.upsample_nearest2d import upsample_nearest2d
from numseg.testing.conventions import Arguments, Node, Unsupported
from numseg.typing import Array

CONVENTIONS: dict[str, Arguments] = {
    "PyTorch nearest": {"coordinates": "nearest", "rounding": "floor"},
    "PyTorch nearest-exact": {"coordinates": "nearest-exact", "rounding": "floor"},
    "ONNX asymmetric, floor": {"coordinates": "asymmetric", "rounding": "floor"},
    "ONNX without attributes": {"coordinates": "half_pixel", "rounding": "round_prefer_floor"},
}


def resize(
    x: Array,
    size: Any,
    scale_factor: Any,
    recompute_scale_factor: bool,
    coordinates: str,
    attributes: dict[str, Any],
) -> Node:
    """A node for an upsampling of the rows and columns."""
    scales, sizes = None, None
    if size is None and not recompute_scale_factor:
        factors = scale_factor if isinstance(scale_factor, (list, tuple)) else [scale_factor] * 2
        scales = np.array([1, 1, *factors], np.float32)
        if any(float(np.float32(f)) != f for f in factors):
            raise Unsupported("ONNX has factors in float32")
    else:
        y = upsample_nearest2d.output_shape(x.shape, size, scale_factor)
        sizes = np.array(y)
    inputs = {"x": x, "roi": None, "scales": scales, "sizes": sizes}
    made = {"coordinate_transformation_mode": coordinates, **attributes}
    return Node({n: v for n, v in inputs.items() if v is not None or n != "sizes"}, made, opset=19)


def _node(
    x: Array,
    size: Any,
    scale_factor: Any,
    recompute_scale_factor: bool,
    coordinates: str,
    rounding: str,
) -> Node:
    if coordinates.startswith("nearest"):
        raise Unsupported("PyTorch's rule, which has no name in ONNX")
    how = {"mode": "nearest", "nearest_mode": rounding}
    return resize(x, size, scale_factor, recompute_scale_factor, coordinates, how)


ONNX = {"Resize": _node}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:interpolate": {"constants": {"mode": "nearest"}},
}
