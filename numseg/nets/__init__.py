"""Published networks, as graphs."""

from __future__ import annotations

from numseg.nets.backbones.alexnet import alexnet
from numseg.nets.backbones.deformable_resnet import deformable_resnet50
from numseg.nets.backbones.densenet import densenet121
from numseg.nets.backbones.efficientnet import efficientnet_b0
from numseg.nets.backbones.googlenet import googlenet
from numseg.nets.backbones.mobilenet_v2 import mobilenet_v2
from numseg.nets.backbones.mobilenet_v3 import mobilenet_v3_large
from numseg.nets.backbones.resnet import resnet18, resnet34, resnet50, resnet101
from numseg.nets.backbones.seresnet import se_resnet50
from numseg.nets.backbones.vgg import vgg16, vgg16_bn
from numseg.nets.backbones.xception import xception65
from numseg.nets.deconvnet import deconvnet
from numseg.nets.deeplabv1 import deeplabv1_vgg16
from numseg.nets.deeplabv2 import deeplabv2_resnet101, deeplabv2_vgg16
from numseg.nets.deeplabv3 import (
    deeplabv3_mobilenet_v3_large,
    deeplabv3_resnet50,
    deeplabv3_resnet101,
)
from numseg.nets.deeplabv3plus import deeplabv3plus_xception65
from numseg.nets.fcn import fcn8s, fcn16s, fcn32s
from numseg.nets.fcn_resnet import fcn_resnet50, fcn_resnet101
from numseg.nets.frrn import frrn_a, frrn_b
from numseg.nets.hypercolumns import hypercolumns_vgg16
from numseg.nets.lraspp import lraspp_mobilenet_v3_large
from numseg.nets.pnet import pnet
from numseg.nets.segnet import segnet
from numseg.nets.unet import unet

__all__ = [
    "alexnet",
    "deconvnet",
    "deeplabv1_vgg16",
    "deeplabv2_resnet101",
    "deeplabv2_vgg16",
    "deeplabv3_mobilenet_v3_large",
    "deeplabv3_resnet50",
    "deeplabv3_resnet101",
    "deeplabv3plus_xception65",
    "deformable_resnet50",
    "densenet121",
    "efficientnet_b0",
    "fcn8s",
    "fcn16s",
    "fcn32s",
    "fcn_resnet50",
    "fcn_resnet101",
    "frrn_a",
    "frrn_b",
    "googlenet",
    "hypercolumns_vgg16",
    "lraspp_mobilenet_v3_large",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "pnet",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "se_resnet50",
    "segnet",
    "unet",
    "vgg16",
    "vgg16_bn",
    "xception65",
]
