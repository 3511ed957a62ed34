"""Detectors: networks that find objects, made of graphs and of what decides between them."""

from __future__ import annotations

from numseg.detectors.detector import Detector

__all__ = ["Detector"]
