"""cross_entropy against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

import numseg as ns

FACES = pytest.mark.parametrize(
    "op", [ns.cross_entropy, ns.cross_entropy.reference], ids=["cpu", "ref"]
)
L2, L4, L8 = math.log(2), math.log(4), math.log(8)

# Three classes, four pixels in a row. exp(x) by columns: 1 1 2, 2 1 1, 1 2 5, 1 1 2; sums 4 4 8 4.
X = np.log(np.array([[[1.0, 2, 1, 1], [1, 1, 2, 1], [2, 1, 5, 2]]]))  # (1, 3, 4)
T = np.array([[0, 0, 1, 2]])
LOSSES = [L4, L2, L4, L2]  # log of 4/1, 4/2, 8/2, 4/2
SOFTMAX = np.array([[1 / 4, 1 / 2, 1 / 8, 1 / 4], [1 / 4, 1 / 4, 1 / 4, 1 / 4],
                    [1 / 2, 1 / 4, 5 / 8, 1 / 2]])  # fmt: skip
ONEHOT = np.array([[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


@FACES
@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.int8, np.uint64, ">i2"])
def test_reductions_and_label_types(op, kind):
    target = T.astype(kind)
    np.testing.assert_allclose(op(X, target, reduction="none"), [LOSSES], rtol=1e-14)
    np.testing.assert_allclose(op(X, target, reduction="sum"), 6 * L2, rtol=1e-14)
    mean = op(X, target)
    assert mean.shape == ()
    np.testing.assert_allclose(mean, 1.5 * L2, rtol=1e-14)


@FACES
def test_the_mean_divides_by_the_weights_of_the_pixels_that_count(op):
    weight = np.array([1.0, 3.0, 0.5])
    target = np.array([[0, 255, 1, 2]])
    # weighted losses: 1 * log 4, ignored, 3 * log 4, 0.5 * log 2; weights 1 + 3 + 0.5
    total = (2 + 6 + 0.5) * L2
    y = op(X, target, weight, ignore_index=255)
    np.testing.assert_allclose(y, total / 4.5, rtol=1e-14)
    np.testing.assert_allclose(
        op(X, target, weight, ignore_index=255, reduction="sum"), total, rtol=1e-14
    )
    np.testing.assert_allclose(
        op(X, target, weight, ignore_index=255, reduction="none"),
        [[L4, 0, 3 * L4, 0.5 * L2]],
        rtol=1e-14,
    )


@FACES
def test_gradients(op):
    _, saved = op.forward(X, T, reduction="none")
    gy = np.array([[1.0, 2.0, 0.0, -4.0]])
    (gx,) = op.backward(saved, gy)
    np.testing.assert_allclose(gx[0], gy * (SOFTMAX - ONEHOT), rtol=1e-14)
    for reduction, divisor in (("sum", 1), ("mean", 4)):
        _, saved = op.forward(X, T, reduction=reduction)
        (gx,) = op.backward(saved, np.array(2.0))
        np.testing.assert_allclose(gx[0], 2 * (SOFTMAX - ONEHOT) / divisor, rtol=1e-14)


@FACES
def test_gradient_with_weights_and_ignored_pixels(op):
    weight = np.array([1.0, 3.0, 0.5])
    target = np.array([[0, 255, 1, 2]])
    _, saved = op.forward(X, target, weight, ignore_index=255)
    (gx,) = op.backward(saved, np.array(1.0))
    np.testing.assert_allclose(
        gx[0], np.array([1, 0, 3, 0.5]) / 4.5 * (SOFTMAX - ONEHOT), rtol=1e-14
    )


@FACES
@pytest.mark.parametrize("ignored", [0, -1, -100, 7])
def test_ignoring_any_number(op, ignored):
    """A class may be ignored; None ignores nothing, -1 being no label is an error elsewhere."""
    target = np.array([[0, 1, 1, 2]])
    target[0, 0] = ignored
    losses = op(X, target, ignore_index=ignored, reduction="none")
    np.testing.assert_allclose(losses, [[0, L4, L4, L2]], rtol=1e-14)


@FACES
def test_an_ignored_pixel_may_hold_anything(op):
    x = X.copy()
    x[0, :, 1] = [np.nan, np.inf, -np.inf]
    target = np.array([[0, 9, 1, 2]])
    y, saved = op.forward(x, target, ignore_index=9)
    np.testing.assert_allclose(y, (2 + 2 + 1) / 3 * L2, rtol=1e-14)
    (gx,) = op.backward(saved, np.array(3.0))
    np.testing.assert_array_equal(gx[0, :, 1], 0)
    np.testing.assert_allclose(gx[0, :, 2], (SOFTMAX - ONEHOT)[:, 2], rtol=1e-14)


@FACES
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_all_ignored_is_zero_with_a_zero_gradient(op, reduction):
    y, saved = op.forward(X, np.full((1, 4), 255), ignore_index=255, reduction=reduction)
    np.testing.assert_array_equal(y, 0)
    (gx,) = op.backward(saved, np.ones_like(y))
    np.testing.assert_array_equal(gx, np.zeros_like(X))


@FACES
def test_no_weight_at_all_is_zero(op):
    weight = np.array([0.0, 1.0, 1.0])
    y, saved = op.forward(X, np.zeros_like(T), weight)
    assert y == 0
    np.testing.assert_array_equal(op.backward(saved, np.array(1.0))[0], 0)


@FACES
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_scores_are_finite(op, dtype):
    x = np.array([[1000, 0], [1000, 1000], [-1000, -1000], [-1e30, 1e30]], dtype)
    target, expected = np.array([1, 0, 0, 0]), [1000, L2, L2, dtype(2e30)]
    rows = op(x, target, reduction="none")
    pixels = op(np.tile(x[:, :, None], 3), np.tile(target[:, None], 3), reduction="none")
    for losses in (rows, *pixels.T):
        np.testing.assert_allclose(losses, expected, rtol=np.finfo(dtype).eps)


@FACES
def test_a_confident_pixel_keeps_its_digits_in_float32(op):
    # loss log(1 + e) and gradient e / (1 + e) for e = exp(-12): a softmax of 1 - 6e-6, rounded to
    # float32, would leave two of their digits
    y, saved = op.forward(np.array([[12, 0]], np.float32), np.array([0]))
    (gx,) = op.backward(saved, np.array(1, np.float32))
    e = math.exp(-12)
    np.testing.assert_allclose(y, math.log1p(e), rtol=2e-7)
    np.testing.assert_allclose(gx, [[-e / (1 + e), e / (1 + e)]], rtol=3e-7)


@FACES
def test_infinite_scores(op):
    inf, nan = np.inf, np.nan
    x = np.array([[0, -inf], [0, -inf], [inf, 0], [-inf, -inf], [nan, 0]])
    losses, saved = op.forward(x, np.array([0, 1, 0, 0, 1]), reduction="none")
    np.testing.assert_array_equal(losses, [0, inf, nan, nan, nan])
    (gx,) = op.backward(saved, np.ones(5))
    np.testing.assert_array_equal(gx, [[0, 0], [1, -1], [nan, nan], [nan, nan], [nan, nan]])


@FACES
@pytest.mark.parametrize(
    ("target", "ignored", "message"),
    [
        ([0, 1, 3, 3], None, r"label 3 in 2 places, expected labels in \[0, 3\) .* = None"),
        ([0, -1, 2, 2], None, r"label -1 in 1 place,"),
        ([0, -100, 255, 255], 255, r"label -100 in 1 place,.* ignore_index = 255"),
    ],
)
def test_labels_that_are_no_class(op, target, ignored, message):
    with pytest.raises(ns.ArgumentError, match=message):
        op(X, np.array([target]), ignore_index=ignored)


@FACES
@pytest.mark.parametrize("shape", [(0, 3, 2, 2), (2, 3, 0), (2, 0, 0), (0, 3)])
def test_nothing_to_lose(op, shape):
    target = np.zeros((shape[0], *shape[2:]), int)
    for reduction in ("mean", "sum", "none"):
        y, saved = op.forward(np.zeros(shape), target, reduction=reduction)
        assert y.shape == (target.shape if reduction == "none" else ())
        assert y.sum() == 0
        assert op.backward(saved, np.ones_like(y))[0].shape == shape


@pytest.mark.parametrize("shape", [(2, 5, 37, 41), (700, 130)], ids=["pixels", "rows"])
@pytest.mark.parametrize("how", [{}, {"label_smoothing": 0.1}, {"gamma": 2.0}], ids=str)
@pytest.mark.parametrize("reduction", ["valid", "none"])
def test_blocks_and_threads_change_no_bit(shape, how, reduction):
    rng = np.random.default_rng(0)
    x = rng.normal(0, 5, shape).astype(np.float32)
    target = rng.integers(0, shape[1] + 1, (shape[0], *shape[2:]))
    weight = rng.uniform(0.5, 2, shape[1]).astype(np.float32)
    how = {"ignore_index": shape[1], "reduction": reduction, **how}
    results = []
    for threads in (1, 2, 3):
        with ns.num_threads(threads):
            y, saved = ns.cross_entropy.forward(x, target, weight, **how)
            results.append((y, *ns.cross_entropy.backward(saved, y)))
    for other in results[1:]:
        np.testing.assert_array_equal(results[0][0], other[0])
        np.testing.assert_array_equal(results[0][1], other[1])
    wide = x.astype(float), target, weight.astype(float)
    exact, saved = ns.cross_entropy.reference.forward(*wide, **how)
    np.testing.assert_allclose(results[0][0], exact, rtol=2e-7, atol=5e-9)
    (gx,) = ns.cross_entropy.reference.backward(saved, np.asarray(results[0][0], float))
    assert np.abs(results[0][1] - gx).max() <= 3 * np.finfo(np.float32).eps * np.abs(gx).max()


@pytest.mark.parametrize("how", [{}, {"label_smoothing": 0.1}], ids=str)
def test_a_gradient_past_the_caches_has_the_same_bits(monkeypatch, how):
    rng = np.random.default_rng(1)
    x = rng.normal(0, 5, (2, 5, 37, 41)).astype(np.float32)
    target = rng.integers(0, 6, (2, 37, 41))
    y, saved = ns.cross_entropy.forward(x, target, ignore_index=5, **how)
    grads = []
    for streamed in (2**24, 0):
        monkeypatch.setattr("numseg.ops.cross_entropy.cpu.STREAMED", streamed)
        grads += ns.cross_entropy.backward(saved, y)
    np.testing.assert_array_equal(*grads)


@FACES
def test_caffes_divisors(op):
    """Four pixels, one ignored, weights 1, 3 and 0.5; two images if they are taken as rows."""
    weight, target = np.array([1.0, 3.0, 0.5]), np.array([[0, 255, 1, 2]])
    total = (2 + 6 + 0.5) * L2
    x, rows = X[0].T, (target[0], weight, 255)
    for reduction, divisor in (("mean", 4.5), ("valid", 3), ("full", 4), ("batch_size", 1)):
        y, saved = op.forward(X, target, weight, 255, reduction)
        np.testing.assert_allclose(y, total / divisor, rtol=1e-14)
        (gx,) = op.backward(saved, np.array(1.0))
        expected = np.array([1, 0, 3, 0.5]) / divisor * (SOFTMAX - ONEHOT)
        np.testing.assert_allclose(gx[0], expected, rtol=1e-14)
    np.testing.assert_allclose(op(x, *rows, "batch_size"), total / 4, rtol=1e-14)
    for reduction in ("valid", "full", "batch_size"):  # never by zero
        y = op(X, np.full((1, 4), 255), ignore_index=255, reduction=reduction, empty="nan")
        assert y == 0
        assert op(X[:0], T[:0], reduction=reduction, empty="nan") == 0


@FACES
def test_the_mean_over_nothing_by_name(op):
    """As PyTorch: NaN, with a gradient of 0."""
    y, saved = op.forward(X, np.full((1, 4), 255), ignore_index=255, empty="nan")
    assert np.isnan(y)
    np.testing.assert_array_equal(op.backward(saved, np.array(1.0))[0], 0)
    assert np.isnan(op(X, np.zeros_like(T), np.array([0.0, 1.0, 1.0]), empty="nan"))
    assert op(X, np.full((1, 4), 255), ignore_index=255, reduction="sum", empty="nan") == 0


@FACES
@pytest.mark.parametrize("rows", [False, True])
def test_label_smoothing(op, rows):
    """A pixel's loss is 0.7 of the label's, and 0.1 of each of the three classes'."""
    each = np.array([[L4, L2, L8, L4], [L4, L4, L4, L4], [L2, L4, math.log(1.6), L2]])
    weight, target = np.array([1.0, 3.0, 0.5]), np.array([[0, 255, 1, 2]])
    nll = np.array([L4, 0, 3 * L4, 0.5 * L2])
    expected = 0.7 * nll + 0.1 * weight @ each
    expected[1] = 0
    onehot = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    shares = 0.7 * onehot * weight[:, None] + 0.1 * weight[:, None]
    slopes = SOFTMAX * shares.sum(0) - shares
    slopes[:, 1] = 0
    x, target = (X[0].T, target[0]) if rows else (X, target)
    y, saved = op.forward(x, target, weight, 255, "none", 0.3)
    np.testing.assert_allclose(y.reshape(-1), expected, rtol=1e-14)
    (gx,) = op.backward(saved, np.ones_like(y))
    np.testing.assert_allclose(gx if rows else gx[0].T, slopes.T, rtol=1e-13, atol=1e-15)
    mean = op(x, target, weight, 255, label_smoothing=0.3)
    np.testing.assert_allclose(mean, expected.sum() / 4.5, rtol=1e-14)  # the labels' weights


