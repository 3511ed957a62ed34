"""Whose decoding of boxes is whose."""

from __future__ import annotations

from numseg.conventions import Arguments

CONVENTIONS: dict[str, Arguments] = {
    "torchvision, detectron2": {},
    "Caffe's Faster R-CNN": {"bbox_xform_clip": None, "offset": 1, "inverse": False},
    "Detectron": {"offset": 1},
}
