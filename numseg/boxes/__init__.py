"""Boxes: overlaps, suppression, codes, anchors and masks in images.

Plain functions on NumPy arrays, without gradients: boxes are few, and what they decide is discrete.
Every difference between libraries is a named argument; docs/boxes.md has the formulas and the
tables of conventions.
"""

from __future__ import annotations

from numseg.boxes.anchor import anchors, base_anchors
from numseg.boxes.coding import decode, encode
from numseg.boxes.masks import paste_masks
from numseg.boxes.overlap import iou
from numseg.boxes.shapes import area, clip, convert, remove_small
from numseg.boxes.suppression import batched_nms, nms, soft_nms

__all__ = [
    "anchors",
    "area",
    "base_anchors",
    "batched_nms",
    "clip",
    "convert",
    "decode",
    "encode",
    "iou",
    "nms",
    "paste_masks",
    "remove_small",
    "soft_nms",
]