@FACES
@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_focal(op, gamma, rows):
    p = np.array([1 / 4, 1 / 2, 1 / 4, 1 / 2])
    x, target = (X[0].T, T[0]) if rows else (X, T)
    y, saved = op.forward(x, target, reduction="none", gamma=gamma)
    np.testing.assert_allclose(y.reshape(-1), (1 - p) ** gamma * -np.log(p), rtol=1e-14)
    (gx,) = op.backward(saved, np.ones_like(y))
    factor = (1 - p) ** gamma - gamma * p * (1 - p) ** (gamma - 1) * np.log(p)
    np.testing.assert_allclose(gx.T if rows else gx[0], factor * (SOFTMAX - ONEHOT), rtol=1e-13)


@FACES
@pytest.mark.parametrize("rows", [False, True])
def test_focal_where_the_label_has_all_or_nothing(op, rows):
    x = np.array([[[0.0, 0.0], [-np.inf, -np.inf]]])
    target = np.array([[0, 1]])
    x, target = (x[0].T, target[0]) if rows else (x, target)
    for gamma in (0.5, 2.0):
        y, saved = op.forward(x, target, reduction="none", gamma=gamma)
        np.testing.assert_array_equal(y.reshape(-1).round(100), [0, np.inf])
        (gx,) = op.backward(saved, np.ones_like(y))
        gx = gx.T if rows else gx[0]
        np.testing.assert_array_equal(gx.round(100), [[0, 1], [0, -1]])


