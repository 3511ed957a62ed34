"""Operators in JAX: values and gradients are numseg's own, under every transformation."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns
from numseg.errors import ArgumentError

jax = pytest.importorskip("jax")
pytestmark = pytest.mark.peers

from jax.test_util import check_grads  # noqa: E402

from numseg.interop.jax import function  # noqa: E402

rng = np.random.default_rng(0)
X = rng.standard_normal((2, 3, 6, 7), dtype=np.float32)
W = rng.standard_normal((4, 3, 3, 3), dtype=np.float32)
B = rng.standard_normal(4, dtype=np.float32)


@pytest.mark.parametrize("way", [lambda f: f, jax.jit])
def test_the_value_is_numsegs(way):
    conv = function(ns.conv2d)
    y = way(lambda x, w, b: conv(x, w, b, stride=2, padding=1))(X, W, B)
    np.testing.assert_array_equal(y, ns.conv2d(X, W, B, stride=2, padding=1))
    y, switches = way(lambda x: function("max_pool2d")(x, 2, return_indices=True))(X)
    ours, theirs = ns.max_pool2d(X, 2, return_indices=True)
    np.testing.assert_array_equal(y, ours)
    np.testing.assert_array_equal(switches, theirs)


def test_gradients_are_numsegs():
    conv = function(ns.conv2d)
    grads = jax.grad(lambda *a: conv(*a, padding=1).sum(), argnums=(0, 1, 2))(X, W, B)
    y, saved = ns.conv2d.forward(X, W, B, padding=1)
    for ours, theirs in zip(ns.conv2d.backward(saved, np.ones_like(y)), grads, strict=True):
        np.testing.assert_array_equal(theirs, ours)
    # without a bias, of one argument only, and of a sequence
    grad = jax.jit(jax.grad(lambda w: conv(X, w).sum()))(W)
    y, saved = ns.conv2d.forward(X, W)
    np.testing.assert_array_equal(grad, ns.conv2d.backward(saved, np.ones_like(y))[1])
    stack = function(ns.concat)
    steps = np.arange(6.0).reshape(1, 6, 1, 1)
    a, b = jax.grad(lambda a, b: (stack([a, b]) * steps).sum(), (0, 1))(X, X)
    assert a[0, :, 0, 0].tolist() == [0, 1, 2]
    assert b[0, :, 0, 0].tolist() == [3, 4, 5]


def test_labels_and_boxes():
    scores, labels = X[:, :, 0, 0], np.array([2, 0])
    grad = jax.grad(lambda s: function(ns.cross_entropy)(s, labels))(scores)
    _, saved = ns.cross_entropy.forward(scores, labels)
    np.testing.assert_array_equal(grad, ns.cross_entropy.backward(saved, np.float32(1))[0])
    x = np.arange(64.0, dtype=np.float32).reshape(1, 1, 8, 8)
    boxes = np.array([[0, 1, 1, 5, 5]], np.float32)
    align = function(ns.roi_align)
    grad = jax.grad(lambda b: align(x, b, output_size=2, sampling_ratio=2).sum())(boxes)
    assert grad.tolist() == [[0, 2, 16, 2, 16]]


def test_second_derivatives():
    with jax.enable_x64(True):
        conv, silu = function(ns.conv2d), function(ns.silu)
        arrays = [a.astype(np.float64) for a in (X[:1, :, :4, :4], W[:2], B[:2])]
        check_grads(lambda x, w, b: silu(conv(x, w, b)), arrays, order=2, modes=["rev"])


def test_vmap_is_one_call_after_the_other():
    relu = function(ns.relu)
    np.testing.assert_array_equal(jax.vmap(relu)(X), ns.relu(X))
    batched = jax.vmap(jax.grad(lambda x: function(ns.conv2d)(x[None], W).sum()))(X)
    y, saved = ns.conv2d.forward(X, W)
    np.testing.assert_allclose(batched, ns.conv2d.backward(saved, np.ones_like(y))[0], rtol=1e-5)


def test_what_is_refused():
    with pytest.raises(ArgumentError, match="weight takes 3 channels per group"):
        jax.jit(function(ns.conv2d))(X[:, :2], W)
    with pytest.raises(ArgumentError, match="float32 or float64"):
        function(ns.relu)(jax.numpy.zeros(3, jax.numpy.bfloat16))
    with pytest.raises(Exception, match="label"):
        function(ns.cross_entropy)(X[:, :, 0, 0], np.array([9, 0])).block_until_ready()
