"""deform_conv2d against torchvision and the ONNX reference."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

pytestmark = pytest.mark.peers

CONFIGURATIONS = [  # n, c, f, size, kernel, stride, padding, dilation, groups, offset groups
    (1, 1, 1, (4, 5), (1, 1), 1, 0, 1, 1, 1),
    (2, 4, 6, (7, 6), (3, 3), 1, 1, 1, 1, 1),
    (2, 4, 6, (7, 6), (3, 2), (2, 1), (1, 2), (1, 2), 2, 1),
    (1, 6, 3, (5, 9), (2, 3), (1, 2), (2, 0), (2, 1), 3, 2),
    (3, 6, 12, (6, 6), (3, 3), 2, 2, 2, 1, 6),
    (1, 5, 5, (6, 5), (3, 3), 1, 1, 1, 5, 1),
    (1, 20, 36, (17, 13), (3, 3), 1, 1, 1, 2, 4),
    (2, 3, 4, (1, 1), (3, 3), 1, 1, 1, 1, 3),
    (1, 2, 2, (1, 8), (1, 3), 1, (0, 1), 1, 1, 1),
]
each_configuration = pytest.mark.parametrize("configuration", CONFIGURATIONS)
each_mask = pytest.mark.parametrize("masked", [False, True], ids=["v1", "v2"])


def _inputs(rng, configuration, masked, draw):
    n, c, f, size, kernel, stride, padding, dilation, groups, offset_groups = configuration
    params = {"stride": stride, "padding": padding, "dilation": dilation}
    taps = offset_groups * kernel[0] * kernel[1]
    arrays = {"x": draw(n, c, *size), "weight": draw(f, c // groups, *kernel), "bias": draw(f)}
    _, _, oh, ow = ns.conv2d.output_shape(
        arrays["x"].shape, arrays["weight"].shape, **params, groups=groups
    )
    arrays["offset"] = rng.uniform(-3, 3, (n, 2 * taps, oh, ow)).astype(arrays["x"].dtype)
    arrays["mask"] = draw(n, taps, oh, ow) if masked else None
    return arrays, params


def _both(arrays, params, gy):
    """Value and gradients by name: ours, and torchvision's."""
    torch, ops = pytest.importorskip("torch"), pytest.importorskip("torchvision.ops")
    y, saved = ns.deform_conv2d.forward(**arrays, **params)
    names = [name for name in ns.deform_conv2d.inputs if arrays[name] is not None]
    gradients = dict(
        zip(ns.deform_conv2d.inputs, ns.deform_conv2d.backward(saved, gy), strict=True)
    )
    tensors = {name: torch.tensor(arrays[name], requires_grad=True) for name in names}
    theirs = ops.deform_conv2d(
        tensors["x"], tensors["offset"], tensors["weight"], tensors["bias"], **params,
        mask=tensors.get("mask"),
    )  # fmt: skip
    theirs.backward(torch.tensor(gy))
    ours = {"y": y} | {name: gradients[name] for name in names}
    return ours, {"y": theirs.detach().numpy()} | {n: t.grad.numpy() for n, t in tensors.items()}


def _shape(arrays, params):
    return ns.deform_conv2d.plan(**arrays, **params).outputs[0].shape


@each_mask
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@each_configuration
def test_torchvision(configuration, dtype, masked):
    rng = np.random.default_rng(CONFIGURATIONS.index(configuration))
    arrays, params = _inputs(
        rng, configuration, masked, lambda *shape: rng.normal(size=shape).astype(dtype)
    )
    gy = rng.normal(size=_shape(arrays, params)).astype(dtype)
    ours, theirs = _both(arrays, params, gy)
    for name, array in ours.items():
        # a sum of so many terms, and places that torchvision rounds to float32
        scale = np.abs(theirs[name]).max() + np.sqrt(arrays["weight"].size)
        bound = 50 * np.finfo(dtype).eps * scale
        np.testing.assert_allclose(array, theirs[name], rtol=0, atol=bound, err_msg=name)


