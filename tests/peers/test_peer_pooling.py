"""The conventions of the poolings that reproduce PyTorch, ONNX Runtime and the ONNX reference."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import numseg as ns

onnx = pytest.importorskip("onnx")
reference = pytest.importorskip("onnx.reference")
runtime = pytest.importorskip("onnxruntime")
torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

NAN = float("nan")
seeds = st.integers(0, 2**32 - 1)


def model(name: str, arrays: list[Any], outputs: int, **attributes: Any) -> Any:
    """A model of one node."""
    helper = onnx.helper
    inputs = [
        helper.make_tensor_value_info(f"x{i}", helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for i, a in enumerate(arrays)
    ]
    kinds = [onnx.TensorProto.FLOAT, onnx.TensorProto.INT64][:outputs]
    results = [helper.make_tensor_value_info(f"y{i}", k, None) for i, k in enumerate(kinds)]
    node = helper.make_node(name, [i.name for i in inputs], [r.name for r in results], **attributes)
    graph = helper.make_graph([node], name, inputs, results)
    opsets = [helper.make_opsetid("", 22)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def by_reference(name: str, *arrays: Any, outputs: int = 1, **attributes: Any) -> Any:
    run = reference.ReferenceEvaluator(model(name, list(arrays), outputs, **attributes)).run
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return run(None, {f"x{i}": a for i, a in enumerate(arrays)})


def by_runtime(name: str, *arrays: Any, outputs: int = 1, **attributes: Any) -> Any:
    content = model(name, list(arrays), outputs, **attributes).SerializeToString()
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {f"x{i}": a for i, a in enumerate(arrays)})


both = pytest.mark.parametrize("onnx_run", [by_reference, by_runtime])


# -- max_pool2d -----------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("ceil", [0, 1])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation"),
    [((2, 2), (2, 2), 0, (1, 1)), ((3, 2), (2, 3), 1, (1, 1)), ((3, 3), (3, 2), 2, (1, 2))],
)
def test_onnx_indices_are_flat_over_the_whole_array(
    onnx_run, kernel, stride, padding, dilation, ceil, order
):
    if padding >= min(kernel):
        padding = min(kernel) - 1
    x = np.random.default_rng(0).normal(size=(2, 3, 7, 9)).astype(np.float32)
    values, indices = onnx_run(
        "MaxPool", x, outputs=2, kernel_shape=kernel, strides=stride, pads=[padding] * 4,
        dilations=dilation, ceil_mode=ceil, storage_order=order,
    )  # fmt: skip
    y, switches = ns.max_pool2d(
        x, kernel, stride, padding, dilation, bool(ceil), return_indices=True,
        index_layout=("nchw", "ncwh")[order],
    )  # fmt: skip
    np.testing.assert_array_equal(y, values)
    np.testing.assert_array_equal(switches, indices)


@pytest.mark.parametrize("rule", ["first", "drop"])
@given(seed=seeds)
def test_nan_in_onnx(rule, seed):
    """ONNX Runtime with indices, and the reference with strides, compare with what came first, so
    a NaN there stays; the reference without strides leaves NaN out (and fails on nothing else)."""
    x = np.random.default_rng(seed).choice([1, 2, 2, NAN, -np.inf], (1, 2, 5, 5))
    x = x.astype(np.float32)
    if rule == "drop":
        x[..., 1::2, 1::2] = 0  # a number in every window
        runs, stride = [by_reference], 1
    else:
        runs, stride = [by_reference, by_runtime], 2
    y, switches = ns.max_pool2d(
        x, 2, stride, nan=rule, return_indices=True, index_layout="nchw"
    )  # fmt: skip
    for run in runs:
        outputs = 1 + (rule == "first")  # indices of the reference are wrong without strides
        how = {"kernel_shape": (2, 2), "strides": (stride, stride)}
        found = run("MaxPool", x, outputs=outputs, **how)
        np.testing.assert_array_equal(y, found[0])
        if rule == "first":
            np.testing.assert_array_equal(switches, found[1])


@pytest.mark.parametrize("kernel", [(2, 2), (3, 1), (5, 4)])
def test_split_ties_are_those_of_amax(kernel):
    x = np.random.default_rng(0).integers(0, 3, (2, 3, 10, 8)).astype(np.float64)
    y, saved = ns.max_pool2d.forward(x, kernel, ties="split")
    gy = np.random.default_rng(1).normal(size=y.shape)
    leaf = torch.tensor(x, requires_grad=True)
    (kh, kw), (oh, ow) = kernel, y.shape[2:]
    windows = leaf[:, :, : oh * kh, : ow * kw].reshape(2, 3, oh, kh, ow, kw)
    theirs = windows.amax((3, 5))
    theirs.backward(torch.tensor(gy))
    np.testing.assert_array_equal(y, theirs.detach().numpy())
    np.testing.assert_allclose(
        ns.max_pool2d.backward(saved, gy)[0], leaf.grad.numpy(), rtol=1e-15, atol=1e-15
    )


@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 3), st.integers(1, 12))
def test_padding_beyond_half_is_that_of_onnx_runtime(kernel, stride, padding, size):
    padding = min(padding, kernel - 1)
    if kernel > size + 2 * padding:
        return
    x = np.random.default_rng(0).normal(size=(1, 1, size, size)).astype(np.float32)
    how = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [padding] * 4}
    for ceil in (False, True):
        (values,) = by_runtime("MaxPool", x, ceil_mode=int(ceil), **how)
        ours = ns.max_pool2d(x, kernel, stride, padding, ceil_mode=ceil)
        np.testing.assert_array_equal(ours, values)


# -- avg_pool2d -----------------------------------------------------------------------------------


@pytest.mark.parametrize("include", [False, True])
@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 3), st.integers(1, 12), st.booleans())
def test_divisors_are_those_of_onnx_runtime(include, kernel, stride, padding, size, ceil):
    padding = min(padding, kernel - 1)
    if kernel > size + 2 * padding:
        return
    x = np.random.default_rng(0).integers(-9, 9, (1, 1, size, size)).astype(np.float32)
    (values,) = by_runtime(
        "AveragePool", x, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[padding] * 4,
        ceil_mode=int(ceil), count_include_pad=int(include),
    )  # fmt: skip
    ours = ns.avg_pool2d(x, kernel, stride, padding, ceil, include)
    np.testing.assert_allclose(ours, values, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
def test_windows_larger_than_the_image_are_those_of_pytorch(name: str, ceil: bool):
    """Every small case: it takes what PyTorch takes, and refuses what that refuses."""
    ours, theirs = getattr(ns, name), getattr(torch.nn.functional, name)
    taken = 0
    for i, k, s, p in itertools.product(range(1, 7), range(1, 6), range(1, 5), range(3)):
        if p > k // 2:
            continue
        x = np.random.default_rng(i).normal(size=(1, 1, i, i))
        try:
            expected = theirs(torch.tensor(x), k, s, p, ceil_mode=ceil).numpy()
        except RuntimeError:  # "Output size is too small"
            with pytest.raises(ns.ArgumentError, match="the window spans"):
                ours(x, k, s, p, ceil_mode=ceil)
        else:
            found = ours(x, k, s, p, ceil_mode=ceil)
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)
            taken += k > i + 2 * p
    assert bool(taken) == ceil


# -- max_unpool2d ---------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(4, 6), (5, 6), (4, 9), (8, 8)])
def test_output_shape_in_onnx(size):
    """The two implementations of ONNX disagree on what indices speak of (onnx#2398)."""
    x = np.random.default_rng(0).normal(size=(1, 1, 4, 6)).astype(np.float32)
    y, switches = ns.max_pool2d(x, 2, return_indices=True, index_layout="nchw")
    how = {"kernel_shape": (2, 2), "strides": (2, 2)}
    shape = np.array([1, 1, *size])
    for run, rule in ((by_reference, "corner"), (by_runtime, "any")):
        (theirs,) = run("MaxUnpool", y, switches, shape, **how)
        ours = ns.max_unpool2d(
            y, switches, 2, output_size=size, index_layout="nchw", output_rule=rule
        )
        np.testing.assert_array_equal(ours, theirs)


@both
def test_indices_over_the_whole_array_and_duplicates_in_onnx(onnx_run):
    x = np.random.default_rng(0).normal(size=(2, 3, 7, 7)).astype(np.float32)
    how = {"index_layout": "nchw"}
    y, switches = ns.max_pool2d(x, 3, 2, return_indices=True, **how)
    (theirs,) = onnx_run("MaxUnpool", y, switches, kernel_shape=(3, 3), strides=(2, 2))
    np.testing.assert_array_equal(ns.max_unpool2d(y, switches, 3, 2, **how), theirs)


def test_pytorchs_gradient_goes_to_every_duplicate():
    y = np.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    switches = np.array([0, 5, 5, 7, 0, 2, 9, 15, 5]).reshape(1, 1, 3, 3)
    grad = np.arange(16.0).reshape(1, 1, 4, 4) + 1
    x, saved = ns.max_unpool2d.forward(y, switches, 2, stride=1, duplicates="torch")
    leaf = torch.tensor(y, requires_grad=True)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # on several it is a race which of the repeated values stays
    theirs = torch.nn.functional.max_unpool2d(leaf, torch.tensor(switches), 2, stride=1)
    torch.set_num_threads(threads)
    theirs.backward(torch.tensor(grad))
    np.testing.assert_array_equal(x, theirs.detach().numpy())
    np.testing.assert_array_equal(ns.max_unpool2d.backward(saved, grad)[0], leaf.grad.numpy())


def test_the_sum_is_scatter_add():
    rng = np.random.default_rng(0)
    y, switches = rng.integers(-9, 9, (2, 3, 4, 4)).astype(float), rng.integers(0, 25, (2, 3, 4, 4))
    zeros = torch.zeros(2, 3, 25, dtype=torch.float64)
    flat = torch.tensor(switches).flatten(2), torch.tensor(y).flatten(2)
    theirs = zeros.scatter_add(2, *flat).reshape(2, 3, 5, 5)
    ours = ns.max_unpool2d(y, switches, 2, 1, duplicates="sum")
    np.testing.assert_array_equal(ours, theirs.numpy())


# -- bed_of_nails2d -------------------------------------------------------------------------------


def test_a_bed_of_nails_is_a_transposed_convolution_with_one_1():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    nail = torch.zeros(3, 1, 2, 3, dtype=torch.float64)
    nail[:, :, 0, 0] = 1
    theirs = torch.nn.functional.conv_transpose2d(torch.tensor(x), nail, stride=(2, 3), groups=3)
    np.testing.assert_array_equal(ns.bed_of_nails2d(x, (2, 3)), theirs.numpy())


# -- col2im ---------------------------------------------------------------------------------------


@both
def test_col2im_in_onnx(onnx_run):
    image, kernel = (7, 6), (3, 2)
    how = {"stride": (2, 1), "padding": (1, 0, 2, 1), "dilation": (1, 2)}
    x = np.random.default_rng(0).normal(size=(2, 3, *image)).astype(np.float32)
    columns = ns.im2col(x, kernel, **how)
    top, bottom, left, right = how["padding"]
    (theirs,) = onnx_run(
        "Col2Im", columns, np.array(image), np.array(kernel), strides=how["stride"],
        pads=(top, left, bottom, right), dilations=how["dilation"],
    )  # fmt: skip
    np.testing.assert_allclose(ns.col2im(columns, image, kernel, **how), theirs, rtol=1e-6)
