"""Fast R-CNN."""

from __future__ import annotations

import detecting
import numpy as np
import pytest

from numseg.data import Instances
from numseg.detectors import fast_rcnn
from numseg.errors import ArgumentError

SMALL = {
    "width": 2, "level": 3, "hidden": 6, "output_size": 3, "fixed_levels": 0, "min_size": None,
}  # fmt: skip


def small(**others):
    detector = fast_rcnn(3, 4, **(SMALL | others))
    detector.propose = lambda image: detecting.regions()
    return detector


def test_the_published_network():
    detector = fast_rcnn(3, 21)
    assert sum(param.size for param in detector.params) == 134_690_729
    shapes = detector.trunk.shapes((1, 3, 600, 1000))
    assert shapes["relu5_3"] == (1, 512, 38, 63)
    shapes = detector.head.shapes((1, 512, 38, 63), (300, 5))
    assert shapes["roi_pool5"] == (300, 512, 7, 7)
    assert shapes["cls_score"] == (300, 21)
    assert shapes["bbox_pred"] == (300, 84)
    assert not any(name.startswith(("conv1_", "conv2_")) for name in detector.trainable)
    assert {"conv3_1.weight", "bbox_pred.bias"} <= set(detector.trainable)


@pytest.mark.parametrize("offset", [0, 1])
def test_gradients(offset):
    images = [detecting.picture(), detecting.picture((40, 44), seed=1)]
    other = Instances([[3, 3, 30, 30]], [3])
    regions = [detecting.regions(), detecting.regions(1, size=(40, 44))]
    detecting.check_gradients(
        small(offset=offset), images, [detecting.objects(), other], regions=regions
    )


def test_same_bits_for_any_number_of_threads():
    images = [detecting.picture(), detecting.picture(seed=2)]
    detecting.check_same_bits(small(), images, [detecting.objects()] * 2)


def test_odd_input():
    detecting.check_odd_input(small())


def test_regions_that_are_none_find_nothing():
    detector = small()
    params = detecting.parameters(detector)
    for none in (np.zeros((0, 4)), [], np.array([[-9.0, -9, -2, -2], [5, 5, 5, 9]])):
        detector.propose = lambda image, none=none: none
        (found,) = detector.detect(params, [detecting.picture()])
        assert len(found) == 0
        losses = detector.forward(params, [detecting.picture()], [Instances([], [])])
        assert losses.terms == {"classes": 0, "boxes": 0}
        assert not any(grad.any() for grad in detector.backward(losses).values())


def test_detections_lie_on_the_image_best_first():
    detector = small(min_size=60, max_size=100, finding={"score_threshold": 0.1})
    params = detecting.parameters(detector)
    (found,) = detector.detect(params, [detecting.picture()])
    assert len(found) > 3
    assert (np.diff(found.scores) <= 0).all()
    assert found.boxes.min() >= 0
    assert (found.boxes[:, 2:] <= [56, 48]).all()


def test_samples_depend_on_seed_step_and_place():
    detector, params = small(dropout=0.0), None
    params = detecting.parameters(detector)
    given = [detecting.picture()] * 2, [detecting.objects()] * 2
    few = small(dropout=0.0, sampling={"batch_size_per_image": 4})
    same = [few.forward(params, *given, seed=1, step=2).terms for _ in range(2)]
    assert same[0] == same[1]
    assert few.forward(params, *given, seed=1, step=3).terms != same[0]
    assert few.forward(params, *given, seed=2, step=2).terms != same[0]


def test_share_and_needs():
    detector = small()
    params = detecting.parameters(detector)
    losses = detector.forward(params, [detecting.picture()], [detecting.objects()])
    whole = detector.backward(losses)
    part = detector.backward(losses, share=0.25, needs=["fc6.weight"])
    assert set(part) == {"fc6.weight"}
    np.testing.assert_allclose(part["fc6.weight"], whole["fc6.weight"] / 4, rtol=1e-12)
    with pytest.raises(ArgumentError, match="needs must be one of"):
        detector.backward(losses, needs=["fc8.weight"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"level": 6}, "fast_rcnn: level must be at most 5, got 6"),
        ({"classes": 1}, "fast_rcnn: classes must be at least 2, got 1"),
        ({"offset": 2}, "fast_rcnn: offset must be at most 1, got 2"),
        ({"finding": {"threshold": 1}}, "fast_rcnn: finding must be one of 'score_threshold', "),
        ({"search": {"space": 1}}, "fast_rcnn: search must be one of 'spaces', "),
    ],
)
def test_arguments_that_are_none(arguments, message):
    with pytest.raises(ArgumentError) as error:
        fast_rcnn(**({"in_channels": 3, "classes": 3} | arguments))
    assert str(error.value).startswith(message)
