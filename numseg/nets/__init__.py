"""Published networks, as graphs."""

from __future__ import annotations

from numseg.nets.backbones.resnet import resnet18, resnet34, resnet50, resnet101
from numseg.nets.deeplabv3 import deeplabv3_resnet50, deeplabv3_resnet101
from numseg.nets.fcn_resnet import fcn_resnet50, fcn_resnet101
from numseg.nets.unet import unet

__all__ = [
    "deeplabv3_resnet50",
    "deeplabv3_resnet101",
    "fcn_resnet50",
    "fcn_resnet101",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "unet",
]