@each_mask
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@each_configuration
def test_torchvision_to_the_bit_on_pixels_and_borders(configuration, dtype, masked):
    """Integers and halves: nothing is rounded, and every kink is met."""
    rng = np.random.default_rng(CONFIGURATIONS.index(configuration))
    arrays, params = _inputs(
        rng, configuration, masked, lambda *shape: rng.integers(-4, 5, shape).astype(dtype)
    )
    arrays["offset"] = np.round(2 * arrays["offset"]) / 2
    gy = rng.integers(-4, 5, _shape(arrays, params)).astype(dtype)
    ours, theirs = _both(arrays, params, gy)
    for name, array in ours.items():
        np.testing.assert_array_equal(array, theirs[name], err_msg=name)


def test_where_torchvision_differs():
    torch, ops = pytest.importorskip("torch"), pytest.importorskip("torchvision.ops")

    def theirs(x, row, column):
        offset = torch.tensor([row, column]).reshape(1, 2, 1, 1).to(x.dtype)
        return ops.deform_conv2d(x, offset, torch.ones(1, 1, 1, 1, dtype=x.dtype), stride=9)

    # at exactly -1, pixel 0 has weight 0: torchvision does not read it, numseg does
    x = np.full((1, 1, 1, 1), np.nan)
    offset = np.array([-1.0, 0.0]).reshape(1, 2, 1, 1)
    assert theirs(torch.tensor(x), -1.0, 0.0).item() == 0
    assert np.isnan(ns.deform_conv2d(x, offset, np.ones((1, 1, 1, 1)))).all()
    # in float32 the place 8 + nearly 1 is 9 for torchvision, where the slope is another
    x = (np.arange(12.0) ** 2).astype(np.float32).reshape(1, 1, 1, 12)
    offset = np.zeros((1, 2, 1, 12), np.float32)
    offset[0, 1, 0, 8] = np.nextafter(np.float32(1), np.float32(0))
    arrays = {"x": x, "offset": offset, "weight": np.ones((1, 1, 1, 1), np.float32)}
    arrays |= {"bias": np.zeros(1, np.float32), "mask": None}
    ours, theirs_ = _both(arrays, {"stride": 1, "padding": 0, "dilation": 1}, np.ones_like(x))
    assert ours["offset"][0, 1, 0, 8] == 17
    assert theirs_["offset"][0, 1, 0, 8] == 19


@each_mask
@pytest.mark.parametrize(("opset", "groups", "offset_groups"), [(19, 1, 1), (22, 2, 1), (22, 1, 2)])
def test_onnx_reference(opset, groups, offset_groups, masked):
    """On images of several rows and columns: the reference divides by their number minus 1."""
    onnx = pytest.importorskip("onnx")
    reference = pytest.importorskip("onnx.reference")
    configuration = (1, 2, 2, (4, 5), (2, 3), (1, 2), (2, 1), (2, 1), groups, offset_groups)
    rng = np.random.default_rng(opset + groups)
    arrays, params = _inputs(
        rng, configuration, masked, lambda *shape: rng.normal(size=shape).astype(np.float32)
    )
    names = ["x", "weight", "offset", "bias", *(["mask"] if masked else [])]
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    node = helper.make_node(
        *("DeformConv", names, ["y"]),
        kernel_shape=(2, 3), strides=(1, 2), pads=(2, 1, 2, 1), dilations=(2, 1),
        group=groups, offset_group=offset_groups,
    )  # fmt: skip
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info(name, floats, None) for name in names],
        [helper.make_tensor_value_info("y", floats, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    (theirs,) = reference.ReferenceEvaluator(model).run(None, {k: arrays[k] for k in names})
    y = ns.deform_conv2d(**arrays, **params)
    np.testing.assert_allclose(y, theirs, rtol=0, atol=1e-4)
