"""Detectors against torchvision's, with the same random weights under the same names."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from numseg import boxes as boxes_
from numseg.data import Instances
from numseg.detectors import fasterrcnn_resnet50_fpn, maskrcnn_resnet50_fpn, pretrained
from numseg.interop import weights

torch = pytest.importorskip("torch")
detection = pytest.importorskip("torchvision.models.detection")
resnet_fpn_backbone = detection.backbone_utils.resnet_fpn_backbone
FrozenBatchNorm2d = pytest.importorskip("torchvision.ops").FrozenBatchNorm2d
pytestmark = pytest.mark.peers

MAKERS = {"faster": fasterrcnn_resnet50_fpn, "mask": maskrcnn_resnet50_fpn}
CLASSES = 7
FEW = {
    "min_size": 160, "max_size": 240,
    "rpn_pre_nms_top_n_train": 100, "rpn_post_nms_top_n_train": 60,
    "rpn_pre_nms_top_n_test": 100, "rpn_post_nms_top_n_test": 60, "box_batch_size_per_image": 48,
    "rpn_batch_size_per_image": 32, "box_detections_per_img": 20,
}  # fmt: skip
"""Fewer pixels and regions than torchvision's defaults, for time."""

SIZES = [(97, 131), (64, 101), (233, 75), (160, 160), (121, 119)]


def normed(classes, kind, **arguments):
    """torchvision's model with norms that learn, which settle: running statistics are those of
    random images, times random factors."""
    torch.manual_seed(0)
    make = getattr(detection, f"{kind}rcnn_resnet50_fpn")
    model = make(weights=None, weights_backbone=None, num_classes=classes, **arguments)
    generator = torch.Generator().manual_seed(1)
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                torch.nn.init.kaiming_normal_(parameter, generator=generator)
            else:
                parameter.normal_(0, 0.2, generator=generator)
            for word, factor in PUSHED.items():
                if word in name:
                    parameter *= factor
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.weight += 1.0
            norm.momentum = 1.0
        x = torch.randn((4, 3, 96, 128), generator=generator)
        model.backbone.body.train()(x)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            noise = torch.empty_like(norm.running_mean)
            norm.running_mean += 0.3 * noise.normal_(generator=generator) * norm.running_var.sqrt()
            norm.running_var *= noise.uniform_(0.5, 1.5, generator=generator)
    return model.eval()


PUSHED = {"bbox_pred": 0.2, "cls_score": 1.2, "fpn": 0.06, "mask_fcn_logits": 0.7}
"""What random weights are multiplied by: boxes stay in the image, scores differ."""


def frozen(model, classes, kind, eps, **arguments):
    """The same weights, with norms that are constants."""
    backbone = resnet_fpn_backbone(
        backbone_name="resnet50", weights=None, norm_layer=FrozenBatchNorm2d, trainable_layers=3
    )
    make = {"faster": detection.FasterRCNN, "mask": detection.MaskRCNN}[kind]
    found = make(backbone, num_classes=classes, **arguments)
    detection._utils.overwrite_eps(found, eps)
    found.load_state_dict(model.state_dict())
    return found.eval()


