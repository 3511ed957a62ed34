"""Boxes against torchvision, and ONNX NonMaxSuppression by its reference and by ONNX Runtime."""

from __future__ import annotations

import math

import numpy as np
import pytest

from numseg import boxes as nb

pytestmark = pytest.mark.peers

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def _boxes(rng, k, step, dtype):
    """Boxes on a grid of 1 / step, so that many overlaps are equal, and some areas 0."""
    start = rng.integers(0, 16 * step, (k, 2)) / step
    size = rng.integers(0, 8 * step, (k, 2)) / step
    return np.concatenate([start, start + size], 1).astype(dtype)


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.fixture
def ops(torch):
    return pytest.importorskip("torchvision.ops")


@DTYPES
def test_torchvision_shapes_and_overlaps(torch, ops, dtype):
    rng = np.random.default_rng(0)
    one, two = (_boxes(rng, 40, 3, dtype) for _ in range(2))
    a, b = torch.tensor(one), torch.tensor(two)
    np.testing.assert_array_equal(nb.iou(one, two), ops.box_iou(a, b).numpy())
    np.testing.assert_array_equal(nb.area(one), ops.box_area(a).numpy())
    moved, size = one * 2 - 9, (15, 11)
    theirs = ops.clip_boxes_to_image(torch.tensor(moved), size).numpy()
    np.testing.assert_array_equal(nb.clip(moved, size), theirs)
    theirs = ops.remove_small_boxes(a, 5 / 3).numpy()
    np.testing.assert_array_equal(nb.remove_small(one, 5 / 3), theirs)
    for form in ("xywh", "cxcywh"):
        theirs = ops.box_convert(a, "xyxy", form)
        np.testing.assert_array_equal(nb.convert(one, "xyxy", form), theirs.numpy())
        back = ops.box_convert(theirs, form, "xyxy").numpy()
        np.testing.assert_array_equal(nb.convert(theirs.numpy(), form, "xyxy"), back)


@DTYPES
@pytest.mark.parametrize("step", [1, 3, 64])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 1 / 3, 0.5, 0.7])
def test_torchvision_nms(torch, ops, threshold, step, dtype):
    rng = np.random.default_rng(step)
    boxes = _boxes(rng, 400, step, dtype)
    scores = rng.permutation(400).astype(dtype)
    classes = rng.integers(0, 4, 400)
    tensors = torch.tensor(boxes), torch.tensor(scores)
    theirs = ops.nms(*tensors, threshold).numpy()
    np.testing.assert_array_equal(nb.nms(boxes, scores, threshold), theirs)
    theirs = ops.boxes._batched_nms_vanilla(*tensors, torch.tensor(classes), threshold).numpy()
    np.testing.assert_array_equal(nb.batched_nms(boxes, scores, classes, threshold), theirs)
    if step == 64 and dtype == np.float64:  # where moving the classes apart rounds nothing
        theirs = ops.batched_nms(*tensors, torch.tensor(classes), threshold).numpy()
        np.testing.assert_array_equal(nb.batched_nms(boxes, scores, classes, threshold), theirs)


def test_torchvision_ties_of_scores(torch, ops):
    # its sort does not promise the order of equal scores on every device; on the CPU it keeps it
    rng = np.random.default_rng(0)
    boxes, scores = _boxes(rng, 2000, 1, np.float32), rng.integers(0, 9, 2000).astype(np.float32)
    theirs = ops.nms(torch.tensor(boxes), torch.tensor(scores), 0.3).numpy()
    np.testing.assert_array_equal(nb.nms(boxes, scores, 0.3), theirs)


def _near(ours, theirs):
    """Other roundings of exp and log: 8 ulps of the largest number in a row."""
    scale = np.maximum(1, np.abs(theirs).max(-1, keepdims=True))
    assert np.all(np.abs(ours - theirs) <= 8 * np.finfo(ours.dtype).eps * scale)


@DTYPES
@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0, 1.0), (10.0, 10.0, 5.0, 5.0)])
def test_torchvision_box_coder(torch, weights, dtype):
    utils = pytest.importorskip("torchvision.models.detection._utils")
    rng = np.random.default_rng(0)
    boxes, anchors = (_boxes(rng, 50, 64, dtype) + dtype([0, 0, 1, 1]) for _ in range(2))
    coder = utils.BoxCoder(weights)
    theirs = coder.encode_single(torch.tensor(boxes), torch.tensor(anchors)).numpy()
    ours = nb.encode(boxes, anchors, weights=weights)
    _near(ours, theirs)
    codes = rng.normal(size=(50, 3, 4)).astype(dtype) * 4
    codes[0, 0, 2:] = 100  # clipped
    theirs = coder.decode(torch.tensor(codes.reshape(50, 12)), [torch.tensor(anchors)]).numpy()
    ours = nb.decode(codes, anchors[:, None], weights=weights)
    _near(ours, theirs)
    assert coder.bbox_xform_clip == math.log(1000 / 16)


