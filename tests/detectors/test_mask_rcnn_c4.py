"""Mask R-CNN on C4."""

from __future__ import annotations

import math

import detecting
import numpy as np
import pytest

from numseg.data import Instances
from numseg.detectors import mask_rcnn_c4
from numseg.detectors import regions as r
from numseg.detectors.mask_rcnn_c4 import mask_targets
from numseg.errors import ArgumentError

SMALL = {
    "width": 2, "units": [1, 1, 1, 1], "rpn_width": 6, "mask_width": 4, "fixed_layers": 0,
    "min_size": None, "anchors": {"sizes": [12, 24], "batch_size_per_image": 16},
    "proposals": {"post_nms": [20, 10]}, "sampling": {"batch_size_per_image": 12},
}  # fmt: skip
GIVEN = [detecting.picture()], [detecting.objects(masks=True)]


def small(**others):
    return mask_rcnn_c4(3, 4, **(SMALL | others))


@pytest.mark.parametrize("pooled", [14, 7])
def test_the_published_head(pooled):
    detector = mask_rcnn_c4(pooled=pooled)
    assert detector.trunk.shapes((1, 3, 800, 1088))["layer3.5.relu"] == (1, 1024, 50, 68)
    shapes = detector.head.shapes((1, 1024, 50, 68), (100, 5))
    assert shapes["roi_align"] == (100, 1024, pooled, pooled)
    assert shapes["layer4.2.relu"] == (100, 2048, 7, 7)
    assert shapes["cls_score"] == (100, 81)
    assert shapes["bbox_pred"] == (100, 320)
    shapes = detector.mask.shapes((100, 2048, 7, 7))
    assert shapes["mask_deconv"] == (100, 256, 14, 14)
    assert shapes["mask_predictor"] == (100, 80, 14, 14)
    sizes = {}
    for param in detector.mask.params:
        layer = param.name.split(".")[0]
        sizes[layer] = sizes.get(layer, 0) + param.size
    assert sizes == {"mask_deconv": 2_097_408, "mask_predictor": 20_560}


def test_what_does_not_learn():
    frozen = mask_rcnn_c4()
    assert not any(
        ".bn" in name or name.startswith("bn") or "downsample.1" in name or "layer1" in name
        for name in frozen.trainable
    )
    assert "conv1.weight" not in frozen.trainable
    assert {"layer2.0.conv1.weight", "layer4.0.downsample.0.weight"} <= set(frozen.trainable)
    learning = mask_rcnn_c4(norm="batch_norm", fixed_layers=0)
    assert {"bn1.weight", "layer4.2.bn3.bias", "conv1.weight"} <= set(learning.trainable)
    assert "bn1.running_mean" not in learning.trainable


@pytest.mark.parametrize("norm", ["frozen", "batch_norm"])
def test_gradients(norm):
    detector = small(norm=norm, pooled=7 if norm == "frozen" else 14)
    regions = [detecting.regions()]
    detecting.check_gradients(detector, *GIVEN, regions=regions, tolerance=1e-4)


def test_norms_that_learn_give_updates():
    params = detecting.parameters(small())
    assert small().forward(params, *GIVEN).updates == {}
    updates = small(norm="batch_norm").forward(params, *GIVEN).updates
    assert {"bn1.running_mean", "layer4.0.bn2.running_var"} <= set(updates)


def test_same_bits_and_odd_input():
    detecting.check_same_bits(small(), *GIVEN)
    detecting.check_odd_input(small(), masks=True)


def test_mask_targets_by_hand():
    """An object whose left half shows; regions that are its box, and one half beyond it."""
    masks = np.zeros((2, 28, 56), bool)
    masks[1, :, :14] = True
    instances = Instances([[0, 0, 9, 9], [0, 0, 28, 28]], [1, 1], masks)
    own = np.array([[0.0, 0, 28, 28], [0, 0, 56, 28]])
    picked = r.Chosen(own, np.array([1, 1]), own, np.array([1, 1]))
    found = mask_targets(picked, instances, 1.0, (14, 14), 0)
    columns = np.arange(14)
    np.testing.assert_array_equal(found[0], np.broadcast_to(columns < 7, (14, 14)))
    # 3.5 pixels of the target: the fourth is half of it
    np.testing.assert_array_equal(found[1], np.broadcast_to(columns < 4, (14, 14)))
    doubled = picked._replace(boxes=2 * own, objects=2 * own)
    np.testing.assert_array_equal(mask_targets(doubled, instances, 2.0, (14, 14), 0), found)


def test_the_masks_loss_by_hand():
    """With a predictor of zeros every pixel is said with 1/2."""
    detector = small()
    params = detecting.parameters(detector)
    params |= {name: 0 * params[name] for name in params if name.startswith("mask_predictor")}
    terms = detector.forward(params, *GIVEN).terms
    assert terms["masks"] == pytest.approx(math.log(2))
    assert set(terms) == {"objectness", "anchors", "classes", "boxes", "masks"}


def test_detections_have_masks_in_their_boxes():
    detector = small(finding={"score_threshold": 0.1})
    params = detecting.parameters(detector)
    (found,) = detector.detect(params, [detecting.picture()])
    assert len(found) > 1
    assert found.masks.shape == (len(found), 48, 56)
    for mask, (x0, y0, x1, y1) in zip(found.masks, found.boxes, strict=True):
        y, x = np.nonzero(mask)
        if len(x):
            assert x.min() >= math.floor(x0) - 1
            assert x.max() <= math.ceil(x1)
            assert y.min() >= math.floor(y0) - 1
            assert y.max() <= math.ceil(y1)


def test_what_it_refuses():
    with pytest.raises(ArgumentError, match="mask_rcnn_c4: pooled must be 7 or 14, got 10"):
        small(pooled=10)
    with pytest.raises(ArgumentError, match="instances have no masks"):
        small().forward(detecting.parameters(small()), GIVEN[0], [detecting.objects()])
