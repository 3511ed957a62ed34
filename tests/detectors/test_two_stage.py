"""Faster and Mask R-CNN with a feature pyramid, and what detectors of two stages share."""

from __future__ import annotations

import dataclasses
import json
import math
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

import numseg as ns
from numseg.boxes.matching import Sample
from numseg.data import Instances, scene_instances
from numseg.detectors import fasterrcnn_resnet50_fpn, maskrcnn_resnet50_fpn
from numseg.detectors.heads import (
    BoxHead,
    Levels,
    Regions,
    mask_probabilities,
    mask_targets,
)
from numseg.detectors.images import ImageTransform, Target
from numseg.detectors.parts import Parts
from numseg.detectors.proposals import Heads, RegionProposals, highest
from numseg.detectors.terms import masks_loss

sys.path.insert(0, str(Path(__file__).parent.parent / "nets"))
import whole

SMALL = {
    "classes": 5, "width": 4, "units": [1, 1, 1, 1], "fpn_channels": 8, "representation_size": 12,
    "min_size": 64, "max_size": 96, "anchor_sizes": [[8], [16], [24], [32], [48]],
    "rpn_pre_nms_top_n_train": 40, "rpn_post_nms_top_n_train": 30, "rpn_pre_nms_top_n_test": 40,
    "rpn_post_nms_top_n_test": 30, "rpn_batch_size_per_image": 24, "box_batch_size_per_image": 16,
    "canonical_scale": 32, "canonical_level": 3, "box_score_thresh": 0.1,
}  # fmt: skip
SMALL_MASKS = SMALL | {"mask_layers": [6], "mask_dim_reduced": 6}


def small(masks=True, **arguments):
    make, given = (
        (maskrcnn_resnet50_fpn, SMALL_MASKS) if masks else (fasterrcnn_resnet50_fpn, SMALL)
    )
    return make(**given | arguments)


def settled(detector, dtype=np.float64, seed=0):
    """Parameters by which detectors see something, and scores differ."""
    rng, params = np.random.default_rng(seed), detector.init(seed, dtype)
    for name, array in params.items():
        if name.endswith("running_var") or (array.ndim == 1 and name.endswith("weight")):
            params[name] = rng.uniform(0.5, 1.5, array.shape).astype(dtype)
        elif array.ndim == 1:
            params[name] = rng.normal(scale=0.2, size=array.shape).astype(dtype)
        elif "bbox_pred" not in name:
            size = np.sqrt(2 / array[0].size / np.mean(array * array))
            params[name] = (array * size).astype(dtype)
    return params


def pictures(dtype=np.float64, sizes=((50, 70), (64, 48))):
    rng = np.random.default_rng(1)
    return [rng.uniform(size=(3, *size)).astype(dtype) for size in sizes]


def objects(images):
    found = []
    for number, image in enumerate(images):
        rows, columns = image.shape[1:]
        boxes = np.array([[4, 6, 25, 31], [20, 10, 44, 40], [1, 30, 12, 47]])[number:]
        y, x = np.mgrid[:rows, :columns]
        masks = np.array(
            [(x >= a) & (x < c) & (y >= b) & (y < d) & ((x + y) % 7 > 1) for a, b, c, d in boxes]
        )
        found.append(Instances(boxes, np.arange(1, 1 + len(boxes)), masks))
    return found


# -- the networks -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "count"),
    [(fasterrcnn_resnet50_fpn, 41_755_286), (maskrcnn_resnet50_fpn, 44_401_393)],
)
def test_parameter_totals(make, count):
    """torchvision's, whose frozen norms have no parameters; and what learns of 3 and 5 layers."""
    detector = make()
    norms = {n.rpartition(".")[0] for n in detector.names if n.endswith("running_var")}
    total = sum(p.size for p in detector.params if p.name.rpartition(".")[0] not in norms)
    assert total == count
    sizes = {param.name: param.size for param in detector.params}
    stem_and_layer1 = 64 * 3 * 49 + 64 * 64 + 9 * 64 * 64 * 3 + 5 * 64 * 256 + 2 * 256 * 64
    stem_and_layer1 -= 64 * 256  # three expansions, a projection, two reductions
    assert count - sum(sizes[name] for name in detector.trainable) == stem_and_layer1
    learning = make(norm="batch_norm", trainable_backbone_layers=5)
    assert sum(sizes[name] for name in learning.trainable) == count + 53_120


