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
