"""What no detector may do, whichever it is."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from numseg import detectors
from numseg.data import Instances
from numseg.errors import ArgumentError, ArgumentTypeError

SMALL = {
    "yolov1": {"image_size": 32, "grid": 2, "layers": [[[3, 4]], [[3, 4]]], "hidden": 8},
    "fasterrcnn_resnet50_fpn": {"units": (1, 1, 1, 1), "min_size": 64, "max_size": 96},
    "maskrcnn_resnet50_fpn": {"units": (1, 1, 1, 1), "min_size": 64, "max_size": 96},
}
NAMES = [name for name in detectors.__all__ if not isinstance(getattr(detectors, name), type)]


@pytest.fixture(params=NAMES)
def detector(request):
    make = getattr(detectors, request.param)
    narrow = {"width": 8, "fpn_channels": 16, "representation_size": 16}
    known = inspect.signature(make).parameters
    narrow = {name: value for name, value in narrow.items() if name in known}
    return make(classes=4, **narrow, **SMALL.get(request.param, {}))


def image(rows=40, columns=48, dtype=np.float32):
    return np.random.default_rng(0).uniform(size=(3, rows, columns)).astype(dtype)


def objects(boxes):
    return Instances(boxes, [1] * len(boxes), np.ones((len(boxes), 40, 48), bool))


def test_float32_goes_into_float64_and_not_back(detector):
    params = detector.init(0, np.float64)
    (found,) = detector.detect(params, [image()])
    (again,) = detector.detect(params, [image().astype(np.float64)])
    np.testing.assert_array_equal(found.boxes, again.boxes)
    losses = detector.forward(params, [image()], [objects([[4, 4, 30, 30]])])
    grads = detector.backward(losses)
    assert all(grad.dtype == np.float64 for grad in grads.values())
    with pytest.raises(ArgumentTypeError, match="has dtype float64, expected float32, as"):
        detector.detect(detector.init(0), [image(dtype=np.float64)])


def test_one_pixel(detector):
    params = detector.init(0)
    (found,) = detector.detect(params, [image(1, 1)])
    assert np.isfinite(found.boxes).all()
    assert detector.detect(params, []) == []


@pytest.mark.parametrize("box", [[200, 200, 240, 240], [10, 10, 10, 30]])
def test_objects_that_show_nothing(detector, box):
    with pytest.raises(ArgumentError, match=r"instances\[0\]\.boxes\[0\] is .*no area in an image"):
        detector.forward(detector.init(0), [image()], [objects([box])])


def test_as_many_objects_as_images(detector):
    with pytest.raises(ArgumentError, match=r"^(\w+: )?(1 images|instances has 0)"):
        detector.forward(detector.init(0), [image()], [])


@pytest.mark.parametrize("name", ["fast_rcnn", "rcnn", "sppnet"])
def test_as_many_regions_as_images(name):
    detector = getattr(detectors, name)(classes=4, width=8)
    with pytest.raises(ArgumentError, match=r"^1 images, but the regions of 2"):
        detector.forward(
            detector.init(0), [image()], [objects([[4, 4, 30, 30]])], regions=[np.ones((1, 4))] * 2
        )