def test_shapes():
    """Of Mask R-CNN's parts, at torchvision's sizes."""
    detector = maskrcnn_resnet50_fpn()
    shapes = detector.features.shapes((2, 3, 800, 1088))
    outputs = [shapes[value.source] for value in detector.features.outputs]
    maps = [(200, 272), (100, 136), (50, 68), (25, 34), (13, 17)]
    assert outputs[:4] == [(2, 256, *size) for size in maps[:4]]
    assert outputs[4:9] == [(2, 3, *size) for size in maps]
    assert outputs[9:] == [(2, 12, *size) for size in maps]
    given = [(2, 256, *size) for size in maps[:4]] + [(k, 5) for k in (3, 0, 1, 2)]
    found = [detector.box.shapes(*given)[value.source] for value in detector.box.outputs]
    assert found == [(6, 91), (6, 364)]
    assert detector.mask.shapes(*given)[detector.mask.outputs[0].source] == (6, 91, 28, 28)


def test_a_detector_is_made_of_words_and_numbers():
    """So that a file can say which; and goes through pickles."""
    detector = maskrcnn_resnet50_fpn(**json.loads(json.dumps(SMALL_MASKS)))
    again = pickle.loads(pickle.dumps(detector))
    assert again.names == detector.names
    assert again.trainable == detector.trainable


