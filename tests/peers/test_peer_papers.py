"""VGG against torchvision; FCN, SegNet, FRRN and others against the same networks in PyTorch,
written from the papers without a look at numseg's; with the same parameters."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from numseg import nets

sys.path.insert(0, str(Path(__file__).parent.parent / "nets"))
import whole

torch = pytest.importorskip("torch")
F = torch.nn.functional
pytestmark = pytest.mark.peers


def tensors(params):
    return {name: torch.from_numpy(array) for name, array in params.items()}


def close(ours, theirs, rtol=1e-4):
    """To ``rtol`` of the largest."""
    expected = theirs.detach().numpy()
    assert ours.shape == expected.shape
    limit = rtol * np.abs(expected).max()
    assert limit > 0
    np.testing.assert_allclose(ours, expected, rtol=0, atol=limit)


def same_gradients(graph, params, x, forward, training=True, rtol=1e-9):
    """Values, gradients of all that is trainable, and new running statistics, in float64.

    ``forward(p, x)`` is the network in PyTorch, of tensors by name; it replaces running statistics.
    """
    given = {name: tensor.clone() for name, tensor in tensors(params).items()}
    for name in graph.trainable:
        given[name].requires_grad_()
    image = torch.from_numpy(x).requires_grad_()
    expected = forward(given, image)
    y, tape = graph.forward(params, x, training=training)
    close(y, expected, rtol)
    grad_y = np.random.default_rng(1).normal(size=y.shape)
    expected.backward(torch.from_numpy(grad_y))
    grads = graph.backward(tape, grad_y)
    close(grads["x"], image.grad, rtol)
    largest = max(given[name].grad.abs().max().item() for name in graph.trainable)
    for name in graph.trainable:
        theirs = given[name].grad
        limit = rtol * max(theirs.abs().max().item(), 1e-3 * largest)  # a norm takes a bias's away
        np.testing.assert_allclose(grads[name], theirs.numpy(), rtol=0, atol=limit, err_msg=name)
    for name, update in tape.updates.items():
        close(update, given[name], rtol)


# -- VGG --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["vgg16", "vgg16_bn"])
def test_vgg(name: str):
    models = pytest.importorskip("torchvision.models")
    graph = getattr(nets, name)(classes=10)
    params = whole.parameters(graph, dtype=np.float32)
    with torch.device("meta"):
        model = getattr(models, name)(num_classes=10, init_weights=False)
    found = model.load_state_dict(tensors(params), strict=False, assign=True)
    assert found.unexpected_keys == []
    assert {key.rsplit(".", 1)[-1] for key in found.missing_keys} <= {"num_batches_tracked"}
    model.eval()
    for size in ((224, 224), (97, 163), (256, 33)):
        x = whole.image(size, batch=1, dtype=np.float32)
        with torch.no_grad():
            close(graph.run(params, x), model(torch.from_numpy(x)))


# -- FCN --------------------------------------------------------------------------------------


def fcn_8s(at_once: bool):
    def forward(p, x):
        h, pools = x, {}
        for level, count in ((1, 2), (2, 2), (3, 3), (4, 3), (5, 3)):
            for j in range(1, count + 1):
                name = f"conv{level}_{j}"
                pad = 100 if name == "conv1_1" else 1
                h = torch.relu(F.conv2d(h, p[f"{name}.weight"], p[f"{name}.bias"], padding=pad))
            h = pools[level] = F.max_pool2d(h, 2, 2, ceil_mode=True)
        for name in ("fc6", "fc7"):
            h = torch.relu(F.conv2d(h, p[f"{name}.weight"], p[f"{name}.bias"]))

        def score(name, h):
            return F.conv2d(h, p[f"{name}.weight"], p[f"{name}.bias"])

        def cut(h, like, at):
            return h[:, :, at : at + like.shape[2], at : at + like.shape[3]]

        scales = {4: 0.01, 3: 0.0001} if at_once else {4: 1.0, 3: 1.0}
        h = F.conv_transpose2d(score("score_fr", h), p["upscore2.weight"], stride=2)
        h = h + cut(score("score_pool4", pools[4] * scales[4]), h, 5)
        h = F.conv_transpose2d(h, p["upscore_pool4.weight"], stride=2)
        h = h + cut(score("score_pool3", pools[3] * scales[3]), h, 9)
        return cut(F.conv_transpose2d(h, p["upscore8.weight"], stride=8), x, 31)

    return forward


@pytest.mark.parametrize("at_once", [False, True])
def test_fcn_8s(at_once: bool):
    graph = nets.fcn8s(3, 5, width=4, dropout=0, at_once=at_once)
    params = whole.parameters(graph)
    same_gradients(graph, params, whole.image((37, 50), batch=1), fcn_8s(at_once))
    params = whole.parameters(graph, dtype=np.float32)
    for size in ((64, 64), (33, 71), (1, 90)):
        x = whole.image(size, dtype=np.float32)
        with torch.no_grad():
            close(graph.run(params, x), fcn_8s(at_once)(tensors(params), torch.from_numpy(x)))


# -- SegNet -----------------------------------------------------------------------------------


def norm(p, name, h, training):
    """Batch normalisation; running statistics in place, where p holds them without a gradient."""
    mean, var = p[f"{name}.running_mean"], p[f"{name}.running_var"]
    return F.batch_norm(h, mean, var, p[f"{name}.weight"], p[f"{name}.bias"], training)


def segnet(training: bool):
    convs = {1: 2, 2: 2, 3: 3, 4: 3, 5: 3}

    def forward(p, x):
        def conv(name, h):
            h = F.conv2d(h, p[f"{name}.weight"], p[f"{name}.bias"], padding=1)
            return torch.relu(norm(p, f"{name}_bn", h, training))

        h, switches = x, []
        for level, count in convs.items():
            for j in range(1, count + 1):
                h = conv(f"conv{level}_{j}", h)
            size = h.shape[2:]
            h, indices = F.max_pool2d(h, 2, 2, ceil_mode=True, return_indices=True)
            switches.append((size, indices))
        for level, count in reversed(convs.items()):
            size, indices = switches.pop()
            h = F.max_unpool2d(h, indices, 2, 2, output_size=size)
            for j in range(count, 0, -1):
                if (level, j) == (1, 1):
                    return F.conv2d(h, p["conv1_1_D.weight"], p["conv1_1_D.bias"], padding=1)
                h = conv(f"conv{level}_{j}_D", h)

    return forward


def test_segnet():
    graph = nets.segnet(3, 4, width=4)
    same_gradients(graph, whole.parameters(graph), whole.image((45, 60)), segnet(True))
    params = whole.parameters(graph, dtype=np.float32)
    for size in ((48, 64), (37, 90), (17, 33)):
        x = whole.image(size, dtype=np.float32)
        with torch.no_grad():
            close(graph.run(params, x), segnet(False)(tensors(params), torch.from_numpy(x)))


# -- FRRN -------------------------------------------------------------------------------------

FRRN_A = [(2, 3), (4, 4), (8, 2), (16, 2)], [(8, 2), (4, 2), (2, 2)]
FRRN_B = (
    [*FRRN_A[0], (32, 2)],
    [(16, 2), *FRRN_A[1]],
)


def frrn(down, up, training: bool):
    """By table 1 and figure 2 of the paper; channels are in the weights."""

    def forward(p, x):
        def conv(name, h, relu=True):
            weight = p[f"{name}.weight"]
            h = F.conv2d(h, weight, padding=weight.shape[-1] // 2)
            h = norm(p, f"{name}.norm", h, training)
            return torch.relu(h) if relu else h

        def unit(name, h):
            skip = F.conv2d(h, p[f"{name}.skip.weight"]) if f"{name}.skip.weight" in p else h
            return skip + conv(f"{name}.conv2", conv(f"{name}.conv1", h), relu=False)

        def full(name, y, z, scale):
            y = torch.cat([y, F.max_pool2d(z, scale)], 1)
            y = conv(f"{name}.conv2", conv(f"{name}.conv1", y))
            back = F.conv2d(y, p[f"{name}.back.weight"], p[f"{name}.back.bias"])
            return y, z + back.repeat_interleave(scale, 2).repeat_interleave(scale, 3)

        y = conv("conv", x)
        for j in (1, 2, 3):
            y = unit(f"ru{j}", y)
        z = conv("split", y, relu=False)
        for scale, units in down:
            y = F.max_pool2d(y, 2)
            for j in range(units):
                y, z = full(f"down{scale}.frru{j + 1}", y, z, scale)
        for scale, units in up:
            y = F.interpolate(y, scale_factor=2, mode="bilinear")
            for j in range(units):
                y, z = full(f"up{scale}.frru{j + 1}", y, z, scale)
        y = torch.cat([F.interpolate(y, scale_factor=2, mode="bilinear"), z], 1)
        for j in (4, 5, 6):
            y = unit(f"ru{j}", y)
        return F.conv2d(y, p["score.weight"], p["score.bias"])

    return forward


@pytest.mark.parametrize("which", ["a", "b"])
def test_frrn(which: str):
    graph = (nets.frrn_a if which == "a" else nets.frrn_b)(3, 4, width=4, lanes=3)
    down, up = FRRN_A if which == "a" else FRRN_B
    same_gradients(
        graph, whole.parameters(graph), whole.image((64, 32)), frrn(down, up, True), rtol=1e-8
    )
    params = whole.parameters(graph, dtype=np.float32)
    for size in ((64, 96), (32, 32), (96, 160)):
        x = whole.image(size, dtype=np.float32)
        with torch.no_grad():
            theirs = frrn(down, up, False)(tensors(params), torch.from_numpy(x))
        close(graph.run(params, x), theirs)


# -- DeconvNet --------------------------------------------------------------------------------


def deconvnet(p, x):
    """In inference."""
    convs = {1: 2, 2: 2, 3: 3, 4: 3, 5: 3}

    def layer(name, norm_name, h, padding):
        transposed = "deconv" in name
        function = F.conv_transpose2d if transposed else F.conv2d
        h = function(h, p[f"{name}.weight"], p[f"{name}.bias"], padding=padding)
        return torch.relu(norm(p, norm_name, h, False))

    h, switches = x, []
    for level, count in convs.items():
        for j in range(1, count + 1):
            h = layer(f"conv{level}_{j}", f"bn{level}_{j}", h, 1)
        size = h.shape[2:]
        h, indices = F.max_pool2d(h, 2, 2, ceil_mode=True, return_indices=True)
        switches.append((size, indices))
    h = layer("fc7", "bnfc7", layer("fc6", "bnfc6", h, 0), 0)
    h = layer("fc6-deconv", "fc6-deconv-bn", h, 0)
    for level, count in reversed(convs.items()):
        size, indices = switches.pop()
        h = F.max_unpool2d(h, indices, 2, 2, output_size=size)
        for j in range(1, count + 1):
            h = layer(f"deconv{level}_{j}", f"debn{level}_{j}", h, 1)
    return F.conv2d(h, p["seg-score-voc.weight"], p["seg-score-voc.bias"])


def test_deconvnet():
    graph = nets.deconvnet(3, 4, width=2)
    x = whole.image((224, 193), batch=1)
    same_gradients(graph, whole.parameters(graph), x, deconvnet, training=False)
    params = whole.parameters(graph, dtype=np.float32)
    x = whole.image((224, 225), dtype=np.float32)
    with torch.no_grad():
        close(graph.run(params, x), deconvnet(tensors(params), torch.from_numpy(x)))


# -- DeepLab ----------------------------------------------------------------------------------


def vgg_at_stride_8(p, x):
    h = x
    for level, count in ((1, 2), (2, 2), (3, 3), (4, 3), (5, 3)):
        rate = 2 if level == 5 else 1
        for j in range(1, count + 1):
            name = f"conv{level}_{j}"
            h = F.conv2d(h, p[f"{name}.weight"], p[f"{name}.bias"], padding=rate, dilation=rate)
            h = torch.relu(h)
        h = F.max_pool2d(h, 3, 2 if level < 4 else 1, 1)
    return h


def hidden(p, h, rate, branch=""):
    name = f"fc6{branch}"
    h = F.conv2d(h, p[f"{name}.weight"], p[f"{name}.bias"], padding=rate, dilation=rate)
    name = f"fc7{branch}"
    h = F.conv2d(torch.relu(h), p[f"{name}.weight"], p[f"{name}.bias"])
    name = f"fc8_voc12{branch}"
    return F.conv2d(torch.relu(h), p[f"{name}.weight"], p[f"{name}.bias"])


def to_size(h, size):
    return F.interpolate(h, size=tuple(size), mode="bilinear", align_corners=True)


def deeplab_v1(p, x):
    h = F.avg_pool2d(vgg_at_stride_8(p, x), 3, 1, 1)
    return to_size(hidden(p, h, 12), x.shape[2:])


def deeplab_v2(score):
    """Three scales of the image, (n - 1) * scale + 1 pixels each."""

    def forward(p, x):
        best = score(p, x)
        for scale in (0.75, 0.5):
            size = [int((n - 1) * scale) + 1 for n in x.shape[2:]]
            best = torch.maximum(best, to_size(score(p, to_size(x, size)), best.shape[2:]))
        return to_size(best, x.shape[2:])

    return forward


def aspp_of_vgg(p, x):
    h = vgg_at_stride_8(p, x)
    return sum(hidden(p, h, rate, f"_{j}") for j, rate in enumerate((6, 12, 18, 24), 1))


def aspp_of_resnet(p, x):
    def conv(name, norm_name, h, relu=True, **others):
        h = F.conv2d(h, p[f"{name}.weight"], **others)
        bn, scale = f"bn{norm_name}", f"scale{norm_name}"
        h = F.batch_norm(h, p[f"{bn}.running_mean"], p[f"{bn}.running_var"],
                         p[f"{scale}.weight"], p[f"{scale}.bias"], False)  # fmt: skip
        return torch.relu(h) if relu else h

    h = F.max_pool2d(conv("conv1", "_conv1", x, stride=2, padding=3), 3, 2, 1)
    stages = {
        "2": ["a", "b", "c"],
        "3": ["a", "b1", "b2", "b3"],
        "4": ["a", *(f"b{j}" for j in range(1, 23))],
        "5": ["a", "b", "c"],
    }
    for stage, places in stages.items():
        rate = {"4": 2, "5": 4}.get(stage, 1)
        for place in places:
            name = f"{stage}{place}"
            stride = 2 if name == "3a" else 1
            y = conv(f"res{name}_branch2a", f"{name}_branch2a", h, stride=stride)
            y = conv(f"res{name}_branch2b", f"{name}_branch2b", y, padding=rate, dilation=rate)
            y = conv(f"res{name}_branch2c", f"{name}_branch2c", y, relu=False)
            if place == "a":
                h = conv(f"res{name}_branch1", f"{name}_branch1", h, relu=False, stride=stride)
            h = torch.relu(h + y)
    return sum(
        F.conv2d(h, p[f"fc1_voc12_c{j}.weight"], p[f"fc1_voc12_c{j}.bias"], padding=r, dilation=r)
        for j, r in enumerate((6, 12, 18, 24))
    )


DEEPLAB = {
    "v1": (lambda **o: nets.deeplabv1_vgg16(3, 4, dropout=0, **o), deeplab_v1),
    "v2": (
        lambda **o: nets.deeplabv2_vgg16(3, 4, dropout=0, scales=(1, 0.75, 0.5), **o),
        deeplab_v2(aspp_of_vgg),
    ),
    "resnet": (
        lambda **o: nets.deeplabv2_resnet101(3, 4, scales=(1, 0.75, 0.5), **o),
        deeplab_v2(aspp_of_resnet),
    ),
}


@pytest.mark.parametrize("which", DEEPLAB)
def test_deeplab(which: str):
    make, theirs = DEEPLAB[which]
    graph = make(width=2)
    # a hundred layers of random norms: rounding grows
    rtol = 1e-6 if which == "resnet" else 1e-9
    same_gradients(graph, whole.parameters(graph), whole.image((65, 33)), theirs, rtol=rtol)
    params = whole.parameters(graph, dtype=np.float32)
    for size in ((97, 65), (1, 33)):
        x = whole.image(size, dtype=np.float32)
        with torch.no_grad():
            close(graph.run(params, x), theirs(tensors(params), torch.from_numpy(x)))


def deeplab_v3plus(p, x):
    """In inference, output stride 16, as the authors' TensorFlow code has it."""

    def normed(name, h, eps=1e-5):
        mean, var = p[f"{name}.norm.running_mean"], p[f"{name}.norm.running_var"]
        scale, shift = p[f"{name}.norm.weight"], p[f"{name}.norm.bias"]
        return F.batch_norm(h, mean, var, scale, shift, False, eps=eps)

    def conv(name, h, stride=1, eps=1e-5):
        weight = p[f"{name}.weight"]
        h = F.conv2d(h, weight, stride=stride, padding=weight.shape[-1] // 2)
        return normed(name, h, eps)

    def separable(name, h, stride=1, rate=1, inside=True, eps=1e-5):
        weight = p[f"{name}.depthwise.weight"]
        h = F.conv2d(h, weight, stride=stride, padding=rate, dilation=rate, groups=len(weight))
        h = normed(f"{name}.depthwise", h, eps)
        h = conv(f"{name}.pointwise", torch.relu(h) if inside else h, eps=eps)
        return torch.relu(h) if inside else h

    def block(name, h, stride, rate=1, skip="conv"):
        y = h
        outputs = []
        for j in (1, 2, 3):
            y = y if skip is None else torch.relu(y)
            step = stride if j == 3 else 1
            y = separable(f"{name}.separable_conv{j}", y, step, rate, skip is None, 1e-3)
            outputs.append(y)
        if skip == "conv":
            y = y + conv(f"{name}.shortcut", h, stride, 1e-3)
        elif skip == "sum":
            y = y + h
        return y, outputs[1]

    h = torch.relu(conv("entry_flow.conv1_1", x, 2, 1e-3))
    h = torch.relu(conv("entry_flow.conv1_2", h, 1, 1e-3))
    h, _ = block("entry_flow.block1", h, 2)
    h, low = block("entry_flow.block2", h, 2)
    h, _ = block("entry_flow.block3", h, 2)
    for j in (1, 2):
        h, _ = block(f"middle_flow.unit{j}", h, 1, skip="sum")
    h, _ = block("exit_flow.block1", h, 1)
    h, _ = block("exit_flow.block2", h, 1, 2, None)
    branches = [torch.relu(conv("image_pooling", h.mean((2, 3), keepdim=True)))]
    branches = [branches[0].expand(-1, -1, *h.shape[2:]), torch.relu(conv("aspp0", h))]
    branches += [separable(f"aspp{j}", h, rate=6 * j) for j in (1, 2, 3)]
    h = torch.relu(conv("concat_projection", torch.cat(branches, 1)))
    low = torch.relu(conv("decoder.feature_projection0", low))
    h = torch.cat([to_size(h, low.shape[2:]), low], 1)
    h = separable("decoder.decoder_conv1", separable("decoder.decoder_conv0", h))
    return to_size(F.conv2d(h, p["logits.weight"], p["logits.bias"]), x.shape[2:])


def test_deeplab_v3plus():
    graph = nets.deeplabv3plus_xception65(3, 4, width=4, middle=2, dropout=0)
    params, x = whole.parameters(graph), whole.image((65, 49))
    same_gradients(graph, params, x, deeplab_v3plus, training=False, rtol=1e-8)
    params = whole.parameters(graph, dtype=np.float32)
    for size in ((65, 97), (50, 71)):
        x = whole.image(size, dtype=np.float32)
        with torch.no_grad():
            close(graph.run(params, x), deeplab_v3plus(tensors(params), torch.from_numpy(x)))
