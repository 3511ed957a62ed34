"""Published networks, as graphs."""

from __future__ import annotations

from numseg.nets.backbones.resnet import resnet18, resnet34, resnet50, resnet101
from numseg.nets.backbones.vgg import vgg16, vgg16_bn
from numseg.nets.fcn import fcn8s, fcn16s, fcn32s
from numseg.nets.unet import unet

__all__ = [
    "fcn8s",
    "fcn16s",
    "fcn32s",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "unet",
    "vgg16",
    "vgg16_bn",
]