def both(kind, norm="frozen", eps=1e-5, dtype=np.float32, classes=CLASSES, **arguments):
    """Our detector, its parameters and torchvision's model."""
    arguments = FEW | arguments
    model = normed(classes, kind, **arguments)
    if norm == "frozen":
        model = frozen(model, classes, kind, eps, **arguments)
    detector = MAKERS[kind](
        classes=classes, norm=norm, norm_eps=eps,
        trainable_backbone_layers=3 if norm == "frozen" else 5, **arguments,
    )  # fmt: skip
    params = {
        name: tensor.numpy().astype(dtype)
        for name, tensor in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    detector.check(params)
    return detector, params, model.to(torch.float64 if dtype == np.float64 else torch.float32)


def pictures(dtype=np.float32, sizes=SIZES):
    rng = np.random.default_rng(5)
    return [rng.uniform(size=(3, *size)).astype(dtype) for size in sizes]


def tensors(images):
    return [torch.from_numpy(image) for image in images]


def assert_near(actual, expected, tolerance, what):
    expected = expected.detach().numpy()
    assert actual.shape == expected.shape, what
    scale = max(np.abs(expected).max(initial=0), 1e-30)
    error = np.abs(actual - expected).max(initial=0) / scale
    assert error <= tolerance, f"{what}: {error:.3g} of {scale:.3g}"


def assert_same(found, expected, size, tolerance):
    """Boxes, scores, labels and masks of one image."""
    np.testing.assert_array_equal(found.labels, expected["labels"].numpy())
    assert len(found.labels) > 5
    assert_near(found.boxes, expected["boxes"], tolerance, "boxes")
    assert_near(found.scores, expected["scores"], tolerance, "scores")
    if found.masks is not None:
        pasted = boxes_.paste_masks(found.masks, found.boxes, size, threshold=None, method="resize")
        assert_near(pasted, expected["masks"][:, 0], tolerance, "masks")


@pytest.mark.parametrize(
    ("kind", "norm", "eps"),
    [("faster", "batch_norm", 1e-5), ("faster", "frozen", 0.0), ("mask", "frozen", 1e-5)],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_detections(kind, norm, eps, dtype):
    detector, params, model = both(kind, norm, eps, dtype)
    for image in pictures(dtype):
        with torch.no_grad():
            (expected,) = model(tensors([image]))
        (found,) = detector.find(params, [image])
        assert_same(found, expected, image.shape[1:], 1e-4)
        assert np.ptp(found.scores) > 0.05  # they are not all alike


def test_detections_of_a_batch():
    """Images of different sizes are padded to one."""
    images = pictures()[:3]
    detector, params, model = both("mask")
    with torch.no_grad():
        expected = model(tensors(images))
    for found, one, image in zip(detector.find(params, images), expected, images, strict=True):
        assert_same(found, one, image.shape[1:], 1e-4)
    whole = detector.detect(params, images)
    np.testing.assert_array_equal(whole[0].masks, expected[0]["masks"][:, 0].numpy() >= 0.5)


def objects(images, empty=None):
    """Boxes, labels and masks."""
    rng, found = np.random.default_rng(7), []
    for number, image in enumerate(images):
        rows, columns = image.shape[1:]
        count = 0 if number == empty else 4
        corners = rng.uniform(0, 0.6, (count, 2)) * [columns, rows]
        sides = rng.uniform(0.2, 0.4, (count, 2)) * [columns, rows]
        boxes = np.concatenate([corners, corners + sides], 1).astype(np.float32).astype(np.float64)
        y, x = np.mgrid[:rows, :columns] + 0.5
        masks = np.array(
            [
                ((x - (a + c) / 2) / (c - a)) ** 2 + ((y - (b + d) / 2) / (d - b)) ** 2 < 0.25
                for a, b, c, d in boxes
            ],
            bool,
        ).reshape(count, rows, columns)
        found.append(Instances(boxes, rng.integers(1, CLASSES, count), masks))
    return found


def targets(instances, dtype):
    return [
        {
            "boxes": torch.from_numpy(one.boxes.astype(dtype)),
            "labels": torch.from_numpy(one.labels),
            "masks": torch.from_numpy(one.masks.astype(np.uint8)),
        }
        for one in instances
    ]


def sampler(samples):
    """What takes the place of torchvision's: our samples, whatever the labels."""

    def choose(labels):
        masks = ([], [])
        for sample, of_image in zip(samples, labels, strict=True):
            for part, mask in zip(sample, masks, strict=True):
                chosen = torch.zeros(len(of_image), dtype=torch.uint8)
                chosen[torch.from_numpy(part)] = 1
                mask.append(chosen)
            assert (of_image[torch.from_numpy(sample.positive)] >= 1).all()
            assert (of_image[torch.from_numpy(sample.negative)] == 0).all()
        return masks

    return choose


def deviations(grads, expected):
    """Of each parameter, as a share of its largest number; what is nearly zero counts by that of
    all."""
    largest = max(np.abs(grad).max() for grad in expected.values())
    return [
        np.abs(grads[name] - grad).max() / max(np.abs(grad).max(), 1e-6 * largest)
        for name, grad in expected.items()
    ]


@pytest.mark.parametrize(
    ("kind", "norm", "dtype", "tolerance"),
    [
        ("faster", "frozen", np.float32, 1e-4),
        ("mask", "frozen", np.float32, 1e-4),
        ("faster", "frozen", np.float64, 1e-6),
        ("mask", "batch_norm", np.float64, 1e-6),
    ],
)
def test_a_step(kind, norm, dtype, tolerance):
    """Losses, the gradient of every parameter, running statistics; with an image of nothing.

    In float32 both gradients are off by up to a hundredth, as a relu of a deep network with random
    weights falls on the other side by a rounding: there ours are no farther from float64's."""
    detector, params, model = both(kind, norm, dtype=dtype)
    images = pictures(dtype, SIZES[:3])
    instances = objects(images, empty=1)
    losses = detector.forward(params, images, instances, seed=3)
    chosen = losses.chosen
    assert sum(len(sample.positive) for sample in chosen.regions) >= 8
    model.train()
    model.rpn.fg_bg_sampler = sampler(chosen.anchors)
    model.roi_heads.fg_bg_sampler = sampler(chosen.regions)
    seen = []
    add = model.roi_heads.add_gt_proposals

    def remembered(proposals, boxes):
        found = add(proposals, boxes)
        seen.extend(found)
        return list(found)

    model.roi_heads.add_gt_proposals = remembered
    of_peer = model(tensors(images), targets(instances, dtype))
    for ours, theirs in zip(chosen.proposals, seen, strict=True):
        assert_near(ours, theirs, tolerance, "proposals")
    assert set(losses.terms) == set(of_peer)
    for name, value in of_peer.items():
        assert abs(losses.terms[name] - value.item()) <= tolerance * abs(value.item()), name
        assert value.item() > 0.01, name
    sum(of_peer.values()).backward()
    learned = {n: p.grad for n, p in model.named_parameters() if p.requires_grad}
    assert set(detector.trainable) == set(learned)
    grads = detector.backward(losses)
    assert list(grads) == list(detector.trainable)
    theirs = {name: grad.numpy() for name, grad in learned.items()}
    if dtype is np.float64:
        assert max(deviations(grads, theirs)) <= tolerance
    else:
        proposals = [boxes.astype(np.float64) for boxes in chosen.proposals]
        exact = detector.forward(
            {name: array.astype(np.float64) for name, array in params.items()},
            [image.astype(np.float64) for image in images], instances, seed=3,
            chosen=dataclasses.replace(chosen, proposals=proposals),
        )  # fmt: skip
        truth = detector.backward(exact)
        errors, peers = deviations(grads, truth), deviations(theirs, truth)
        assert np.median(errors) <= max(np.median(peers), 1e-4)
        assert max(errors) <= max(1.5 * max(peers), 1e-4)
    buffers = dict(model.named_buffers())
    assert (norm == "frozen") == (not losses.updates)
    for name, array in losses.updates.items():
        assert_near(array, buffers[name], tolerance, name)


@pytest.mark.parametrize("kind", ["faster", "mask"])
def test_parameters(kind):
    """As many as torchvision says of its published weights, by its names."""
    make = getattr(detection, f"{kind}rcnn_resnet50_fpn")
    with torch.device("meta"):
        model = make(weights=None, weights_backbone=None)
    detector = MAKERS[kind](trainable_backbone_layers=5, norm="batch_norm")
    ours = {param.name: param.shape for param in detector.params}
    theirs = {n: tuple(t.shape) for n, t in model.state_dict().items() if t.ndim}
    assert ours == theirs
    assert set(detector.trainable) == {name for name, _ in model.named_parameters()}
    entries = getattr(
        detection, f"{kind.capitalize() if kind == 'mask' else 'Faster'}RCNN_ResNet50_FPN_Weights"
    )
    norms = {name for name in ours if name.rpartition(".")[0] + ".running_var" in ours}
    total = sum(int(np.prod(shape)) for name, shape in ours.items() if name not in norms)
    assert total == entries.COCO_V1.meta["num_params"]


@pytest.mark.parametrize("kind", ["faster", "mask"])
def test_state_dicts(kind, tmp_path):
    """There and back, and the names that published files have."""
    model = normed(3, kind)
    torch.save(model.state_dict(), tmp_path / "theirs.pth")
    name = f"{kind}rcnn_resnet50_fpn"
    detector, params = pretrained.load(name, tmp_path / "theirs.pth", classes=3, norm="batch_norm")
    weights.save(tmp_path / "ours.pth", pretrained.state_dict(detector, params))
    model.load_state_dict(torch.load(tmp_path / "ours.pth", weights_only=True))
    old = {}
    for key, tensor in model.state_dict().items():
        key = key.replace("rpn.head.conv.0.0.", "rpn.head.conv.")
        if ".fpn." in key:
            key = key.replace(".0.weight", ".weight").replace(".0.bias", ".bias")
        if "roi_heads.mask_head" in key:
            number, _, what = key.removeprefix("roi_heads.mask_head.").split(".")
            key = f"roi_heads.mask_head.mask_fcn{int(number) + 1}.{what}"
        if not key.endswith("num_batches_tracked"):
            old[key] = tensor
    torch.save(old, tmp_path / "old.pth")
    _, again = pretrained.load(name, tmp_path / "old.pth", classes=3)
    assert set(again) == set(params)
    for key, array in params.items():
        np.testing.assert_array_equal(again[key], array)
    fresh = getattr(detection, name)(weights=None, weights_backbone=None, num_classes=3)
    fresh.load_state_dict(old)  # as torchvision reads them
    for key, tensor in fresh.state_dict().items():
        torch.testing.assert_close(
            tensor, model.state_dict()[key], rtol=0, atol=0, check_dtype=True
        )
