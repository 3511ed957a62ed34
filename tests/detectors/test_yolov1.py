"""YOLO v1: the paper's figures, its loss term by term, what it finds, gradients and bits."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns
from numseg import ArgumentError, num_threads
from numseg.data import Instances
from numseg.detectors import Detector, yolov1
from numseg.detectors.yolov1 import TERMS

SMALL = {"image_size": 4, "grid": 2, "boxes": 2, "layers": [[[1, 64]]], "hidden": 4, "width": 2}
TINY = {
    "image_size": 16, "grid": 3, "boxes": 2, "layers": [[[3, 64]], [[1, 32], [3, 64, 2]]],
    "width": 3, "hidden": 5,
}  # fmt: skip


# -- the network ------------------------------------------------------------------------------


def test_the_papers_network():
    net = yolov1()
    assert sum(param.size for param in net.graph.params) == 271_703_550
    shapes = net.graph.shapes((1, 3, 448, 448))
    assert shapes["cells"] == (1, 7, 7, 30)
    nodes = [node.operator for node in net.graph.nodes]
    assert nodes.count(ns.conv2d) == 24
    assert nodes.count(ns.linear) == 2
    assert nodes.count(ns.leaky_relu) == 25
    pools = [shapes[f"pool{level}"] for level in (1, 2, 3, 4)]
    assert pools == [
        (1, 64, 112, 112), (1, 192, 56, 56), (1, 512, 28, 28), (1, 1024, 14, 14)
    ]  # fmt: skip
    assert shapes["conv24"] == (1, 1024, 7, 7)
    assert isinstance(net, Detector)
    assert (net.channels, net.classes) == (3, 21)


def test_a_smaller_one():
    net = yolov1(1, 4, **TINY, norm="batch_norm")
    shapes = net.graph.shapes((2, 1, 16, 16))
    assert shapes["conv3"] == (2, 3, 4, 4)
    assert shapes["cells"] == (2, 3, 3, 13)
    assert "conv1.norm.weight" in net.trainable
    assert "conv1.norm.running_mean" in {param.name for param in net.params}
    assert net.init(1)["fc1.weight"].shape == (5, 48)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"classes": 1}, "classes must be at least 2, got 1"),
        ({"grid": 0}, "grid must be at least 1, got 0"),
        ({"layers": [[[3]]]}, r"layers\[0\]\[0\] must be \(kernel, filters\) or .*, got \[3\]"),
        ({"layers": [[[3, 0]]]}, r"layers\[0\]\[0\] must be at least 1, got 0"),
        ({"image_size": 1, "layers": [[[1, 1]], [[1, 1]]]}, "layers leave no pixel of an image"),
        ({"confidence": "two"}, "confidence must be one of 'iou', 'one', got 'two'"),
        ({"iou_threshold": 2}, "iou_threshold"),
        ({"dropout": 1.0}, r"dropout must lie in \[0, 1\), got 1.0"),
    ],
)
def test_what_is_no_network(given, message):
    with pytest.raises((ArgumentError, TypeError), match=message):
        yolov1(**{"classes": 3, **SMALL, **given})


# -- the loss ---------------------------------------------------------------------------------


def small(**others):
    return yolov1(1, 3, **SMALL, dropout=0.0, **others)


def cells_by_hand():
    """One image whose first cell says something, and whose last is sure of nothing."""
    cells = np.zeros((1, 2, 2, 12))
    cells[0, 0, 0] = [0.75, 0.25, 0.5, 0.5, 0.75, 0.5, 0.25, 1, 0.5, 0.5, 0.5, 0.25]
    cells[0, 1, 1, 9] = 1
    return cells


ONE = Instances([[0, 0, 2, 2]], [2])
"""In an image of 8 x 8: its centre is an eighth, a quarter of a cell; the roots of its sides are
1/2."""


def terms(net, cells, instances, sizes=((8, 8),)):
    targets = net.targets(cells, instances, sizes)
    return net.losses(cells, _Tape, targets).terms


class _Tape:
    updates: dict = {}  # noqa: RUF012


def test_every_term_by_hand():
    """The second box, [-1/4, 3/4] x [0, 1/4], overlaps the object by 1/4; the first, which begins
    where the object ends, by 0."""
    assert terms(small(), cells_by_hand(), [ONE]) == {
        "position": 5 * 0.25**2,
        "size": 5 * 0.5**2,
        "object": (0.5 - 0.25) ** 2,
        "no_object": 0.5 * (0.75**2 + 1),
        "class": 0.5**2 + (0.25 - 1) ** 2,
    }


def test_weights_and_the_confidence_that_is_wanted():
    net = small(lambda_coord=2.0, lambda_noobj=1.0, confidence="one")
    assert terms(net, cells_by_hand(), [ONE]) == {
        "position": 2 * 0.25**2,
        "size": 2 * 0.5**2,
        "object": 0.25,
        "no_object": 0.75**2 + 1,
        "class": 0.8125,
    }


def test_terms_are_means_over_images():
    cells = np.concatenate([cells_by_hand(), np.zeros((1, 2, 2, 12))])
    nothing = Instances(np.zeros((0, 4)), [])
    alone = terms(small(), cells_by_hand(), [ONE])
    both = terms(small(), cells, [ONE, nothing], [(8, 8), (3, 5)])
    assert both == {name: value / 2 for name, value in alone.items()}


def test_the_first_of_equal_predictors_is_responsible():
    cells = np.zeros((1, 2, 2, 12))
    cells[0, 0, 0, [0, 1, 2, 3, 5, 6, 7, 8]] = 0.5
    found = small().targets(cells, [ONE], [(8, 8)])
    assert found.weights[TERMS.index("object"), 0, 0, 0].tolist() == [0] * 4 + [1] + [0] * 7


@pytest.mark.parametrize(("how", "responsible"), [("rmse", 1), ("first", 0)])
def test_where_nothing_overlaps(how, responsible):
    """Boxes without area overlap nothing; the second is nearer."""
    cells = np.zeros((1, 2, 2, 12))
    cells[0, 0, 0, 5:7] = 0.25
    found = small(without_overlap=how).targets(cells, [ONE], [(8, 8)])
    place = TERMS.index("object"), 0, 0, 0
    assert np.flatnonzero(found.weights[place]).tolist() == [5 * responsible + 4]
    assert found.values[0, 0, 0, 5 * responsible + 4] == 0


def test_sizes_count_as_shares_of_the_image_and_places_as_shares_of_a_cell():
    """The first is off by a quarter of a cell, an eighth of the image; the second by 3/16 of the
    image in width."""
    cells = np.zeros((1, 2, 2, 12))
    cells[0, 0, 0, :4] = [0.5, 0.25, 0.5, 0]
    cells[0, 0, 0, 5:9] = [0.25, 0.25, 0.25, 0]
    found = small().targets(cells, [ONE], [(8, 8)])
    assert found.weights[TERMS.index("object"), 0, 0, 0, 4] == 1


def test_which_objects_count():
    """The first of a cell; no crowds, nothing difficult; a centre on the border is in the last
    cell, and what lies beyond the image is cut off."""
    boxes = [[0, 0, 2, 2], [0, 0, 4, 4], [4, 0, 6, 2], [0, 4, 2, 6], [8, 8, 12, 12]]
    there = Instances(
        boxes, [1, 2, 1, 2, 2],
        crowd=[False, False, True, False, False], difficult=[False, False, False, True, False],
    )  # fmt: skip
    found = small().targets(np.zeros((1, 2, 2, 12)), [there], [(8, 8)])
    classes = found.values[0, ..., 10:]
    assert classes.tolist() == [[[1, 0], [0, 0]], [[0, 0], [0, 1]]]
    assert found.values[0, 1, 1, :4].tolist() == [1, 1, 0, 0]


# -- what it finds ----------------------------------------------------------------------------


def test_decoding_by_hand():
    """An image of 8 rows and 16 columns; a cell has 4 and 8."""
    net = small(score_threshold=0.1)
    cells = np.zeros((2, 2, 12))
    cells[0, 1] = [0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 1, 1, 0.25, 0.5, 1]
    found = net.decode(cells, (8, 16))
    assert found.labels.tolist() == [2, 1, 2, 1]
    assert found.scores.tolist() == [0.5, 0.25, 0.25, 0.125]
    small_box, large = [10, 1, 14, 3], [4, 0, 16, 6]  # the large one is cut off
    assert found.boxes.tolist() == [small_box, small_box, large, large]


def test_suppression_is_within_classes():
    net = small(score_threshold=0.1, iou_threshold=0.25)
    cells = np.zeros((2, 2, 12))
    cells[0, 1] = [0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.75, 0.5, 0.25, 0.0, 1]
    cells[1, 1] = [0.5, -0.5, 0.5, 0.5, 1.0, 0, 0, 0, 0, 0, 1, 0]
    found = net.decode(cells, (8, 8))
    assert [*zip(found.labels.tolist(), found.scores.tolist(), strict=True)] == [(1, 1.0), (2, 0.5)]
    assert len(small(score_threshold=0.1, max_detections=1).decode(cells, (8, 8))) == 1


def test_boxes_are_in_the_pixels_of_the_image():
    net = small(score_threshold=-10.0)
    params = net.init(3)
    image = np.full((1, 4, 4), 0.5, np.float32)
    large = np.full((1, 12, 8), 0.5, np.float32)
    one, other = net.detect(params, [image, large])
    np.testing.assert_array_equal(one.boxes * [2, 3, 2, 3], other.boxes)
    np.testing.assert_array_equal(one.scores, other.scores)
    assert (np.diff(one.scores) <= 0).all()


def test_bad_images():
    net = small()
    params = net.init(0)
    assert net.detect(params, []) == []
    net.detect(params, [np.zeros((1, 1, 1), np.float32)])
    with pytest.raises(ArgumentError, match="has 3 channels, the detector takes 1"):
        net.detect(params, [np.zeros((3, 4, 4), np.float32)])
    with pytest.raises(ArgumentError, match="an image without pixels"):
        net.detect(params, [np.zeros((1, 0, 4), np.float32)])
    with pytest.raises(ArgumentError, match="what is predicted of image 0 is not finite"):
        net.detect(params, [np.full((1, 4, 4), np.nan, np.float32)])
    with pytest.raises(ArgumentError, match="1 images, and objects of 0"):
        net.forward(params, [np.zeros((1, 4, 4), np.float32)], [])
    image, wrong = np.zeros((1, 4, 4), np.float32), Instances([[0, 0, 1, 1]], [3])
    with pytest.raises(ArgumentError, match="has an object of class 3, but there are 3 classes"):
        net.forward(params, [image], [wrong])


def test_a_prediction_that_is_no_number_is_a_loss_that_is_none():
    net = small()
    params = {name: array * np.float32(np.nan) for name, array in net.init(0).items()}
    losses = net.forward(params, [np.ones((1, 4, 4), np.float32)], [ONE])
    assert np.isnan(sum(losses.terms.values()))


# -- gradients and bits -----------------------------------------------------------------------


def batch(dtype=np.float64):
    rng = np.random.default_rng(5)
    images = [rng.random((3, *size)).astype(dtype) for size in ((16, 16), (20, 11))]
    boxes = [[1, 2, 9, 12], [8, 8, 15, 16]], [[2, 3, 8, 18]]
    return images, [Instances(b, [1 + i % 2 for i in range(len(b))]) for b in boxes]


@pytest.mark.parametrize("norm", [None, "batch_norm"])
def test_the_gradient_of_the_whole_network(norm):
    """Against central differences in float64, along random directions of each parameter; who is
    responsible, and the overlap that is its target, stay what they are."""
    net = yolov1(3, 3, **TINY, dropout=0.25, norm=norm)
    rng = np.random.default_rng(1)
    params = {
        name: array + rng.normal(0, 0.05, array.shape) * (not name.endswith("running_var"))
        for name, array in net.init(2, np.float64).items()
    }
    images, there = batch()
    losses = net.forward(params, images, there, seed=4, step=1)
    x, sizes = net.resized(images, np.float64), [image.shape[1:] for image in images]
    cells, _ = net.graph.forward(params, x, seed=4, step=1)
    targets = net.targets(cells, there, sizes)
    assert all(value > 0 for value in losses.terms.values())

    def total(changed):
        cells, tape = net.graph.forward(changed, x, seed=4, step=1)
        return sum(net.losses(cells, tape, targets).terms.values())

    assert total(params) == sum(losses.terms.values())
    grads = net.backward(losses, share=0.5)
    assert set(grads) == set(net.trainable)
    for name in net.trainable:
        direction = rng.normal(size=params[name].shape)
        step = 1e-6
        ahead, behind = (
            total(params | {name: params[name] + sign * step * direction}) for sign in (1, -1)
        )
        expected = 0.5 * (ahead - behind) / (2 * step)
        found = float((grads[name] * direction).sum())
        assert abs(found - expected) <= 1e-6 * max(abs(expected), 0.05), name


def test_only_what_is_asked_for():
    net = yolov1(3, 3, **TINY)
    losses = net.forward(net.init(0), *batch(np.float32))
    assert set(net.backward(losses, needs=["fc2.bias"])) == {"fc2.bias"}


def test_equal_bits_for_any_number_of_threads_and_chance_by_the_step():
    net = yolov1(3, 3, **TINY)
    params, (images, there) = net.init(0), batch(np.float32)

    def step(**how):
        losses = net.forward(params, images, there, **how)
        grads = net.backward(losses)
        found = net.detect(params, images)
        boxes = [one.boxes.tobytes() for one in found]
        return losses.terms, [grad.tobytes() for grad in grads.values()], boxes

    with num_threads(1):
        one = step(seed=1, step=2)
    with num_threads(2):
        assert step(seed=1, step=2) == one
    assert step(seed=1, step=3)[0] != one[0]
    still = [step(training=False, step=n)[0] for n in (2, 3)]
    assert still[0] == still[1]
