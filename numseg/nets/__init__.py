"""Published networks, as graphs."""

from __future__ import annotations

from numseg.nets.backbones.mobilenet_v2 import mobilenet_v2
from numseg.nets.backbones.mobilenet_v3 import mobilenet_v3_large
from numseg.nets.backbones.resnet import resnet18, resnet34, resnet50, resnet101
from numseg.nets.backbones.vgg import vgg16, vgg16_bn
from numseg.nets.deeplabv3 import (
    deeplabv3_mobilenet_v3_large,
    deeplabv3_resnet50,
    deeplabv3_resnet101,
)
from numseg.nets.fcn import fcn8s, fcn16s, fcn32s
from numseg.nets.fcn_resnet import fcn_resnet50, fcn_resnet101
from numseg.nets.lraspp import lraspp_mobilenet_v3_large
from numseg.nets.pnet import pnet
from numseg.nets.unet import unet

__all__ = [
    "deeplabv3_mobilenet_v3_large",
    "deeplabv3_resnet50",
    "deeplabv3_resnet101",
    "fcn8s",
    "fcn16s",
    "fcn32s",
    "fcn_resnet50",
    "fcn_resnet101",
    "lraspp_mobilenet_v3_large",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "pnet",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "unet",
    "vgg16",
    "vgg16_bn",
]
