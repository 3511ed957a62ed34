"""Boxes: overlaps, suppression, matching, codes, anchors and masks in images.

Plain functions on NumPy arrays, without gradients: boxes are few, and what they decide is discrete.
What is learned from boxes are operators: :data:`numseg.encode_boxes`, :data:`numseg.decode_boxes`,
and the losses of overlaps. Every difference between libraries is a named argument; docs/boxes.md
has the formulas and the tables of conventions.
"""

from __future__ import annotations

from numseg.boxes.anchor import anchors, base_anchors
from numseg.boxes.coding import decode, encode
from numseg.boxes.masks import paste_masks
from numseg.boxes.matching import match, sample
from numseg.boxes.overlap import complete_iou, distance_iou, generalized_iou, iof, iou
from numseg.boxes.shapes import area, clip, convert, remove_small
from numseg.boxes.suppression import batched_nms, nms, soft_nms

__all__ = [
    "anchors",
    "area",
    "base_anchors",
    "batched_nms",
    "clip",
    "complete_iou",
    "convert",
    "decode",
    "distance_iou",
    "encode",
    "generalized_iou",
    "iof",
    "iou",
    "match",
    "nms",
    "paste_masks",
    "remove_small",
    "sample",
    "soft_nms",
]
