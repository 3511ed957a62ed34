"""Detectors: networks that find objects, made of graphs and of what decides between them.

A function here makes one; :class:`Detector` is what they all are.
"""

from __future__ import annotations

from numseg.detectors.detector import Detector
from numseg.detectors.fast_rcnn import fast_rcnn
from numseg.detectors.faster_rcnn_fpn import fasterrcnn_resnet50_fpn
from numseg.detectors.faster_rcnn_vgg import faster_rcnn_vgg16
from numseg.detectors.mask_rcnn_c4 import mask_rcnn_c4
from numseg.detectors.mask_rcnn_fpn import maskrcnn_resnet50_fpn
from numseg.detectors.rcnn import rcnn
from numseg.detectors.sppnet import sppnet
from numseg.detectors.yolov1 import yolov1

__all__ = [
    "Detector",
    "fast_rcnn",
    "faster_rcnn_vgg16",
    "fasterrcnn_resnet50_fpn",
    "mask_rcnn_c4",
    "maskrcnn_resnet50_fpn",
    "rcnn",
    "sppnet",
    "yolov1",
]
