"""separable_conv2d against PyTorch's two convolutions."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

torch = pytest.importorskip("torch")
functional = torch.nn.functional
pytestmark = pytest.mark.peers


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")  # it pads a copy
@pytest.mark.parametrize("biases", [(), ("bias",), ("bias", "depthwise_bias")], ids=len)
@pytest.mark.parametrize("multiplier", [1, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("kernel", "how"),
    [
        ((3, 3), {"stride": 1, "padding": 1, "dilation": 1}),
        ((3, 3), {"stride": 2, "padding": 1, "dilation": 1}),
        ((2, 3), {"stride": (1, 2), "padding": (2, 0), "dilation": (2, 1)}),
        ((4, 3), {"stride": 1, "padding": "same", "dilation": (1, 2)}),
    ],
)
def test_pytorch(kernel, how, dtype, multiplier, biases):
    rng = np.random.default_rng([kernel[0], multiplier, len(biases)])
    c, f = 5, 7
    shapes = {"x": (2, c, 9, 8), "depthwise_weight": (c * multiplier, 1, *kernel)}
    shapes |= {
        "pointwise_weight": (f, c * multiplier, 1, 1),
        "bias": (f,),
        "depthwise_bias": (c * multiplier,),
    }
    names = ["x", "depthwise_weight", "pointwise_weight", *biases]
    arrays = {name: rng.normal(size=shapes[name]).astype(dtype) for name in names}
    y, saved = ns.separable_conv2d.forward(**arrays, **how)
    leaves = {name: torch.tensor(array, requires_grad=True) for name, array in arrays.items()}
    z = functional.conv2d(
        leaves["x"], leaves["depthwise_weight"], leaves.get("depthwise_bias"), **how, groups=c
    )
    theirs = functional.conv2d(z, leaves["pointwise_weight"], leaves.get("bias"))
    bound = 200 * np.finfo(dtype).eps
    np.testing.assert_allclose(y, theirs.detach().numpy(), rtol=bound, atol=bound)
    gy = rng.normal(size=y.shape).astype(dtype)
    theirs.backward(torch.tensor(gy))
    gradients = ns.separable_conv2d.backward(saved, gy)
    for name, gradient in zip(ns.separable_conv2d.differentiable, gradients, strict=True):
        assert (gradient is None) == (name not in leaves)
        if name in leaves:
            wanted = leaves[name].grad.numpy()
            scale = np.abs(wanted).max()
            np.testing.assert_allclose(gradient, wanted, rtol=0, atol=bound * scale, err_msg=name)
