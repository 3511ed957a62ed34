"""Published networks, as graphs."""

from __future__ import annotations

from numseg.nets.backbones.resnet import resnet18, resnet34, resnet50, resnet101
from numseg.nets.backbones.vgg import vgg16, vgg16_bn
from numseg.nets.deconvnet import deconvnet
from numseg.nets.fcn import fcn8s, fcn16s, fcn32s
from numseg.nets.segnet import segnet
from numseg.nets.unet import unet

__all__ = [
    "deconvnet",
    "fcn8s",
    "fcn16s",
    "fcn32s",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "segnet",
    "unet",
    "vgg16",
    "vgg16_bn",
]
