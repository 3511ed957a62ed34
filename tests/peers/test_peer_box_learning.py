"""Losses of overlaps, codes, matches and samples of boxes against torchvision."""

from __future__ import annotations

import math

import numpy as np
import pytest

import numseg as ns
from numseg import boxes as nb

torch = pytest.importorskip("torch")
ops = pytest.importorskip("torchvision.ops")
utils = pytest.importorskip("torchvision.models.detection._utils")

pytestmark = pytest.mark.peers

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
NAMES = pytest.mark.parametrize("name", ["generalized", "distance", "complete"])


def _boxes(rng, k, dtype, step=None):
    """Boxes anywhere, or on a grid of 1 / step, where many coordinates are the same."""
    low, side = rng.uniform(0, 4, (k, 2)), rng.uniform(0.25, 4, (k, 2))
    found = np.concatenate([low, low + side], 1)
    if step:
        found = np.floor(found * step) / step + np.array([0, 0, 1, 1]) / step
    return found.astype(dtype)


def _agree(op, theirs, one, two, names, tolerance, **params):
    y, saved = op.forward(one, two, **params)
    tensors = [torch.tensor(array, requires_grad=True) for array in (one, two)]
    expected = theirs(*tensors)
    near = {"rtol": tolerance, "atol": tolerance}
    np.testing.assert_allclose(y, expected.detach().numpy(), **near)
    gy = np.random.default_rng(9).normal(size=y.shape).astype(y.dtype)
    expected.backward(torch.tensor(gy))
    for name, grad, tensor in zip(names, op.backward(saved, gy), tensors, strict=True):
        scale = max(1, np.abs(grad).max(initial=0))
        np.testing.assert_allclose(
            grad, tensor.grad.numpy(), rtol=tolerance, atol=tolerance * scale, err_msg=name
        )


@DTYPES
@NAMES
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("step", [None, 1, 2])
def test_losses_of_overlaps(name, reduction, step, dtype):
    rng = np.random.default_rng(0)
    one, two = (_boxes(rng, 300, dtype, step) for _ in range(2))
    if step:
        two[:30] = one[:30]
    function = getattr(ops, f"{name}_box_iou_loss")

    def theirs(a, b):
        return function(a, b, reduction=reduction)

    op = getattr(ns, f"{name}_box_iou_loss")
    tolerance = 2e-5 if dtype == np.float32 else 1e-12
    _agree(op, theirs, one, two, ("boxes1", "boxes2"), tolerance, reduction=reduction)


@pytest.mark.parametrize("name", ["generalized", "distance"])
def test_eps_of_losses(name):
    rng = np.random.default_rng(1)
    one, two = (_boxes(rng, 50, np.float64) for _ in range(2))
    function = getattr(ops, f"{name}_box_iou_loss")
    op = getattr(ns, f"{name}_box_iou_loss")
    _agree(op, lambda a, b: function(a, b, eps=0.5), one, two, ("", ""), 1e-12, eps=0.5)


def test_torchvision_gives_eps_to_alpha_alone():
    """With boxes of one shape v and alpha are 0, and no eps moves torchvision's loss."""
    one, two = np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 1, 3, 3]])
    tensors = torch.tensor(one), torch.tensor(two)
    same = {ops.complete_box_iou_loss(*tensors, eps=eps).item() for eps in (1e-7, 0.5)}
    assert len(same) == 1
    assert ns.complete_box_iou_loss(one, two, eps=0.5) == pytest.approx(1 - 1 / 7.5 + 2 / 18.5)


def test_torchvisions_points_have_no_complete_loss():
    point = torch.ones(1, 4)
    assert torch.isnan(ops.complete_box_iou_loss(point, point))
    assert ns.complete_box_iou_loss(np.ones((1, 4)), np.ones((1, 4))) == 1


@DTYPES
@NAMES
def test_pairwise_overlaps_of_every_kind(name, dtype):
    rng = np.random.default_rng(2)
    one, two = _boxes(rng, 20, dtype), _boxes(rng, 30, dtype, 1)
    how = {} if name == "generalized" else {"eps": 0}  # else added to U here, there not
    theirs = getattr(ops, f"{name}_box_iou")(torch.tensor(one), torch.tensor(two), **how).numpy()
    ours = getattr(nb, f"{name}_iou")(one, two, **how)
    assert ours.dtype == dtype
    np.testing.assert_allclose(ours, theirs, atol=8 * np.finfo(dtype).eps)


@DTYPES
@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0, 1.0), (10.0, 10.0, 5.0, 5.0)])
def test_gradients_of_the_box_coder(weights, dtype):
    rng = np.random.default_rng(3)
    boxes, anchors = (_boxes(rng, 60, dtype) for _ in range(2))
    coder = utils.BoxCoder(weights)
    tolerance = 64 * np.finfo(dtype).eps
    _agree(ns.encode_boxes, coder.encode_single, boxes, anchors, ("boxes", "anchors"),
           tolerance, weights=weights)  # fmt: skip
    codes = rng.normal(size=(60, 3, 4)).astype(dtype)
    codes[:9, :, 2:] = 5 * weights[2]  # clipped
    codes[9, 0, 2:] = 0

    def theirs(codes, anchors):
        return coder.decode_single(codes.reshape(60, 12), anchors).reshape(60, 3, 4)

    _agree(ns.decode_boxes, theirs, codes, anchors, ("codes", "anchors"), tolerance,
           weights=weights)  # fmt: skip


