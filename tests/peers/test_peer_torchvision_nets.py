"""Networks against torchvision's, with the same random weights under the same names."""

from __future__ import annotations

import re

import numpy as np
import pytest

import numseg as ns
from numseg import nets

torch = pytest.importorskip("torch")
models = pytest.importorskip("torchvision").models
deform_conv2d = pytest.importorskip("torchvision.ops").deform_conv2d
SqueezeExcitation = pytest.importorskip("torchvision.ops.misc").SqueezeExcitation
pytestmark = pytest.mark.peers

SIZES = [(65, 97), (64, 64), (50, 81)]
LARGER = [(65, 97), (64, 64), (224, 127)]
"""For AlexNet, which takes 63 x 63 at least."""

CLASSIFIERS = [
    "resnet18", "resnet34", "resnet50", "resnet101", "mobilenet_v2", "mobilenet_v3_large",
    "alexnet", "densenet121", "efficientnet_b0", "googlenet",
]  # fmt: skip
SEGMENTERS = [
    "fcn_resnet50", "fcn_resnet101", "deeplabv3_resnet50", "deeplabv3_resnet101",
    "deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large",
]  # fmt: skip


def randomised(model):
    """Weights that let the image through (by those that some of these networks start with, only
    biases would), norms with weights of their own, and running statistics beside those of images:
    so that numbers are not all the same in every image, and none is what it is at the start. The
    weights of squeeze and excitation are less, for gates that tip over multiply roundings."""
    generator = torch.Generator().manual_seed(1)
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                torch.nn.init.kaiming_normal_(parameter, generator=generator)
                if re.search(r"\.fc[12]\.", name):
                    parameter *= 0.2
            else:
                parameter.normal_(0, 0.2, generator=generator)
        for norm in norms:
            norm.weight += 1.0
            norm.momentum = 1.0
        model.train()(torch.from_numpy(images((64, 64), 4, seed=3)))
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            noise = torch.empty_like(norm.running_mean)
            norm.running_mean += 0.3 * noise.normal_(generator=generator) * norm.running_var.sqrt()
            norm.running_var *= noise.uniform_(0.5, 1.5, generator=generator)
    return model.eval()


def peer(name, **arguments):
    """torchvision's network; its size decides the weights that are drawn."""
    if name == "googlenet":
        arguments = {"aux_logits": False, "init_weights": True, **arguments}
    torch.manual_seed(0)
    segmenter = hasattr(models.segmentation, name)
    make = getattr(models.segmentation if segmenter else models, name)
    if segmenter:
        arguments["weights_backbone"] = None
    return randomised(make(weights=None, **arguments))


def state(model, dtype):
    return {
        name: array.numpy().astype(dtype)
        for name, array in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }


def parameters(graph, model, dtype=np.float32):
    """torchvision's, by the same names: exactly those."""
    params = state(model, dtype)
    graph.check(params)
    return params


def images(size, batch=2, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).normal(size=(batch, 3, *size)).astype(dtype)


def assert_near(actual, expected, rtol, what="", atol=0.0):
    """Relative to the largest of the numbers: what an error is, where sums cancel, is theirs."""
    expected = expected.detach().numpy()
    assert actual.shape == expected.shape
    error, scale = np.abs(actual - expected).max(), np.abs(expected).max()
    assert 0 < scale < np.inf, what  # not all zeros, which would agree with too much
    assert error <= rtol * scale + atol, f"{what}: {error:.3g} of {scale:.3g}"


def assert_same_logits(actual, expected, what, rtol=1e-4):
    """They are near, and tell one image from another: by a hundred times what is allowed."""
    assert_near(actual, expected, rtol, what)
    assert np.abs(actual[0] - actual[1]).max() > 0.01 * np.abs(actual).max(), what


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_logits_of_classifiers(name):
    graph, model = getattr(nets, name)(), peer(name)
    params = parameters(graph, model)
    for size in LARGER if name == "alexnet" else SIZES:
        x = images(size)
        with torch.no_grad():
            assert_same_logits(graph.run(params, x), model(torch.from_numpy(x)), f"{name} {size}")


