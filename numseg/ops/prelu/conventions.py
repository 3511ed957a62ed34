"""Whose PReLU is whose."""

import numpy as np

from numseg.conventions import Arguments, Node, Onnx, Part

CONVENTIONS: dict[str, Arguments] = {"PyTorch": {}}


def _aligned(arguments: Arguments, node: Node) -> None:
    """ONNX's slopes broadcast to x."""
    x, weight = arguments["x"], arguments["weight"]
    after = (1,) * (x.ndim - 2)
    node.inputs["weight"] = weight.reshape((-1, *after) if x.ndim > 1 else weight.shape[: x.ndim])


def _by_channel(node: Node) -> Arguments:
    slopes, x = node.inputs["weight"], node.inputs["x"]
    if not isinstance(slopes, np.ndarray):
        raise node.refusal("its input slope must be a constant")
    rank = len(x.shape) if hasattr(x, "shape") else max(slopes.ndim, 2) + (slopes.shape[:1] != (1,))
    aligned = (1,) * (rank - slopes.ndim) + slopes.shape
    if slopes.size != 1 and aligned != (1, slopes.size, *aligned[2:]):
        raise node.refusal(f"slope has shape {slopes.shape}, expected one for each channel")
    return {"weight": slopes.reshape(-1)}


ONNX = {"PRelu": Onnx("x weight", Part((), _aligned, _by_channel), since=7)}

PEERS: dict[str, Arguments] = {
    "torch.nn.functional:prelu": {},
}
