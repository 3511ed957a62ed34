"""Gradients of every published network, of every parameter; variants are in each one's own file."""

from __future__ import annotations

import numpy as np
import pytest
import whole

from numseg import nets

SMALL = {
    "alexnet": ({"width": 4}, (63, 66)),
    "deconvnet": ({"width": 1}, (225, 257)),
    "deeplabv1_vgg16": ({"width": 1}, (33, 25)),
    "deeplabv2_resnet101": ({"width": 1, "rates": (1, 2), "units": (1, 2, 1, 1)}, (33, 25)),
    "deeplabv2_vgg16": ({"width": 1, "rates": (1, 2)}, (33, 25)),
    "deeplabv3_mobilenet_v3_large": ({"width": 0.02, "aux": True}, (33, 35)),
    "deeplabv3_resnet50": ({"width": 2, "aux": True}, (17, 19)),
    "deeplabv3_resnet50, paper": ({"width": 2, "variant": "paper"}, (17, 19)),
    "deeplabv3_resnet101": ({"width": 2, "aux": True}, (17, 19)),
    "deeplabv3plus_xception65": ({"width": 1, "middle": 1}, (33, 18)),
    "deformable_resnet50": ({"width": 2}, (33, 35)),
    "densenet121": ({"growth_rate": 2}, (65, 67)),
    "efficientnet_b0": ({"width": 0.1}, (33, 35)),
    "fcn8s": ({"width": 1}, (9, 12)),
    "fcn16s": ({"width": 1}, (9, 12)),
    "fcn32s": ({"width": 1}, (9, 12)),
    "fcn_resnet50": ({"width": 2, "aux": True}, (17, 19)),
    "fcn_resnet101": ({"width": 2, "aux": True}, (17, 19)),
    "frrn_a": ({"width": 2, "lanes": 2}, (32, 16)),
    "frrn_b": ({"width": 2, "lanes": 2}, (64, 32)),
    "googlenet": ({"width": 0.05, "aux": True}, (47, 51)),
    "googlenet, paper": ({"width": 0.05, "aux": True, "variant": "paper"}, (191, 193)),
    "hypercolumns_vgg16": ({"width": 1}, (64, 32)),
    "lraspp_mobilenet_v3_large": ({"width": 0.05}, (33, 35)),
    "mobilenet_v2": ({"width": 0.1}, (33, 35)),
    "mobilenet_v3_large": ({"width": 0.05}, (33, 35)),
    "pnet": ({}, (17, 20)),
    "resnet18": ({"width": 2}, (33, 35)),
    "resnet34": ({"width": 2}, (33, 35)),
    "resnet50": ({"width": 2}, (33, 35)),
    "resnet101": ({"width": 2}, (33, 35)),
    "se_resnet50": ({"width": 2}, (33, 35)),
    "segnet": ({"width": 1}, (33, 50)),
    "unet": ({"width": 2, "depth": 2}, (44, 48)),
    "vgg16": ({"width": 1}, (33, 64)),
    "vgg16_bn": ({"width": 1}, (33, 64)),
    "xception65": ({"width": 2, "middle": 1}, (33, 35)),
}


def test_no_network_is_forgotten():
    assert {name.split(",")[0] for name in SMALL} == set(nets.__all__)


@pytest.mark.parametrize("which", SMALL)
def test_gradients_agree_with_differences(which: str):
    arguments, size = SMALL[which]
    name = which.split(",")[0]
    make = getattr(nets, name)
    graph = make(**arguments) if name == "pnet" else make(3, 4, **arguments)
    contrasts = np.array([0.5, 1.0, 3.0]).reshape(3, 1, 1, 1)
    # A norm of the image's mean has a number of each image: where they are alike, it bends so
    # sharply that differences see it.
    whole.check_gradients(graph, whole.image(size, batch=3) * contrasts)
