"""Faster R-CNN as published."""

from __future__ import annotations

import detecting
import numpy as np
import pytest

from numseg.detectors import faster_rcnn_vgg16
from numseg.detectors.faster_rcnn_vgg import alternating, stage
from numseg.errors import ArgumentError

SMALL = {
    "width": 2, "level": 3, "hidden": 6, "output_size": 3, "fixed_levels": 0, "min_size": None,
    "anchors": {"sizes": [8, 16, 24], "batch_size_per_image": 32},
    "proposals": {"post_nms": [40, 20], "min_size": 2},
}  # fmt: skip
GIVEN = [detecting.picture()], [detecting.objects()]


def small(**others):
    return faster_rcnn_vgg16(3, 4, **(SMALL | others))


def test_the_published_network():
    detector = faster_rcnn_vgg16(3, 21)
    assert sum(param.size for param in detector.params) == 137_078_239
    features = (1, 512, 38, 63)
    channels = [
        detector.rpn.shapes(features)[name][1] for name in ("rpn_cls_score", "rpn_bbox_pred")
    ]
    assert sum(channels) == 54
    np.testing.assert_array_equal(detector.base[0] + 1, [-83, -39, 100, 56])
    assert len(detector.anchors(np.zeros(features))) == 38 * 63 * 9


@pytest.mark.parametrize("variant", ["paper", "caffe"])
def test_gradients(variant):
    images = [detecting.picture(), detecting.picture((40, 44), seed=1)]
    regions = [detecting.regions(), detecting.regions(1, size=(40, 44))]
    detector = small(anchors=SMALL["anchors"] | {"variant": variant})
    detecting.check_gradients(detector, images, [detecting.objects()] * 2, regions=regions)


def test_gradients_of_the_proposal_network_alone():
    detecting.check_gradients(stage(small(), 1), *GIVEN)


def test_the_sum_of_the_terms_is_trained_by_both_ways_back():
    """The convolutions' gradient is the sum of those of the two halves."""
    detector = small(dropout=0.0)
    params = detecting.parameters(detector)
    regions = [detecting.regions()]
    whole = detector.backward(detector.forward(params, *GIVEN, seed=1, regions=regions))
    network = stage(detector, 1)
    own = {name: params[name] for name in network.names}
    first = network.backward(network.forward(own, *GIVEN, seed=1))
    fast = stage(detector, 2, params)
    own = {name: params[name] for name in fast.names}
    # the same regions, but another draw of them: all are taken
    every = {"batch_size_per_image": 99, "positive_fraction": 1.0}
    detector = small(dropout=0.0, sampling=every)
    fast = stage(detector, 2, params)
    second = fast.backward(fast.forward(own, *GIVEN, seed=1, regions=regions))
    whole = detector.backward(detector.forward(params, *GIVEN, seed=1, regions=regions))
    for name in ("conv1_1.weight", "conv3_3.bias"):
        np.testing.assert_allclose(whole[name], first[name] + second[name], rtol=1e-9)
    np.testing.assert_allclose(whole["fc6.weight"], second["fc6.weight"], rtol=1e-9)


def test_same_bits_and_odd_input():
    detecting.check_same_bits(small(), *GIVEN)
    detecting.check_odd_input(small())


def test_its_proposals_are_a_detectors_answers():
    network = stage(small(), 1)
    params = detecting.parameters(network)
    (found,) = network.detect(params, [detecting.picture()])
    assert 0 < len(found) <= 20
    assert set(found.labels) == {1}
    assert (np.diff(found.scores) <= 0).all()
    assert (found.boxes[:, 2:] <= [56, 48]).all()


def test_regions_are_those_that_it_proposes():
    detector = small(dropout=0.0)
    params = detecting.parameters(detector)
    edges, _ = detector.proposals(params, detecting.picture(), training=True)
    own = detector.forward(params, *GIVEN, seed=1)
    given = detector.forward(params, *GIVEN, seed=1, regions=[edges])
    assert own.terms == pytest.approx(given.terms, rel=1e-9)


def test_alternating_trains_in_four_steps():
    """Each step changes the layers that are its own, and no others; at the end both halves share
    the convolutions of step 2."""
    detector = small()
    start = detecting.parameters(detector)
    changed, after, steps = [], [], []

    def train(step, params):
        losses = step.forward(params, *GIVEN, seed=len(changed))
        grads = step.backward(losses)
        new = params | {name: params[name] - 0.01 * grad for name, grad in grads.items()}
        changed.append({name for name in new if not np.array_equal(new[name], params[name])})
        after.append(new)
        steps.append(step)
        return new

    trained = alternating(detector, start, train)
    convolutions = {param.name for param in detector.trunk.params}
    network = {name for name in detector.names if name.startswith("rpn")}
    last = set(detector.names) - convolutions - network
    assert changed == [convolutions | network, convolutions | last, network, last]
    assert set(trained) == set(detector.names)
    detector.check(trained)
    own, _ = detector.proposals(trained, GIVEN[0][0], training=True)
    np.testing.assert_array_equal(steps[3].propose(GIVEN[0][0]), own)
    for name, array in trained.items():
        source = after[1] if name in convolutions else after[2] if name in network else after[3]
        np.testing.assert_array_equal(array, source[name])


def test_what_it_refuses():
    with pytest.raises(ArgumentError, match="step 2 needs proposer"):
        stage(small(), 2)
    with pytest.raises(ArgumentError, match="number must be at most 4"):
        stage(small(), 5)
    with pytest.raises(ArgumentError, match="1 images, but the instances of 2"):
        small().forward(detecting.parameters(small()), GIVEN[0], GIVEN[1] * 2)
    with pytest.raises(ArgumentError, match=r"^faster_rcnn_vgg16: variant must be one of"):
        small(anchors={"variant": "x"})
