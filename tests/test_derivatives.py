"""Tangents, second derivatives and linear operators: the door to them. What they compute is in
test_every_operator.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.sparse.linalg import lsqr, svds

import numseg as ns
from numseg.ops.registry import OPERATORS
from numseg.testing import cases

RNG = np.random.default_rng(0)
X = RNG.integers(-4, 5, (1, 2, 5, 5)).astype(np.float64)
W = RNG.integers(-4, 5, (3, 2, 3, 3)).astype(np.float64)
B = np.array([1.0, -2.0, 3.0])


def test_jvp_gives_the_value_and_its_derivative() -> None:
    y, tangent = ns.conv2d.jvp(X, W, B, padding=1, tangents={"x": X})
    assert (y == ns.conv2d(X, W, B, padding=1)).all()
    assert (tangent == ns.conv2d(X, W, padding=1)).all()
    _, tangent = ns.conv2d.jvp(X, W, B, padding=1, tangents={"bias": B})
    assert (tangent == np.broadcast_to(B[:, None, None], y.shape)).all()


def test_jvp_without_tangents_is_zero() -> None:
    _, tangent = ns.conv2d.jvp(X, W, tangents={})
    assert tangent.shape == (1, 3, 3, 3)
    assert not tangent.any()


def test_jvp_of_a_sequence_takes_tangents_of_some() -> None:
    _, tangent = ns.concat.jvp([X, X], tangents={"xs": [None, X]})
    assert not tangent[:, :2].any()
    assert (tangent[:, 2:] == X).all()


def test_jvp_does_not_hand_out_the_tangent_itself() -> None:
    _, tangent = ns.add.jvp(X, X, tangents={"x": X})
    assert not np.shares_memory(tangent, X)


def test_jvp_by_definition() -> None:
    x, w = X.astype(np.float32), W.astype(np.float32)
    with ns.use("reference"):
        _, tangent = ns.conv2d.jvp(x, w, tangents={"weight": w})
    assert tangent.dtype == np.float32
    assert (tangent == ns.conv2d.reference.jvp(x, w, tangents={"weight": w})[1]).all()


@pytest.mark.parametrize(
    ("tangents", "says"),
    [
        ({"x": X[0]}, r"conv2d.jvp: tangents\['x'\] is Spec\(shape=\(2, 5, 5\)"),
        ({"x": X.astype(np.float32)}, r"conv2d.jvp: tangents\['x'\] is .*float32"),
        ({"stride": X}, "conv2d.jvp: tangents must be one of 'x', 'weight', 'bias', got 'stride'"),
        ({"bias": B}, r"conv2d.jvp: tangents\['bias'\] is .*, the argument None"),
        (X, "conv2d.jvp: tangents must map names to arrays"),
    ],
)
def test_tangents_that_do_not_fit(tangents: Any, says: str) -> None:
    with pytest.raises(ns.ArgumentError, match=says):
        ns.conv2d.jvp(X, W, tangents=tangents)


def test_double_backward_of_a_product() -> None:
    # <u, grad_x> + <v, grad_w> of y = conv(x, w) is <grad_y, conv(u, w) + conv(x, v)>
    y, saved = ns.conv2d.forward(X, W, B)
    u, v = X[..., ::-1], W[..., ::-1]
    gx, gw, gb, ggy = ns.conv2d.double_backward(saved, y, {"x": u, "weight": v})
    assert (ggy == ns.conv2d(u, W) + ns.conv2d(X, v)).all()
    assert (gx == ns.conv2d.backward(ns.conv2d.forward(X, v)[1], y)[0]).all()
    assert (gw == ns.conv2d.backward(ns.conv2d.forward(u, W)[1], y)[1]).all()
    assert gb.shape == B.shape
    assert not gb.any()


def test_derivatives_of_the_definition_in_float32() -> None:
    x, w = X.astype(np.float32), W.astype(np.float32)
    y, saved = ns.conv2d.reference.forward(x, w)
    found = ns.conv2d.reference.double_backward(saved, y, {"x": x, "weight": w})
    wanted = ns.conv2d.double_backward(saved, y, {"x": x, "weight": w})
    for a, b in zip(found, wanted, strict=True):
        assert a is b is None or (a.dtype == np.float32 and np.allclose(a, b))


def test_double_backward_gives_none_for_what_was_not_given() -> None:
    y, saved = ns.conv2d.forward(X, W)
    assert ns.conv2d.double_backward(saved, y, {"x": X})[2] is None


@pytest.mark.parametrize("name", OPERATORS)
def test_double_backward_where_nothing_depends_on_the_gradients_is_zero(name: str) -> None:
    op = OPERATORS[name]
    arguments = cases.drawn(op, 1, full=True)[0].arguments("reals", np.float64)
    y, saved = op.forward(**arguments)
    try:
        grads = op.double_backward(saved, np.ones_like(y[0] if isinstance(y, tuple) else y), {})
    except ns.ArgumentError as error:
        if not str(error).endswith("has no double_backward"):
            raise
    else:
        assert not any(grad.any() for grad in grads if grad is not None)


def test_double_backward_of_a_linear_operator() -> None:
    y, saved = ns.upsample_nearest2d.forward(X, scale_factor=2)
    gx, ggy = ns.upsample_nearest2d.double_backward(saved, y, {"x": X})
    assert not gx.any()
    assert (ggy == y).all()


def test_linear_operator_is_the_matrix() -> None:
    a = ns.conv2d.linear_operator(X.shape, W, padding=1)
    m = ns.conv2d.matrix(X.shape, W, padding=1)
    assert a.shape == m.shape
    assert a.dtype == np.float64
    assert (a @ X.ravel() == m @ X.ravel()).all()
    g = np.arange(a.shape[0], dtype=np.float64)
    assert (a.T @ g == m.T @ g).all()
    assert (a @ np.eye(a.shape[1]) == m.toarray()).all()
    assert np.allclose(svds(a, k=1)[1], np.linalg.norm(m.toarray(), 2))
    y = m @ X.ravel()
    assert np.allclose(a @ lsqr(a, y, atol=1e-12, btol=1e-12)[0], y)


def test_linear_operator_of_several_arrays() -> None:
    a = ns.concat.linear_operator([(1, 2, 3), (1, 1, 3)])
    m = ns.concat.matrix([(1, 2, 3), (1, 1, 3)])
    assert (a @ np.arange(9.0) == m @ np.arange(9.0)).all()
    assert (a.T @ np.arange(9.0) == m.T @ np.arange(9.0)).all()


def test_linear_operator_has_the_dtype_of_the_weights() -> None:
    assert ns.conv2d.linear_operator(X.shape, W.astype(np.float32)).dtype == np.float32


def test_what_is_not_linear_has_no_linear_operator() -> None:
    with pytest.raises(ns.ArgumentError, match="relu: not linear in x"):
        ns.relu.linear_operator((2, 2))
    with pytest.raises(ns.ArgumentError, match="max_pool2d: linear only for given indices"):
        ns.max_pool2d.linear_operator((1, 1, 4, 4), 2)
    with pytest.raises(ns.ArgumentError, match="unexpected keyword argument"):
        ns.conv2d.linear_operator(X.shape, W, indices=W)