@FACES
@pytest.mark.parametrize("rows", [False, True])
def test_the_smallest_probability(op, rows):
    """Caffe: the loss stops at -log FLT_MIN, the gradient does not."""
    tiny = float(np.finfo(np.float32).tiny)
    x, target = np.array([[[0.0, 0.0, 0.0], [100.0, 80.0, -np.inf]]]), np.array([[0, 0, 1]])
    x, target = (x[0].T, target[0]) if rows else (x, target)
    y, saved = op.forward(x, target, reduction="none", min_probability=tiny)
    np.testing.assert_allclose(y.reshape(-1), [87.33654475, 80, 87.33654475], rtol=1e-9)
    (gx,) = op.backward(saved, np.ones_like(y))
    gx = gx.T if rows else gx[0]
    np.testing.assert_allclose(gx, [[-1, -1, 1], [1, 1, -1]], rtol=1e-14)


def test_no_classes_and_smoothed_labels_are_a_loss_of_nothing() -> None:
    x, target = np.zeros((2, 0)), np.full(2, 100, np.uint8)
    for face in (ns.cross_entropy, ns.cross_entropy.reference):
        how = {"ignore_index": 100, "label_smoothing": 0.1}
        y, saved = face.forward(x, target, **how)
        assert y == 0
        assert face.backward(saved, np.ones(()))[0].shape == (2, 0)
        assert face.jvp(x, target, tangents={"x": x}, **how)[1] == 0