@pytest.mark.parametrize("grid", [(2, 3), (5, 1), (4, 4)])
def test_torchvision_anchors(torch, grid):
    utils = pytest.importorskip("torchvision.models.detection.anchor_utils")
    images = pytest.importorskip("torchvision.models.detection.image_list")
    sizes, ratios, size = (32, 63, 100), (0.5, 1.0, 2.0, 0.3), (100, 130)
    generator = utils.AnchorGenerator((sizes,), (ratios,))
    image = torch.zeros(1, 3, *size)
    (theirs,) = generator(images.ImageList(image, [size]), [torch.zeros(1, 8, *grid)])
    stride = size[0] // grid[0], size[1] // grid[1]
    ours = nb.anchors(grid, stride, nb.base_anchors(sizes, ratios))
    np.testing.assert_array_equal(ours, theirs.numpy())


def _soft(rng, k, side):
    masks = rng.uniform(size=(k, side, side)).astype(np.float32)
    start, size = rng.uniform(-9, 30, (k, 2)), rng.uniform(0.5, 25, (k, 2))
    return masks, np.concatenate([start, start + size], 1).astype(np.float32)


def _same_masks(ours, theirs, soft):
    np.testing.assert_allclose(soft, theirs, atol=2e-5)
    clear = np.abs(theirs - 0.5) > 1e-4
    np.testing.assert_array_equal(ours[clear], (theirs >= 0.5)[clear])


@pytest.mark.parametrize("side", [1, 2, 7, 28])
def test_detectron2_rule_by_grid_sample(torch, side):
    masks, boxes = _soft(np.random.default_rng(side), 12, side)
    h, w = 31, 40
    x1, y1, x2, y2 = (torch.tensor(boxes[:, j, None]) for j in range(4))
    y = (torch.arange(h) + 0.5 - y1) / (y2 - y1) * 2 - 1
    x = (torch.arange(w) + 0.5 - x1) / (x2 - x1) * 2 - 1
    grid = torch.stack([x[:, None].expand(-1, h, -1), y[..., None].expand(-1, -1, w)], -1)
    sample = torch.nn.functional.grid_sample
    theirs = sample(torch.tensor(masks)[:, None], grid, align_corners=False)[:, 0].numpy()
    soft = nb.paste_masks(masks, boxes, (h, w), threshold=None)
    _same_masks(nb.paste_masks(masks, boxes, (h, w)), theirs, soft)


@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("side", [1, 2, 7, 28])
def test_torchvision_paste(torch, side, padding):
    heads = pytest.importorskip("torchvision.models.detection.roi_heads")
    masks, boxes = _soft(np.random.default_rng(side), 40, side)
    boxes[0] = np.round(boxes[0])
    size = 31, 40
    on = ((boxes[:, 2:] > 0) & (boxes[:, :2] < (40, 31))).all(1)  # others fail in torchvision
    masks, boxes = masks[on], boxes[on]
    theirs = heads.paste_masks_in_image(
        torch.tensor(masks)[:, None], torch.tensor(boxes), size, padding
    )[:, 0].numpy()
    how = {"method": "resize", "padding": padding}
    soft = nb.paste_masks(masks, boxes, size, threshold=None, **how)
    _same_masks(nb.paste_masks(masks, boxes, size, **how), theirs, soft)


@pytest.mark.parametrize("center", [0, 1])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5])
def test_onnx_non_max_suppression(threshold, center):
    onnx = pytest.importorskip("onnx")
    reference = pytest.importorskip("onnx.reference")
    runtime = pytest.importorskip("onnxruntime")
    helper, proto = onnx.helper, onnx.TensorProto
    names = ["boxes", "scores", "most", "threshold", "least"]
    kinds = [proto.FLOAT, proto.FLOAT, proto.INT64, proto.FLOAT, proto.FLOAT]
    node = helper.make_node("NonMaxSuppression", names, ["chosen"], center_point_box=center)
    infos = [helper.make_tensor_value_info(*pair, None) for pair in zip(names, kinds, strict=True)]
    chosen = helper.make_tensor_value_info("chosen", proto.INT64, None)
    model = helper.make_model(
        helper.make_graph([node], "g", infos, [chosen]),
        opset_imports=[helper.make_opsetid("", 11)],
        ir_version=8,
    )
    rng = np.random.default_rng(center)
    boxes = np.stack([_boxes(rng, 60, 1, np.float32) for _ in range(2)])
    if center:
        boxes = nb.convert(boxes, "xyxy", "cxcywh")
    else:  # any two opposite corners
        swap = rng.random((2, 60)) < 0.5
        boxes[swap] = boxes[swap][:, [0, 3, 2, 1]]
    scores = (rng.integers(0, 12, (2, 3, 60)) / 12).astype(np.float32)
    feeds = dict(
        zip(
            names,
            [boxes, scores, np.array([9]), *np.array([[threshold], [0.25]], np.float32)],
            strict=True,
        )
    )
    session = runtime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    ours = [
        [n, c, k]
        for n in range(2)
        for c in range(3)
        for k in nb.nms(
            *(boxes[n], scores[n, c], float(np.float32(threshold))),
            max_output=9,
            score_threshold=0.25,
            fmt="cxcywh" if center else "yxyx",
            zero_area="zero",
            corners="any",
        )
    ]
    assert ours == session.run(None, feeds)[0].tolist()
    assert ours == reference.ReferenceEvaluator(model).run(None, feeds)[0].tolist()
