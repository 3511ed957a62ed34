"""Published networks, as graphs."""

from __future__ import annotations

from numseg.nets.pnet import pnet
from numseg.nets.unet import unet

__all__ = ["pnet", "unet"]
