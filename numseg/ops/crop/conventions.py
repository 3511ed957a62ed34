"""Whose crop is whose."""

from __future__ import annotations

from typing import Any

from numseg.conventions import Arguments, pair

CONVENTIONS: dict[str, Arguments] = {"Caffe, torchvision": {}}


def _corner_first(x: Any, size: Any, offset: Any) -> tuple[Any, int, int, int, int]:
    return x, *pair(offset), *pair(size)


PEERS: dict[str, dict[str, Any]] = {
    "torchvision.transforms.functional:crop": {"adapt": _corner_first},
}