def test_the_gradient_at_the_clip_goes_through():
    codes = torch.tensor([[0, 0, math.log(2), 1]], requires_grad=True, dtype=torch.float64)
    anchors = torch.tensor([[0.0, 0, 2, 4]], dtype=torch.float64)
    utils.BoxCoder((1.0,) * 4, math.log(2)).decode_single(codes, anchors)[0, 2].backward()
    _, saved = ns.decode_boxes.forward(
        codes.detach().numpy(), anchors.numpy(), bbox_xform_clip=math.log(2)
    )
    ours, _ = ns.decode_boxes.backward(saved, np.array([[0.0, 0, 1, 0]]))
    np.testing.assert_allclose(ours, codes.grad.numpy(), rtol=1e-15)
    assert ours[0, 2] == pytest.approx(2)


@pytest.mark.parametrize("low_quality", [False, True])
@pytest.mark.parametrize("thresholds", [(0.7, 0.3), (0.5, 0.5), (0.5, 0.25)])
def test_matcher(thresholds, low_quality):
    rng = np.random.default_rng(4)
    for step in (None, 1, 2):  # many ties
        truths, anchors = _boxes(rng, 8, np.float32, step), _boxes(rng, 200, np.float32, step)
        quality = nb.iou(truths, anchors)
        theirs = utils.Matcher(*thresholds, low_quality)(torch.tensor(quality)).numpy()
        ours = nb.match(quality, *thresholds, allow_low_quality_matches=low_quality)
        np.testing.assert_array_equal(ours, theirs)
        assert len({*ours.tolist()}) >= 4
    truths[-1] += 100  # nothing overlaps it: it asks for all
    quality = nb.iou(truths, anchors)
    theirs = utils.Matcher(*thresholds, low_quality)(torch.tensor(quality)).numpy()
    ours = nb.match(quality, *thresholds, allow_low_quality_matches=low_quality)
    np.testing.assert_array_equal(ours, theirs)
    assert (ours >= 0).all() == low_quality


def test_sampler():
    """As many of each kind, whoever they are."""
    rng = np.random.default_rng(5)
    for size, fraction in ((8, 0.5), (9, 0.25), (64, 0.5), (0, 0.5)):
        for match_share in (0, 0.02, 0.5, 1):
            matches = np.where(rng.random(60) < match_share, 3, rng.integers(-2, 0, 60))
            labels = torch.tensor(np.where(matches >= 0, 1, matches + 1))  # background is 0 there
            sampler = utils.BalancedPositiveNegativeSampler(size, fraction)
            theirs = [masks[0].sum().item() for masks in sampler([labels])]
            ours = nb.sample(matches, size, fraction, seed=0)
            assert [len(array) for array in ours] == theirs


@pytest.mark.parametrize("top", [(10, 40), (25, 7), (300, 300)])
def test_proposals(top):
    """The filter of torchvision's region proposals, made of ours."""
    rpn = pytest.importorskip("torchvision.models.detection.rpn")
    before, after = top
    tops = {"training": before, "testing": before}, {"training": after, "testing": after}
    network = rpn.RegionProposalNetwork(None, None, 0.7, 0.3, 256, 0.5, *tops, 0.7, 0.05).eval()
    rng = np.random.default_rng(6)
    per_level, size = [120, 30], (6, 7)
    proposals = np.stack([_boxes(rng, 150, np.float32) * 2 - 1 for _ in range(2)])
    proposals[:, ::9, 2] = proposals[:, ::9, 0]  # boxes without width
    logits = rng.permutation(300).reshape(2, 150).astype(np.float32) / 50 - 3  # no ties
    theirs = network.filter_proposals(
        torch.tensor(proposals), torch.tensor(logits), [size, size], per_level
    )
    levels = np.repeat([0, 1], per_level)
    for boxes, scores, wanted, probabilities in zip(proposals, logits, *theirs, strict=True):
        ranks = [nb.nms(boxes[levels == k], scores[levels == k], 1.0, pre_nms_top_n=before)
                 for k in (0, 1)]  # fmt: skip
        first = np.concatenate([ranks[0], ranks[1] + per_level[0]])
        clipped = nb.clip(boxes[first], size)
        shares = ns.sigmoid(scores[first])
        large = nb.remove_small(clipped, 1e-3)
        large = large[shares[large] >= 0.05]
        kept = large[nb.batched_nms(clipped[large], shares[large], levels[first][large], 0.7,
                                    post_nms_top_n=after)]  # fmt: skip
        np.testing.assert_array_equal(clipped[kept], wanted.numpy())
        np.testing.assert_allclose(shares[kept], probabilities.numpy(), rtol=1e-6)
        assert 5 < len(kept) <= after
