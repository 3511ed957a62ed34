"""Segmentation networks, as graphs."""

from __future__ import annotations

from numseg.nets.unet import unet

__all__ = ["unet"]
