"""Detectors: networks that find objects, made of graphs and of what decides between them.

A function here makes one; :class:`Detector` is what they all are.
"""

from __future__ import annotations

from numseg.detectors.detector import Detector
from numseg.detectors.yolov1 import yolov1

__all__ = ["Detector", "yolov1"]