# -- images -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "expected"),
    [((480, 640), (800, 1066)), ((640, 480), (1066, 800)), ((100, 500), (266, 1333)),
     ((1, 1), (800, 800)), ((800, 800), (800, 800))],
)  # fmt: skip
def test_sizes_of_images(size, expected):
    """The shorter side 800, or the longer one 1333; padded to multiples of 32."""
    image = np.full((3, *size), 0.5, np.float32)
    batch = ImageTransform().batch([image], np.float32)
    assert batch.sizes == [expected]
    assert batch.given == [size]
    rows, columns = expected
    assert batch.x.shape == (1, 3, -(-rows // 32) * 32, -(-columns // 32) * 32)
    grey = (0.5 - np.array([0.485, 0.456, 0.406])) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(batch.x[0, :, 0, 0], grey, rtol=1e-5)
    assert not batch.x[0, :, rows:].any()
    assert not batch.x[0, :, :, columns:].any()


def test_objects_go_along():
    """At twice the size: boxes, and each pixel of a mask four times."""
    transform = ImageTransform(8, 100, (0.0,), (1.0,), 4)
    batch = transform.batch([np.zeros((1, 4, 6))], np.float64)
    masks = np.zeros((2, 4, 6), bool)
    masks[0, 1, 2], masks[1, 3] = True, True
    one = Instances([[2, 1, 3, 2], [0, 3, 6, 4]], [1, 2], masks, crowd=[False, True])
    (target,) = transform.targets([one], batch, 3, masks=True)
    assert batch.sizes == [(8, 12)]
    np.testing.assert_array_equal(target.boxes, [[4, 2, 6, 4]])
    np.testing.assert_array_equal(np.argwhere(target.masks[0]), [[2, 4], [2, 5], [3, 4], [3, 5]])


def test_sizes_are_drawn_in_training_alone():
    transform = ImageTransform((32, 64), 100)
    image = [np.zeros((3, 32, 32))] * 12
    sizes = transform.batch(image, np.float64, (7, 1)).sizes
    assert set(sizes) == {(32, 32), (64, 64)}
    assert sizes == transform.batch(image, np.float64, (7, 1)).sizes
    assert sizes != transform.batch(image, np.float64, (7, 2)).sizes
    assert set(transform.batch(image, np.float64).sizes) == {(64, 64)}


# -- proposals --------------------------------------------------------------------------------


def test_heads_in_a_row():
    """Place by place, the anchors of each side by side; and back."""
    logits = np.arange(24.0).reshape(2, 2, 2, 3)
    codes = np.arange(96.0).reshape(2, 8, 2, 3)
    heads = Heads.of([logits, logits[:, :, :1, :1]], [codes, codes[:, :, :1, :1]])
    np.testing.assert_array_equal(heads.objectness[0, :4], [0, 6, 1, 7])
    np.testing.assert_array_equal(heads.codes[0, 1], codes[0, 4:, 0, 0])  # second anchor of (0, 0)
    np.testing.assert_array_equal(heads.codes[1, 2], codes[1, :4, 0, 1])  # first of (0, 1)
    np.testing.assert_array_equal(heads.levels, [0] * 12 + [1] * 2)
    back = heads.as_maps()
    np.testing.assert_array_equal(back[0][0], logits)
    np.testing.assert_array_equal(back[1][0], codes)
    np.testing.assert_array_equal(back[1][1], codes[:, :, :1, :1])


def test_highest_scores():
    scores = np.array([0.5, 2.0, 0.5, -1.0, 0.5])
    every = [1, 0, 2, 4, 3]
    for count, expected in ((0, []), (1, [1]), (3, [1, 0, 2]), (5, every), (9, every)):
        np.testing.assert_array_equal(highest(scores, count), expected)


def test_proposals_by_hand():
    """One map of three places: the best two, clipped; nothing is left of the second."""
    rules = RegionProposals([[8]], [1.0], pre_nms_top_n_test=2, post_nms_top_n_test=5)
    transform = ImageTransform(8, 24, (0.0,), (1.0,), 8)
    batch = transform.batch([np.zeros((1, 8, 24))], np.float64)
    heads = Heads(np.array([[3.0, 1.0, 2.0]]), np.zeros((1, 3, 4)), ((1, 1, 1, 3),))
    heads.codes[0, 2] = [2, 0, 0, 0]  # 16 pixels to the right, out of the image
    anchors = rules.anchors(heads.maps, batch.x)
    np.testing.assert_array_equal(anchors, [[-4, -4, 4, 4], [4, -4, 12, 4], [12, -4, 20, 4]])
    (found,) = rules.propose(heads, anchors, batch, training=False)
    np.testing.assert_array_equal(found, [[0, 0, 4, 4]])
    (found,) = rules.propose(heads, anchors, batch, training=True)
    np.testing.assert_array_equal(found, [[0, 0, 4, 4], [4, 0, 12, 4]])


def test_losses_of_proposals_by_hand():
    """Three anchors of two images: a right one, two of background; of four that there are."""
    rules = RegionProposals([[8]], [1.0])
    anchors = np.array([[0.0, 0, 10, 10], [10, 0, 20, 10]])
    truth = Target(np.array([[2.0, 0, 12, 10 * math.e]]), np.array([1]), None)
    nothing = Target(np.zeros((0, 4)), np.zeros(0, np.int64), None)
    heads = Heads(
        np.array([[math.log(3), 0.0], [5.0, -math.log(3)]]), np.zeros((2, 2, 4)), ((2, 1, 1, 2),)
    )
    heads.codes[0, 0] = [0.2, 0.05, 0.5, 1]
    samples = [Sample(np.array([0]), np.array([1])), Sample(np.array([], int), np.array([1]))]
    matches = [np.array([0, -1]), np.array([-1, -1])]
    terms, grads = rules.losses(heads, anchors, [truth, nothing], matches, samples)
    log = math.log
    assert terms["loss_objectness"] == pytest.approx((log(4 / 3) + log(2) + log(4 / 3)) / 3)
    # dx = 2 / 10, dy = (10 e - 10) / 2 / 10, dw = 0, dh = 1
    far = (math.e - 1) / 2 - 0.05
    box = (far - 1 / 18 + 0.5 - 1 / 18) / 3
    assert terms["loss_rpn_box_reg"] == pytest.approx(box)
    np.testing.assert_allclose(grads.objectness, [[-0.25 / 3, 0.5 / 3], [0, 0.25 / 3]])
    np.testing.assert_allclose(grads.codes[0, 0], [0, -1 / 3, 1 / 3, 0], atol=1e-15)
    assert not grads.codes[0, 1].any()
    assert not grads.codes[1].any()


# -- regions ----------------------------------------------------------------------------------


def test_levels_of_regions():
    """224 pixels are level 4, stride 16, the third map; all that is larger, the last."""
    sides = np.array([1.0, 0.0, 111.9, 112, 223.9, 224, 447, 448, 5000])
    boxes = np.zeros((9, 4))
    boxes[:, 2] = boxes[:, 3] = sides
    np.testing.assert_array_equal(Levels().of(boxes), [0, 0, 0, 1, 1, 2, 2, 3, 3])
    rois = Levels().rois([boxes[[5, 0]], boxes[[7, 3, 2]]])
    np.testing.assert_array_equal(
        [rois.levels[0][:, [0, 3]].tolist(), rois.levels[3][:, [0, 3]].tolist() * 2],
        [[[0, 1], [1, 111.9]], [[1, 448], [1, 448]]],
    )
    np.testing.assert_array_equal(rois.order, [1, 4, 3, 0, 2])
    np.testing.assert_array_equal(rois.unsorted(rois.sorted(np.arange(5))), np.arange(5))


def test_losses_of_regions_by_hand():
    """Two regions, one of class 2 of 3, one of background."""
    boxes = np.array([[0.0, 0, 10, 10], [5, 5, 9, 9]])
    some = Regions(boxes, np.array([2, 0]), np.array([0, -1]), np.array([[1.0, 0, 11, 10]]))
    logits = np.array([[0.0, 0.0, math.log(2)], [math.log(8), 0.0, 0.0]])
    codes = np.full((2, 12), 7.0)
    codes[0, 8:] = [1.05, 0.5, 0, 0]  # of class 2, whose codes are 10 * 0.1, 0, 0, 0
    terms, (of_logits, of_codes) = BoxHead().losses(logits, codes, [some])
    assert terms["loss_classifier"] == pytest.approx((math.log(2) + math.log(10 / 8)) / 2)
    assert terms["loss_box_reg"] == pytest.approx((0.05**2 * 9 / 2 + 0.5 - 1 / 18) / 2)
    np.testing.assert_allclose(of_logits, [[0.125, 0.125, -0.25], [-0.1, 0.05, 0.05]])
    expected = np.zeros((2, 12))
    expected[0, 8:10] = [0.05 * 9 / 2, 0.5]
    np.testing.assert_allclose(of_codes, expected, atol=1e-14)


def test_masks_by_hand():
    """The left half of a box is the object; its class is the second of two."""
    masks = np.zeros((1, 8, 8))
    masks[0, :, :4] = 1
    target = Target(np.array([[0.0, 0, 8, 8]]), np.array([1]), masks)
    some = Regions(
        np.array([[0.0, 0, 8, 8], [1, 1, 2, 2]]), np.array([1, 0]), np.array([0, -1]), target.boxes
    )
    cut = mask_targets(target, some, 4)
    np.testing.assert_allclose(cut, [[[1, 1, 0.0, 0]] * 4], atol=0.26)  # not aligned: half a pixel
    logits = np.zeros((1, 2, 1, 2))
    logits[0, 1] = [[math.log(3), 0]]
    term, grad = masks_loss(logits, np.array([1]), np.array([[[1.0, 0.5]]]))
    assert term == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)
    np.testing.assert_allclose(grad, [[[[0, 0]], [[-0.125, 0]]]], atol=1e-15)
    np.testing.assert_allclose(mask_probabilities(logits, np.array([1])), [[[0.75, 0.5]]])


def test_detections_by_hand():
    """Of two proposals and two classes: one below the threshold, two that cover each other, of
    which the better stays, and one of another class in the same place."""
    head = BoxHead(score_thresh=0.15, bbox_reg_weights=(1, 1, 1, 1))
    proposals = np.array([[0.0, 0, 10, 10], [0, 0, 10, 9]])
    logits = np.log(np.array([[0.2, 0.5, 0.3], [0.3, 0.6, 0.1]]))
    (found,) = head.detections(logits, np.zeros((2, 12)), [proposals], [(8, 20)])
    np.testing.assert_array_equal(found.labels, [1, 2])
    np.testing.assert_allclose(found.scores, [0.6, 0.3])
    np.testing.assert_array_equal(found.boxes, [[0, 0, 10, 8], [0, 0, 10, 8]])


# -- whole detectors --------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["frozen", "batch_norm"])
def test_gradients_agree_with_differences(norm):
    """Of all parameters, of the sum of all terms, by the same decisions; activations are smooth,
    as differences know nothing of kinks. Each parameter adds 1 or -1 to the derivative."""
    detector = small(norm=norm, trainable_backbone_layers=5)
    for name in ("features", "box", "mask"):
        setattr(detector, name, whole.smooth(getattr(detector, name)))
    params, images = settled(detector), pictures()
    instances, rng = objects(images), np.random.default_rng(4)
    first = detector.forward(params, images, instances)
    assert min(first.terms.values()) > 1e-3
    assert all(len(sample.positive) for sample in first.chosen.regions)

    def loss(at):
        return sum(detector.forward(at, images, instances, chosen=first.chosen).terms.values())

    grads = detector.backward(first)
    assert list(grads) == list(detector.trainable)
    scale, step = loss(params), 1e-7
    assert scale == pytest.approx(sum(first.terms.values()), rel=1e-14)
    lengths = {name: np.linalg.norm(grad) / scale for name, grad in grads.items()}
    steep = [name for name in grads if lengths[name] > 1e-7]
    assert len(steep) >= len(grads) - 4  # of dead ends: biases before a norm
    for _ in range(3):
        signs = rng.choice([-1, 1], len(steep))
        moved = {
            name: sign * whole._along(grads[name], rng) / lengths[name]
            for name, sign in zip(steep, signs, strict=True)
        }
        ends = [
            loss(params | {name: params[name] + side * step * by for name, by in moved.items()})
            for side in (1, -1)
        ]
        error = (ends[0] - ends[1]) / (2 * step * scale) - signs.sum()
        assert abs(error) < 1e-3, error


def test_the_definition_gives_the_same():
    """Detections, terms and gradients, by the same decisions, in float64."""
    detector = small(min_size=32, anchor_sizes=[[4], [8], [12], [16], [24]])
    params, images = settled(detector), pictures(sizes=((34, 45),))
    instances = objects(images)
    found, losses = detector.find(params, images), detector.forward(params, images, instances)
    grads = detector.backward(losses)
    with ns.use("reference"):
        defined = detector.find(params, images)
        again = detector.forward(params, images, instances)
        of_definition = detector.backward(again)
    for one, other in zip(found, defined, strict=True):
        assert len(one.labels) > 3
        np.testing.assert_array_equal(one.labels, other.labels)
        for a, b in zip(one, other, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)
    for name, value in losses.terms.items():
        assert again.terms[name] == pytest.approx(value, rel=1e-10)
    for name, grad in grads.items():
        atol = 1e-10 * max(np.abs(grad).max(), 1e-3)
        np.testing.assert_allclose(of_definition[name], grad, rtol=0, atol=atol)


def test_same_bits_for_any_number_of_threads():
    detector = small(norm="batch_norm")
    params, images = settled(detector, np.float32), pictures(np.float32)
    runs = []
    for threads in (1, 2):
        with ns.num_threads(threads):
            found = detector.find(params, images)
            losses = detector.forward(params, images, objects(images), seed=3, step=2)
            runs.append((found, losses, detector.backward(losses, share=0.5)))
    (found, losses, grads), (others, of_two, grads_of_two) = runs
    for one, other in zip(found, others, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)
    assert losses.terms == of_two.terms
    for name, array in (*grads.items(), *losses.updates.items()):
        np.testing.assert_array_equal(array, (grads_of_two | dict(of_two.updates))[name])


def test_samples_depend_on_seed_step_and_place_alone():
    detector = small(masks=False)
    params, images = settled(detector), pictures()
    instances = objects(images)

    def chosen(**words):
        of = detector.forward(params, images, instances, **words).chosen
        return [part.tolist() for sample in (*of.anchors, *of.regions) for part in sample]

    assert chosen(seed=1, step=2) == chosen(seed=1, step=2)
    assert chosen(seed=1, step=2) != chosen(seed=1, step=3)
    assert chosen(seed=1, step=2) != chosen(seed=2, step=2)


def test_shares_and_needs():
    """Gradients of a share of the loss; of some parameters, those of one graph included."""
    detector = small()
    params, images = settled(detector), pictures()
    losses = detector.forward(params, images, objects(images))
    grads, half = detector.backward(losses), detector.backward(losses, share=0.5)
    for name, grad in grads.items():
        np.testing.assert_allclose(half[name], grad / 2, rtol=1e-12, atol=1e-18)
    for name in (
        "roi_heads.box_predictor.cls_score.weight", "roi_heads.mask_head.0.0.bias",
        "backbone.body.layer4.0.conv1.weight", "rpn.head.bbox_pred.weight",
    ):  # fmt: skip
        (only,) = detector.backward(losses, needs=[name]).items()
        assert only[0] == name
        np.testing.assert_array_equal(only[1], grads[name])
    assert detector.backward(losses, needs=["backbone.body.conv1.weight"])
    with pytest.raises(ns.ArgumentError, match="needs"):
        detector.backward(losses, needs=["backbone.body.bn1.running_mean"])


def test_an_image_alone_and_in_a_batch():
    """Of equal sizes, where there is no padding, it is found the same."""
    detector = small()
    params, images = settled(detector), pictures(sizes=((64, 64), (64, 64)))
    together = detector.detect(params, images)
    for image, found in zip(images, together, strict=True):
        (alone,) = detector.detect(params, [image])
        np.testing.assert_array_equal(alone.labels, found.labels)
        np.testing.assert_allclose(alone.boxes, found.boxes, atol=1e-9)
        np.testing.assert_array_equal(alone.masks, found.masks)
        assert found.masks.shape == (len(found), 64, 64)
        assert list(found.order()) == list(range(len(found)))


def test_it_learns_scenes():
    """Twenty steps on one picture: every term of the loss falls."""
    sample = scene_instances(1, size=64, seed=7)[0]
    detector = small(norm="batch_norm", trainable_backbone_layers=5)
    params, images = detector.init(3), [sample.image.astype(np.float32) / 255]
    first = detector.forward(params, images, [sample.instances])
    for step in range(20):
        losses = detector.forward(params, images, [sample.instances], step=step)
        grads = detector.backward(losses)
        length = math.sqrt(sum(float(np.sum(grad**2)) for grad in grads.values()))
        params |= losses.updates
        params |= {n: params[n] - np.float32(0.2 / max(length, 1)) * g for n, g in grads.items()}
    last = detector.forward(params, images, [sample.instances])
    assert sum(last.terms.values()) < 0.8 * sum(first.terms.values())


# -- what is wrong or nothing -----------------------------------------------------------------


def test_images_of_nothing():
    """No objects: all is background, and there are no masks to learn. None found: empty arrays."""
    detector = small()
    params, images = settled(detector), pictures()
    nothing = [Instances([], []), Instances([], [], np.zeros((0, 64, 48), bool))]
    losses = detector.forward(params, images, nothing)
    assert losses.terms["loss_mask"] == 0
    assert losses.terms["loss_box_reg"] == 0
    assert losses.terms["loss_objectness"] > 0
    grads = detector.backward(losses)
    assert not grads["roi_heads.mask_head.0.0.weight"].any()
    assert grads["backbone.body.layer4.0.conv1.weight"].any()
    assert detector.detect(params, []) == []
    blind = small(box_score_thresh=1.0)
    for found, image in zip(blind.detect(params, images), images, strict=True):
        assert len(found) == 0
        assert found.masks.shape == (0, *image.shape[1:])
    none = small(rpn_score_thresh=2.0)  # no proposals at all
    assert [len(found) for found in none.detect(params, images)] == [0, 0]
    assert none.forward(params, images, nothing).terms["loss_classifier"] == 0


def test_small_images_and_many_classes():
    detector = small(classes=1000, box_score_thresh=1e-4, box_detections_per_img=7)
    params = settled(detector, np.float32)
    for size in ((1, 1), (1, 2), (3, 1)):
        (found,) = detector.detect(params, [np.full((3, *size), 0.5, np.float32)])
        assert len(found) <= 7
        assert found.masks.shape == (len(found), *size)
        assert (found.boxes >= 0).all()
        assert (found.boxes[:, 2:] <= size[::-1]).all()


def wrong(match, images=None, instances=None, detector=None, **changed):
    detector = detector or small()
    params, given = settled(detector), pictures() if images is None else images
    params |= changed
    truth = objects(pictures()) if instances is None else instances
    with pytest.raises(ns.ArgumentError, match=match) as error:
        detector.forward(params, given, truth)
    assert "\n" not in str(error.value)


def test_wrong_objects():
    one, two = objects(pictures())
    boxes = two.boxes.copy()
    for box, why in (
        ([5, 5, 5, 9], "has no area"), ([48, 0, 60, 9], "has no area"), ([-9, 2, 0, 9], "no area"),
    ):  # fmt: skip
        boxes[1] = box
        wrong(
            rf"instances\[1\]\.boxes\[1\] is .*{why}",
            instances=[one, Instances(boxes, two.labels, two.masks)],
        )
    high = Instances(one.boxes, one.labels + 2, one.masks)
    wrong(
        r"instances\[0\]: has an object of class 5, but there are 5 classes", instances=[high, two]
    )
    bare = Instances(two.boxes, two.labels)
    wrong(r"instances\[1\] has no masks", instances=[one, bare])
    cut = Instances(two.boxes, two.labels, two.masks[:, 1:])
    wrong(r"instances\[1\]: masks are \d+ x \d+, but the picture is", instances=[one, cut])
    wrong("instances has 1 entries, images 2", instances=[one])


def test_wrong_images():
    one, two = pictures()
    wrong(r"images\[1\] has 4 channels, the detector takes 3", [one, np.zeros((4, 5, 6))])
    wrong(r"images\[1\] has shape \(3, 0, 6\)", [one, np.zeros((3, 0, 6))])
    wrong(r"images\[1\] has dtype uint8", [one, two.astype(np.uint8)])
    wrong(r"images\[0\] has 1 x 4000 pixels", [np.zeros((3, 1, 4000)), two])
    wrong("images is empty", [])
    detector = small()
    params = settled(detector, np.float32)
    with pytest.raises(ns.ArgumentError, match="dtype float64, expected float32, as the param"):
        detector.detect(params, [one])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_none(value):
    one, two = pictures()
    one[0, 3, 4] = value
    wrong("objectness hold nan|objectness hold inf|hold -inf", [one, two])
    detector = small()
    params, name = settled(detector), "roi_heads.box_predictor.cls_score.bias"
    params[name] = np.full(5, value)
    with pytest.raises(ns.ArgumentError, match="class logits hold"):
        detector.detect(params, pictures())


def test_wrong_arguments():
    for argument, value, match in (
        ("norm", "layer", "norm must be one of"),
        ("trainable_backbone_layers", 6, "trainable_backbone_layers must be at most 5"),
        ("anchor_sizes", [[8], [16]], "anchor_sizes, how many levels must be at least 5"),
        ("anchor_sizes", [[8], [16, 20], [1], [1], [1]], "equally many"),
        ("image_mean", [0.5], "image_mean, how many must be at least 3"),
        ("image_std", [0, 1, 1], "image_std must be positive"),
        ("classes", 1, "classes must be at least 2"),
        ("min_size", [], "min_size is empty"),
    ):
        with pytest.raises(ns.ArgumentError, match=match):
            small(masks=False, **{argument: value})


def test_parts_name_what_differs():
    detector = small(masks=False)
    params = settled(detector)
    del params["rpn.head.bbox_pred.bias"]
    with pytest.raises(ns.MismatchError, match=r"missing parameter rpn\.head\.bbox_pred\.bias"):
        detector.detect(params, pictures())
    other = dataclasses.replace(
        detector.box,
        params=tuple(dataclasses.replace(p, shape=(1, *p.shape)) for p in detector.box.params),
    )
    with pytest.raises(ns.ArgumentError, match="in one graph and"):
        Parts(detector.box, other)
