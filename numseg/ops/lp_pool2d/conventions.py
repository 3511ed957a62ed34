"""Whose power-average pooling is whose."""

from __future__ import annotations

from typing import Any

from numseg.conventions import (
    Arguments,
    Node,
    Onnx,
    Part,
    attribute,
    constant,
    flag,
    padding,
    pair,
    windows,
)

CONVENTIONS: dict[str, Arguments] = {
    "PyTorch": {},
    "ONNX": {"absolute": True, "scaled": False},
}


def _integer(p: float) -> int:
    if p != int(p):
        raise ValueError(p)
    return int(p)


_POWER = attribute("norm_type", "p", 2, to=_integer)


def _write(arguments: Arguments, node: Node) -> None:
    kernel, size = pair(arguments["kernel_size"]), list(arguments["x"].shape[2:])
    if kernel != size:
        raise node.refusal(f"kernel_size = {kernel}, but x has {size[0]} x {size[1]} pixels")


def _read(node: Node) -> Arguments:
    shape = getattr(node.inputs["x"], "shape", None)
    if shape is None:
        raise node.refusal("how many pixels x has is not known")
    return {"kernel_size": tuple(shape[2:])}


def _idle(arguments: Arguments) -> list[str]:
    """Without ``ceil_mode`` no window reaches beyond the padding; even powers have no sign."""
    found = [] if arguments["ceil_mode"] else ["scaled"]
    return [*found, "absolute"] if arguments["norm_type"] % 2 == 0 else found


SETTLED = {"absolute": True, "scaled": False}

ONNX = {
    "LpPool": Onnx(
        "x",
        _POWER,
        windows(),
        padding(),
        flag("ceil_mode", "ceil_mode", 0, since=18),
        constant("dilations", [1, 1]),
        since=2,
        settled=SETTLED,
        idle=_idle,
    ),
    "GlobalLpPool": Onnx(
        "x",
        _POWER,
        Part(("kernel_size",), _write, _read),
        since=2,
        settled=SETTLED,
        idle=lambda a: (*_idle(a), "stride"),  # there is but one window
    ),
}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:lp_pool2d": {},
}
