"""R-CNN."""

from __future__ import annotations

import detecting
import numpy as np
import pytest

from numseg.detectors import rcnn
from numseg.detectors.rcnn import warped
from numseg.errors import ArgumentError

SMALL = {"width": 2, "level": 3, "hidden": 6, "output_size": 2, "size": 16, "context": 2}


def small(**others):
    detector = rcnn(3, 4, **(SMALL | others))
    detector.propose = lambda image: detecting.regions()
    return detector


def ramp():
    """Each pixel says its column and its row."""
    rows, columns = np.mgrid[:8, :8].astype(float)
    return np.stack([columns, rows])[None]


def test_warped_without_context_by_hand():
    region = np.array([[0, 2.0, 3, 6, 5]])
    found = warped(ramp(), region, 8, 0, "warp")[0]
    pixel = np.arange(8) + 0.5
    np.testing.assert_allclose(found[0], np.tile(2 + pixel * 4 / 8 - 0.5, (8, 1)))
    np.testing.assert_allclose(found[1], np.tile(3 + pixel * 2 / 8 - 0.5, (8, 1)).T)


def test_context_is_counted_in_warped_pixels():
    """2 of 8 pixels on each side: a region of 4 x 4 sees 8 x 8, here the whole image."""
    found = warped(ramp(), np.array([[0, 2.0, 2, 6, 6]]), 8, 2, "warp")
    np.testing.assert_array_equal(found, ramp())


def test_squares_with_and_without_context():
    region = np.array([[0, 2.0, 3, 6, 5]])
    square = warped(ramp(), region, 8, 0, "square")
    np.testing.assert_array_equal(
        square, warped(ramp(), np.array([[0, 2.0, 2, 6, 6]]), 8, 0, "warp")
    )
    alone = warped(ramp() + 1, region, 8, 0, "square_without_context")
    np.testing.assert_array_equal(alone[:, :, 2:6], square[:, :, 2:6] + 1)
    assert not alone[:, :, :2].any()
    assert not alone[:, :, 6:].any()


def test_beyond_the_image_is_the_mean():
    found = warped(ramp() + 1, np.array([[0, -8.0, 0, 8, 8]]), 16, 0, "warp")[0, 0]
    assert not found[:, :6].any()
    assert (found[:, 9:] > 0).all()


def test_the_published_network():
    detector = rcnn(3, 21)
    shapes = detector.head.shapes((32, 3, 224, 224))
    assert shapes["pooled"] == (32, 512, 7, 7)
    assert shapes["cls_score"] == (32, 21)
    assert sum(p.size for p in detector.params) == 134_690_729  # as Fast R-CNN's
    assert rcnn(3, 21, kind="hinge").head.shapes((1, 3, 224, 224))["cls_score"] == (1, 20)


@pytest.mark.parametrize("kind", ["softmax", "hinge"])
@pytest.mark.parametrize("warp", ["warp", "square_without_context"])
def test_gradients(kind, warp):
    detecting.check_gradients(
        small(kind=kind, warp=warp), [detecting.picture()], [detecting.objects()]
    )


def test_same_bits_and_odd_input():
    detecting.check_same_bits(small(), [detecting.picture()], [detecting.objects()])
    detecting.check_odd_input(small(kind="hinge"))


def test_how_many_go_together_does_not_matter():
    images, found = [detecting.picture()], []
    for at_once in (2, 32):
        detector = small(at_once=at_once, finding={"score_threshold": 0.0})
        found += detector.detect(detecting.parameters(detector), images)
    np.testing.assert_allclose(found[0].scores, found[1].scores, rtol=1e-12)
    np.testing.assert_array_equal(found[0].labels, found[1].labels)


def test_context_that_leaves_nothing():
    with pytest.raises(ArgumentError, match="rcnn: context is 8 on both sides, but size only 16"):
        small(context=8)