def test_googlenet_s_smallest_image():
    """15 x 15 leave two pixels for the last window of three."""
    model = peer("googlenet").double()
    x, graph = images((15, 16), dtype=np.float64), nets.googlenet()
    with torch.no_grad():
        expected = model(torch.from_numpy(x))
    assert_near(graph.run(parameters(graph, model, np.float64), x), expected, 1e-10)
    with pytest.raises(RuntimeError, match="too small"):
        model(torch.from_numpy(x[:, :, :14, :14]))
    with pytest.raises(ns.ArgumentError, match="takes 15 at least"):
        graph.shapes((1, 3, 14, 15))


def test_googlenet_s_auxiliary_classifiers():
    """In training, without dropout; torchvision gives them then only."""
    graph = nets.googlenet(aux=True, transform_input=True, dropout=0.0, dropout_aux=0.0)
    model = peer("googlenet", aux_logits=True, transform_input=True, dropout=0.0, dropout_aux=0.0)
    constants = {n: a for n, a in graph.init().items() if n.startswith("transform_input")}
    params = {n: array.astype(np.float64) for n, array in constants.items()}
    assert sorted(params) == ["transform_input.bias", "transform_input.weight"]
    params |= state(model.double(), np.float64)
    graph.check(params)
    x = images((64, 81), 3, np.float64)
    one = nets.googlenet(transform_input=True)
    with torch.no_grad():
        expected = model(torch.from_numpy(x))
    y = one.run({p.name: params[p.name] for p in one.params}, x)
    assert_same_logits(y, expected, "inference", 1e-5)  # the constants are float32 numbers
    expected = model.train()(torch.from_numpy(x))
    outputs, _ = graph.forward(params, x)
    names = ["logits", "aux_logits2", "aux_logits1"]
    assert [value.source for value in graph.outputs] == ["fc", "aux2.fc2", "aux1.fc2"]
    for actual, name in zip(outputs, names, strict=True):
        assert_same_logits(actual, getattr(expected, name).detach(), name, 1e-5)


