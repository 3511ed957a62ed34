"""A run that is stopped and goes on ends with the same bits: every segmentation network, with all
that it keeps from step to step or draws by chance."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from numseg import nets
from numseg.data import scenes
from numseg.training import Loss, Recipe, Sampling, load_checkpoint, make_network, train

AUXILIARY = [Loss("cross_entropy"), Loss("cross_entropy", 0.5, output=1)]
RESNET = {"width": 1, "aux": True}
SHORT = {"width": 1, "units": (1, 1, 1, 1)}

NETS = {
    "unet": ({"width": 2, "depth": 1, "padding": "same", "norm": True, "dropout": 0.5}, 16),
    "fcn32s": ({"width": 1}, 16),
    "fcn16s": ({"width": 1}, 16),
    "fcn8s": ({"width": 1}, 16),
    "fcn8s, at once": ({"width": 1, "at_once": True}, 16),
    "segnet": ({"width": 1}, 33),
    "deconvnet": ({"width": 1}, 193),
    "hypercolumns_vgg16": ({"width": 1}, 32),
    "frrn_a": ({"width": 1, "lanes": 1}, 16),
    "frrn_b": ({"width": 1, "lanes": 1}, 32),
    "deeplabv1_vgg16": ({"width": 1}, 33),
    "deeplabv2_vgg16": ({"width": 1, "rates": (1, 2)}, 33),
    "deeplabv2_resnet101": (SHORT, 33),
    "deeplabv2_resnet101, scales": ({**SHORT, "rates": (1,), "scales": (1, 0.5)}, 33),
    "fcn_resnet50": (RESNET, 17),
    "fcn_resnet50, frozen": (RESNET, 17),
    "fcn_resnet101": (RESNET, 17),
    "deeplabv3_resnet50": (RESNET, 17),
    "deeplabv3_resnet101": (RESNET, 17),
    "deeplabv3_mobilenet_v3_large": ({"width": 0.02, "aux": True}, 33),
    "deeplabv3plus_xception65": ({"width": 1, "middle": 1}, 33),
    "lraspp_mobilenet_v3_large": ({"width": 0.05}, 33),
}

CLASSIFIERS = {
    "alexnet", "deformable_resnet50", "densenet121", "efficientnet_b0", "googlenet", "mobilenet_v2",
    "mobilenet_v3_large", "pnet", "resnet18", "resnet34", "resnet50", "resnet101", "se_resnet50",
    "vgg16", "vgg16_bn", "xception65",
}  # fmt: skip


def test_no_network_is_forgotten():
    assert {name.split(",")[0] for name in NETS} == set(nets.__all__) - CLASSIFIERS


@pytest.mark.parametrize("which", NETS)
def test_a_stopped_run_goes_on_with_the_same_bits(which: str, tmp_path):
    arguments, size = NETS[which]
    net = {"name": which.split(",")[0], "in_channels": 3, "classes": 8, **arguments}
    data = scenes(4, size=size, seed=0)
    held_out = dataclasses.replace(data, samples=data.samples[:1])
    recipe = Recipe(
        epochs=2,
        lr=1e-2,
        warm_up=1,
        loss=AUXILIARY if arguments.get("aux") else "cross_entropy",
        sampling=Sampling(crop=size, batch=2),
        **FROZEN.get(which, {}),
    )
    whole = train(net, data, held_out, recipe)
    path = tmp_path / "checkpoint.safetensors"

    def stop(result):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(net, data, held_out, recipe, checkpoint=path, report=stop)
    kept = load_checkpoint(path).params
    resumed = train(net, data, held_out, recipe, checkpoint=path, resume=True)
    assert resumed.history == whole.history
    for name, array in resumed.params.items():
        assert array.tobytes() == whole.params[name].tobytes(), name

    # What stays is what should: of arrays that do not change, equal bits would say nothing.
    still = {name for name, array in kept.items() if np.array_equal(array, whole.params[name])}
    constants = {p.name for p in make_network(net).params if not p.trainable and not _state(p.name)}
    assert still == constants | {name for name in kept if STAYS.get(which, _never)(name)}


def _never(name: str) -> bool:
    return False


def _state(name: str) -> bool:
    """A running statistic of a norm."""
    return name.endswith(("running_mean", "running_var"))


FROZEN = {
    "fcn_resnet50, frozen": {"frozen": ["backbone.conv1.*"], "frozen_norms": ["backbone.layer3.*"]}
}

STAYS = {
    # norms that see several scales keep their statistics
    "deeplabv2_resnet101, scales": _state,
    # a norm over two numbers, one of each image, gives -1 and 1: nothing before it matters
    "deconvnet": lambda name: name in ("fc6.bias", "fc7.bias"),
    "fcn_resnet50, frozen": lambda name: (
        name == "backbone.conv1.weight" or (".layer3." in name and NORM.search(name) is not None)
    ),
}
NORM = re.compile(r"\.(bn\d|downsample\.1)\.")
