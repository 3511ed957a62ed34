"""Whose grid_sample is whose."""

from __future__ import annotations

from typing import Any

from numseg.conventions import Arguments, Node, Onnx, Part, flag, word

CONVENTIONS: dict[str, Arguments] = {"PyTorch, ONNX": {}}

_WORDS = {"bilinear": "linear", "nearest": "nearest", "bicubic": "cubic"}


def _write(arguments: Arguments, node: Node) -> None:
    mode = arguments["mode"]
    node.attributes["mode"] = mode if node.opset < 20 else _WORDS[mode]


def _read(node: Node) -> Arguments:
    given = node.take("mode", "linear" if node.opset >= 20 else "bilinear")
    ours = {**{theirs: mine for mine, theirs in _WORDS.items()}, **{mine: mine for mine in _WORDS}}
    if given not in ours:
        raise node.refusal(f"mode = {given!r}")
    return {"mode": ours[given]}


ONNX = {
    "GridSample": Onnx(
        "x grid",
        Part(("mode",), _write, _read),
        word(
            "padding_mode",
            "padding_mode",
            {n: n for n in ("zeros", "border", "reflection")},
            "zeros",
        ),
        flag("align_corners", "align_corners", 0),
        since=16,
    )
}

PEERS: dict[str, dict[str, Any]] = {
    "torch.nn.functional:grid_sample": {"names": {"x": "input"}},
}
