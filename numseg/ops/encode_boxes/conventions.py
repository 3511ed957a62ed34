"""Whose encoding of boxes is whose."""

from __future__ import annotations

from numseg.conventions import Arguments

CONVENTIONS: dict[str, Arguments] = {
    "torchvision, detectron2": {"offset": 0},
    "Caffe's Faster R-CNN, Detectron": {"offset": 1},
}
