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
    given = tensors(params)
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
    for name in graph.trainable:
        theirs = given[name].grad
        limit = rtol * max(theirs.abs().max().item(), 1e-6)  # a bias before a norm has none
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
