"""Pooling, unpooling, upsampling, padding and cropping against PyTorch and torchvision."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import numseg as ns
from numseg.testing import cases

torch = pytest.importorskip("torch")
functional = torch.nn.functional
pytestmark = pytest.mark.peers

EDGES = np.array([0.0, -0.0, 1, 1, 2, -1, np.nan, np.inf, -np.inf, -np.inf])
seeds = st.integers(0, 2**32 - 1)


def gradient(call, x, grad):
    """PyTorch's gradient of ``call(x)`` for ``grad``, and the value."""
    leaf = torch.tensor(x, requires_grad=True)
    value = call(leaf)
    return value.detach().numpy(), torch.autograd.grad(value, leaf, torch.tensor(grad))[0].numpy()


@st.composite
def pooling(draw):
    """A valid case of max_pool2d, on an image with pixels, with padding that PyTorch takes: the
    same on both sides, and half the kernel at most however dilated."""
    case = draw(cases.strategy(ns.max_pool2d))
    padding = zip(case.params["padding"][::2], case.params["kernel_size"], strict=True)
    n, c, h, w = case.arrays["x"]
    spans = [
        d * (k - 1) + 1
        for d, k in zip(case.params["dilation"], case.params["kernel_size"], strict=True)
    ]
    size = [max(i, s, 1) for i, s in zip((h, w), spans, strict=True)]
    params = case.params | {"padding": tuple(min(p, k // 2) for p, k in padding)}
    theirs = "kernel_size", "stride", "padding", "dilation", "ceil_mode"
    params = {name: params[name] for name in theirs}
    return (max(n, 1), max(c, 1), *size), params


@given(pooling(), seeds)
def test_max_pool2d_has_the_same_bits(case, seed):
    shape, params = case
    x = np.random.default_rng(seed).choice(EDGES, shape)
    y, switches = ns.max_pool2d(x, **params, return_indices=True)
    theirs, indices = functional.max_pool2d(torch.tensor(x), **params, return_indices=True)
    np.testing.assert_array_equal(y, theirs.numpy())
    np.testing.assert_array_equal(np.signbit(y), np.signbit(theirs.numpy()))
    np.testing.assert_array_equal(switches, indices.numpy())


@given(pooling(), seeds)
def test_max_pool2d_has_the_same_gradient(case, seed):
    shape, params = case
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 4, shape).astype(np.float32)  # with ties
    y, saved = ns.max_pool2d.forward(x, **params)
    grad = rng.standard_normal(y.shape).astype(np.float32)
    _, theirs = gradient(lambda t: functional.max_pool2d(t, **params), x, grad)
    np.testing.assert_array_equal(ns.max_pool2d.backward(saved, grad)[0], theirs)


@pytest.fixture
def one_thread():
    """PyTorch's unpooling is a race between threads where switches repeat."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
def test_max_unpool2d_has_the_same_value_but_its_own_gradient():
    y = np.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    switches = np.array([0, 5, 5, 7, 0, 2, 9, 15, 5]).reshape(1, 1, 3, 3)
    grad = np.arange(16.0).reshape(1, 1, 4, 4) + 1
    x, saved = ns.max_unpool2d.forward(y, switches, 2, stride=1)
    theirs, their_grad = gradient(
        lambda t: functional.max_unpool2d(t, torch.tensor(switches), 2, stride=1), y, grad
    )
    np.testing.assert_array_equal(x, theirs)
    gy = ns.max_unpool2d.backward(saved, grad)[0]
    stays = np.array([0, 0, 0, 1, 1, 1, 1, 1, 1]).reshape(gy.shape)  # 0 and 5 come again later
    np.testing.assert_array_equal(their_grad, grad.ravel()[switches])
    np.testing.assert_array_equal(gy, their_grad * stays)


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(2, 2, 0), (3, 2, 1), (3, 3, 0)])
def test_max_unpool2d_takes_the_same_output_sizes(kernel, stride, padding):
    y, switches = np.ones((1, 1, 3, 3)), np.zeros((1, 1, 3, 3), np.int64)
    usual = ns.max_unpool2d(y, switches, kernel, stride, padding).shape[2]
    taken = []
    for size in range(usual - stride - 1, usual + stride + 2):
        try:
            theirs = functional.max_unpool2d(
                torch.tensor(y), torch.tensor(switches), kernel, stride, padding, (size, size)
            )
        except ValueError:
            with pytest.raises(ns.ArgumentError, match=f"output_size has {size} rows"):
                ns.max_unpool2d(y, switches, kernel, stride, padding, size)
        else:
            taken.append(size)
            ours = ns.max_unpool2d(y, switches, kernel, stride, padding, size)
            np.testing.assert_array_equal(ours, theirs.numpy())
    assert taken == list(range(usual - stride + 1, usual + stride))


@given(pooling(), st.booleans(), st.none() | st.integers(1, 5), seeds)
def test_avg_pool2d_counts_the_same_pixels(case, include, divisor, seed):
    shape, params = case
    params = params | {"count_include_pad": include, "divisor_override": divisor}
    del params["dilation"]
    rng = np.random.default_rng(seed)
    x = rng.integers(-9, 10, shape).astype(np.float32)
    y, saved = ns.avg_pool2d.forward(x, **params)
    grad = rng.integers(-9, 10, y.shape).astype(np.float32)
    theirs, their_grad = gradient(lambda t: functional.avg_pool2d(t, **params), x, grad)
    np.testing.assert_array_equal(y, theirs)
    np.testing.assert_allclose(
        ns.avg_pool2d.backward(saved, grad)[0], their_grad, rtol=1e-5, atol=1e-5
    )


def nearest(x, *size, **factor):
    return functional.interpolate(torch.tensor(x), *size, **factor, mode="nearest").numpy()


def test_upsample_nearest2d_differs_only_where_float32_is_not_exact():
    """As the docstring says: 200 pairs of sizes, one pixel before where the value is an integer."""
    pairs = 0
    for i in range(1, 65):
        x = np.arange(i, dtype=np.float32).reshape(1, 1, 1, i)
        for o in range(1, 200):
            ours = ns.upsample_nearest2d(x, (1, o)).ravel()
            theirs = nearest(x, (1, o)).ravel()
            differ = np.flatnonzero(ours != theirs)
            pairs += len(differ) > 0
            assert (theirs[differ] == ours[differ] - 1).all()
            assert (differ * i % o == 0).all()
    assert pairs == 200


@pytest.mark.parametrize("i", [1, 2, 3, 5, 8, 13])
def test_upsample_nearest2d_by_factor(i):
    x = np.arange(i, dtype=np.float32).reshape(1, 1, 1, i)
    for factor in (*np.arange(0.5, 4, 0.1).tolist(), 1 / 3, 2 / 3, 4 / 3, 4.0, 5.125):
        if math.floor(i * factor) == 0:
            continue
        ours = ns.upsample_nearest2d(x, scale_factor=(1.0, factor)).ravel()
        theirs = nearest(x, scale_factor=(1.0, factor)).ravel()
        assert ours.shape == theirs.shape
        for o in np.flatnonzero(ours != theirs):
            # only where o / factor is an integer, but for rounding
            assert abs(o / factor - round(o / factor)) < 1e-6
            assert abs(ours[o] - theirs[o]) == 1


@given(st.integers(1, 9), st.integers(1, 30), st.integers(1, 9), st.integers(1, 30), seeds)
def test_upsample_nearest2d_has_the_same_gradient(h, oh, w, ow, seed):
    x = np.zeros((1, 2, h, w))
    _, saved = ns.upsample_nearest2d.forward(x, (oh, ow))
    grad = np.random.default_rng(seed).integers(-9, 10, (1, 2, oh, ow)).astype(float)
    _, theirs = gradient(
        lambda t: functional.interpolate(t, (oh, ow), mode="nearest"), x, grad
    )  # sizes so small are exact in PyTorch too
    np.testing.assert_array_equal(ns.upsample_nearest2d.backward(saved, grad)[0], theirs)


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.tuples(st.integers(1, 20), st.integers(1, 20))
    | st.tuples(st.floats(1, 4), st.sampled_from([1.0, 1.1, 1.5, 2.0, 2.5])),
    seeds,
)
def test_upsample_bilinear2d(align, dtype, image, to, seed):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (2, 1, *image)).astype(dtype)
    kwargs = {"size" if isinstance(to[0], int) else "scale_factor": to, "align_corners": align}
    y, saved = ns.upsample_bilinear2d.forward(x, **kwargs)
    grad = rng.uniform(-1, 1, y.shape).astype(dtype)
    theirs, their_grad = gradient(
        lambda t: functional.interpolate(t, mode="bilinear", **kwargs), x, grad
    )
    bound = 40 * np.finfo(dtype).eps  # PyTorch's positions have an error of eps * size
    np.testing.assert_allclose(y, theirs, rtol=0, atol=bound)
    gx = ns.upsample_bilinear2d.backward(saved, grad)[0]
    np.testing.assert_allclose(gx, their_grad, rtol=0, atol=bound * grad[0].size)


@given(
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    st.tuples(*[st.integers(-2, 3)] * 4),
    st.sampled_from([0.0, 1.5, -math.inf]),
)
def test_pad_takes_the_sides_in_another_order(image, sides, value):
    x = np.arange(float(2 * math.prod(image))).reshape(1, 2, *image)
    top, bottom, left, right = sides
    if any(
        i + before + after < 1 or min(i + before, i + after) < 0
        for i, before, after in ((image[0], top, bottom), (image[1], left, right))
    ):
        return  # PyTorch refuses
    theirs = functional.pad(torch.tensor(x), (left, right, top, bottom), value=value)
    np.testing.assert_array_equal(ns.pad(x, sides, value), theirs.numpy())


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_concat(axis):
    x = np.arange(24.0).reshape(1, 2, 3, 4)
    parts = [x, x[..., :] + 24, -x]
    theirs = torch.cat([torch.tensor(part) for part in parts], axis)
    np.testing.assert_array_equal(ns.concat(parts, axis), theirs.numpy())


def test_center_crop_differs_where_the_difference_is_3_7_11():
    transforms = pytest.importorskip("torchvision.transforms.functional")
    for i in range(1, 20):
        x = np.arange(float(i * i)).reshape(1, 1, i, i)
        for size in range(1, i + 1):
            theirs = transforms.center_crop(torch.tensor(x), [size, size]).numpy()
            same = np.array_equal(ns.center_crop(x, size), theirs)
            assert same == ((i - size) % 4 != 3)