def se_resnet50():
    """torchvision's ResNet-50, its SqueezeExcitation after each last norm."""
    model = models.resnet50(weights=None)
    for layer in (model.layer1, model.layer2, model.layer3, model.layer4):
        for unit in layer:
            channels = unit.bn3.num_features
            unit.se = SqueezeExcitation(channels, channels // 16)
            unit.bn3.register_forward_hook(lambda _, given, y, unit=unit: unit.se(y))
    return model


def deformable_resnet50(modulated):
    """torchvision's ResNet-50 with its deform_conv2d in the last layer."""

    class Deformable(torch.nn.Conv2d):
        def __init__(self, conv) -> None:
            size = conv.kernel_size, conv.stride, conv.padding, conv.dilation
            super().__init__(conv.in_channels, conv.out_channels, *size, bias=False)
            self.conv_offset = torch.nn.Conv2d(conv.in_channels, 18, *size)
            if modulated:
                self.conv_mask = torch.nn.Conv2d(conv.in_channels, 9, *size)

        def forward(self, x):
            mask = torch.sigmoid(self.conv_mask(x)) if modulated else None
            shape = {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}
            return deform_conv2d(x, self.conv_offset(x), self.weight, mask=mask, **shape)

    dilate = [False, False, True]
    model = models.resnet50(weights=None, replace_stride_with_dilation=dilate)
    for unit in model.layer4:
        unit.conv2 = Deformable(unit.conv2)
    return model


@pytest.mark.parametrize("which", ["se", "v1", "v2"])
def test_resnets_that_torchvision_has_the_parts_of(which):
    torch.manual_seed(0)
    if which == "se":
        graph, model = nets.se_resnet50(), randomised(se_resnet50())
    else:
        modulated = which == "v2"
        graph = nets.deformable_resnet50(modulated=modulated, output_stride=16)
        model = randomised(deformable_resnet50(modulated))
    params = parameters(graph, model)
    for size in SIZES[:2]:
        x = images(size)
        with torch.no_grad():
            assert_same_logits(graph.run(params, x), model(torch.from_numpy(x)), f"{which} {size}")


def caffe_alexnet(x, p):
    """bvlc_alexnet's prototxt, in PyTorch."""
    f = torch.nn.functional

    def conv(x, j, **shape):
        return torch.relu(f.conv2d(x, p[f"conv{j}.weight"], p[f"conv{j}.bias"], **shape))

    def linear(x, j):
        return f.linear(x, p[f"fc{j}.weight"], p[f"fc{j}.bias"])

    x = f.max_pool2d(f.local_response_norm(conv(x, 1, stride=4), 5), 3, 2)
    x = f.max_pool2d(f.local_response_norm(conv(x, 2, padding=2, groups=2), 5), 3, 2)
    x = conv(conv(x, 3, padding=1), 4, padding=1, groups=2)
    x = f.max_pool2d(conv(x, 5, padding=1, groups=2), 3, 2).flatten(1)
    return linear(torch.relu(linear(torch.relu(linear(x, 6)), 7)), 8)


def caffe_googlenet(x, p):
    """bvlc_googlenet's prototxt for images of 224 x 224, in PyTorch: all three losses' logits."""
    f = torch.nn.functional

    def conv(x, name, **shape):
        return torch.relu(f.conv2d(x, p[f"{name}.weight"], p[f"{name}.bias"], **shape))

    def linear(x, name):
        return f.linear(x, p[f"{name}.weight"], p[f"{name}.bias"])

    def pool(x):
        return f.max_pool2d(x, 3, 2, ceil_mode=True)

    def loss(x, j):
        x = conv(f.avg_pool2d(x, 5, 3), f"loss{j}/conv").flatten(1)
        return linear(torch.relu(linear(x, f"loss{j}/fc")), f"loss{j}/classifier")

    x = f.local_response_norm(pool(conv(x, "conv1/7x7_s2", stride=2, padding=3)), 5)
    x = conv(conv(x, "conv2/3x3_reduce"), "conv2/3x3", padding=1)
    x = pool(f.local_response_norm(x, 5))
    logits = []
    for name in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"):
        at = f"inception_{name}"
        x = torch.cat(
            [
                conv(x, f"{at}/1x1"),
                conv(conv(x, f"{at}/3x3_reduce"), f"{at}/3x3", padding=1),
                conv(conv(x, f"{at}/5x5_reduce"), f"{at}/5x5", padding=2),
                conv(f.max_pool2d(x, 3, 1, 1), f"{at}/pool_proj"),
            ],
            1,
        )
        if name in ("4a", "4d"):
            logits.append(loss(x, len(logits) + 1))
        if name in ("3b", "4e"):
            x = pool(x)
    return [linear(f.avg_pool2d(x, 7).flatten(1), "loss3/classifier"), *reversed(logits)]


def test_logits_of_caffe_s_networks():
    rng = np.random.default_rng(0)
    for graph, network, size in (
        (nets.alexnet(variant="paper"), caffe_alexnet, (227, 227)),
        (nets.googlenet(variant="paper", aux=True), caffe_googlenet, (224, 224)),
    ):
        params = {}
        for param in graph.params:
            scale = np.sqrt(2 / np.prod(param.shape[1:])) if len(param.shape) > 1 else 0.1
            params[param.name] = rng.normal(scale=scale, size=param.shape).astype(np.float32)
        # two contrasts, the larger so large that responses are normalised
        x = images(size) * np.float32([4, 1]).reshape(2, 1, 1, 1)
        with torch.no_grad():
            named = {name: torch.from_numpy(array) for name, array in params.items()}
            expected = network(torch.from_numpy(x), named)
        expected = expected if isinstance(expected, list) else [expected]
        for actual, array in zip(several(graph.run(params, x)), expected, strict=True):
            assert_same_logits(actual, array, network.__name__)


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
            assert_same_logits(actual, array, f"{name} {size} {head}")


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
    # PyTorch's derivative of hard_sigmoid has 1 / 6 in float32, whatever x is
    rtol = 1e-6 if "mobilenet_v3" in name else 1e-9
    # what a norm takes away again has the gradient 0, but for roundings of what cancels
    rounding = 1e-14 * max(np.abs(grad).max() for grad in grads.values())
    for parameter, array in learned.items():
        assert_near(grads[parameter], array.grad, rtol, parameter, rounding)
    buffers = dict(model.named_buffers())
    for buffer, array in tape.updates.items():
        assert_near(array, buffers[buffer], 1e-9, buffer)
