"""Networks against torchvision's, with the same random weights under the same names."""

from __future__ import annotations

import numpy as np
import pytest

from numseg import nets

torch = pytest.importorskip("torch")
models = pytest.importorskip("torchvision").models
pytestmark = pytest.mark.peers

SIZES = [(65, 97), (64, 64), (50, 81)]

CLASSIFIERS = [
    "resnet18", "resnet34", "resnet50", "resnet101", "mobilenet_v2", "mobilenet_v3_large",
]  # fmt: skip
SEGMENTERS = [
    "fcn_resnet50", "fcn_resnet101", "deeplabv3_resnet50", "deeplabv3_resnet101",
    "deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large",
]  # fmt: skip


def randomised(model):
    """Norms with statistics and weights of their own, and biases that are not zero."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, array in model.state_dict().items():
            if name.endswith("running_var") or (array.ndim == 1 and name.endswith("weight")):
                array.uniform_(0.5, 1.5, generator=generator)
            elif array.ndim == 1 and array.is_floating_point():
                array.normal_(0, 0.2, generator=generator)
    return model.eval()


def peer(name, **arguments):
    """torchvision's network; its size decides the weights that are drawn."""
    torch.manual_seed(0)
    segmenter = hasattr(models.segmentation, name)
    make = getattr(models.segmentation if segmenter else models, name)
    if segmenter:
        arguments["weights_backbone"] = None
    return randomised(make(weights=None, **arguments))


def parameters(graph, model, dtype=np.float32):
    """torchvision's, by the same names: exactly those."""
    params = {
        name: array.numpy().astype(dtype)
        for name, array in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    graph.check(params)
    return params


def images(size, batch=1, dtype=np.float32):
    return np.random.default_rng(0).normal(size=(batch, 3, *size)).astype(dtype)


def assert_near(actual, expected, rtol, what="", atol=0.0):
    """Relative to the largest of the numbers: what an error is, where sums cancel, is theirs."""
    expected = expected.detach().numpy()
    assert actual.shape == expected.shape
    error, scale = np.abs(actual - expected).max(), np.abs(expected).max()
    assert 0 < scale < np.inf, what  # not all zeros, which would agree with too much
    assert error <= rtol * scale + atol, f"{what}: {error:.3g} of {scale:.3g}"


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_logits_of_classifiers(name):
    graph, model = getattr(nets, name)(), peer(name)
    params = parameters(graph, model)
    for size in SIZES:
        x = images(size)
        with torch.no_grad():
            assert_near(graph.run(params, x), model(torch.from_numpy(x)), 1e-4, f"{name} {size}")


def segmenter(name, **arguments):
    """The graph and torchvision's network, with the auxiliary head where there is one."""
    if name.startswith("lraspp"):
        return nets.lraspp_mobilenet_v3_large(), peer(name)
    return getattr(nets, name)(aux=True, **arguments), peer(name, aux_loss=True)


def several(outputs):
    return outputs if isinstance(outputs, tuple) else (outputs,)


@pytest.mark.parametrize("name", SEGMENTERS)
def test_logits_of_segmenters(name):
    graph, model = segmenter(name)
    params = parameters(graph, model)
    for size in SIZES:
        x = images(size)
        with torch.no_grad():
            expected = model(torch.from_numpy(x))
        assert [value.source for value in graph.outputs] == list(expected)
        for actual, (head, array) in zip(
            several(graph.run(params, x)), expected.items(), strict=True
        ):
            assert_near(actual, array, 1e-4, f"{name} {size} {head}")


@pytest.mark.parametrize(
    ("name", "training"),
    [
        (name, mode)
        for name in SEGMENTERS
        for mode in (False, True)
        if not mode or "101" not in name
    ],
)
def test_gradients_of_segmenters(name, training):
    """Of a loss of all heads for every parameter, in float64: with the norms as in inference, and
    as in training, without dropout, which no two frameworks draw alike."""
    graph, model = segmenter(name, dropout=0.0)
    model.double().train(training)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    params, x = parameters(graph, model, np.float64), images((33, 49), 2, dtype=np.float64)
    labels = torch.from_numpy(np.random.default_rng(1).integers(0, 21, (2, 33, 49)))
    heads = list(model(torch.from_numpy(x)).values())
    for head in heads:
        head.retain_grad()
    loss = torch.nn.functional.cross_entropy
    sum(
        weight * loss(head, labels) for weight, head in zip((1, 0.5), heads, strict=False)
    ).backward()

    outputs, tape = graph.forward(params, x, training=training)
    for actual, head in zip(several(outputs), heads, strict=True):
        assert_near(actual, head, 1e-9, name)
    grads = graph.backward(tape, tuple(h.grad.numpy() for h in heads), needs=graph.trainable)
    learned = dict(model.named_parameters())
    assert set(grads) == set(learned)
    # what a norm takes away again has the gradient 0, but for roundings of what cancels
    rounding = 1e-14 * max(np.abs(grad).max() for grad in grads.values())
    for parameter, array in learned.items():
        assert_near(grads[parameter], array.grad, 1e-7, parameter, rounding)
    buffers = dict(model.named_buffers())
    for buffer, array in tape.updates.items():
        assert_near(array, buffers[buffer], 1e-9, buffer)
