"""pydensecrf's face, without pydensecrf: values by hand, signs, what is kept, what is refused."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest

import numseg as ns
from numseg.interop import pydensecrf
from numseg.interop.pydensecrf import densecrf as dcrf
from numseg.interop.pydensecrf import eigen, utils

F32 = np.float32


def _sigmoid(z):
    return 1 / (1 + math.exp(-z))


def _one_pixel(compat, **how):
    """Energies 0 and 1; K~ of a pixel that is alone is 1."""
    d = dcrf.DenseCRF(1, 2)
    d.setUnaryEnergy(np.array([[0], [1]], F32))
    d.addPairwiseEnergy(np.zeros((1, 1), F32), compat, **how)
    return d


def test_one_pixel_by_hand():
    """softmax(0, -1) is 0.731; with weight 5 the difference of logits is 1 + 5 (0.731 - 0.269)."""
    d = _one_pixel(5)
    assert d.inference(0)[0, 0] == pytest.approx(_sigmoid(1), abs=1e-6)
    assert d.inference(1)[0, 0] == pytest.approx(0.965, abs=5e-4)
    q = _sigmoid(1)
    assert d.inference(1)[0, 0] == pytest.approx(_sigmoid(1 + 5 * (2 * q - 1)), abs=1e-6)
    for how in range(1, 4):
        assert _one_pixel(5, normalization=how).inference(1)[0, 0] == d.inference(1)[0, 0]


def test_one_pixel_without_normalization():
    """K is 5/6: a point at 0 is one end of its simplex, with weight 1. Of the blur along the first
    axis the other end has 1/2; along the second a half of that comes back. The slice divides 1 +
    1/4 by 1 + 1/2."""
    q = _sigmoid(1)
    found = _one_pixel(3, normalization=dcrf.NO_NORMALIZATION).inference(1)[0, 0]
    assert found == pytest.approx(_sigmoid(1 + 3 * 5 / 6 * (2 * q - 1)), abs=1e-6)


@pytest.mark.parametrize(
    ("compat", "gap"),
    [
        (2.0, lambda q: 2 * (q - (1 - q))),
        (np.array([2, 2], F32), lambda q: -2 * (q - (1 - q))),
        (np.array([1, -3], F32), lambda q: -1 * q - 3 * (1 - q)),
        (np.array([[0, 2], [0, 0]], F32), lambda q: -(1 - q) + q),
        (np.array([[-2, 0], [0, -2]], F32), lambda q: 2 * (q - (1 - q))),
    ],
    ids=["a number attracts", "a vector repels", "by label", "a matrix's symmetric half", "mu"],
)
def test_signs(compat, gap):
    """``gap`` is what the difference of logits of labels 0 and 1 gains."""
    q = _sigmoid(1)
    found = _one_pixel(compat).inference(1)[0, 0]
    assert found == pytest.approx(_sigmoid(1 + gap(q)), abs=1e-6)


def test_divergence_by_hand():
    d = _one_pixel(5)
    q = np.array([[0.75], [0.25]], F32)
    entropy = 0.75 * math.log(0.75) + 0.25 * math.log(0.25)
    assert d.klDivergence(q) == pytest.approx(entropy + 0.25 - 5 * (0.75**2 + 0.25**2), abs=1e-6)
    never = dcrf.DenseCRF(1, 2)
    never.setUnaryEnergy(np.array([[0], [np.inf]], F32))
    assert never.klDivergence(never.inference(0)) == 0


@pytest.fixture
def image():
    return np.random.default_rng(1).integers(0, 256, (6, 7, 3)).astype(np.uint8)


def _pixels(image, labels=3):
    height, width = image.shape[:2]
    d = dcrf.DenseCRF2D(width, height, labels)
    energies = np.random.default_rng(2).uniform(0, 2, (labels, width * height))
    d.setUnaryEnergy(energies.astype(F32))
    d.addPairwiseGaussian(3, 3)
    d.addPairwiseBilateral((20, 30), (40, 50, 60), image, 10)
    return d


def test_it_is_dense_crf_of_these_features(image):
    """``ns.dense_crf`` of columns, rows and colours divided by their widths."""
    d = _pixels(image)
    height, width = image.shape[:2]
    rows, columns = np.indices((height, width), F32)
    colours = np.moveaxis(image, 2, 0).astype(F32)
    near = np.stack([columns / 3, rows / 3])[None]
    scale = np.array([20, 30, 40, 50, 60], F32).reshape(5, 1, 1)
    alike = (np.concatenate([columns[None], rows[None], colours]) / scale)[None]
    energies = np.random.default_rng(2).uniform(0, 2, (3, height * width)).astype(F32)
    q = ns.dense_crf(
        energies.reshape(1, 3, height, width),
        [near, alike],
        [np.array(3, F32), np.array(10, F32)],
        iterations=4,
    )
    np.testing.assert_allclose(d.inference(4), q.reshape(3, -1), atol=1e-5)


@pytest.mark.parametrize("number", range(4))
def test_normalizations_are_dense_crfs(number):
    """The names that the constants have, of points whose n differ."""
    features = np.random.default_rng(6).normal(0, 1, (2, 9)).astype(F32)
    energies = np.random.default_rng(7).uniform(0, 2, (2, 9)).astype(F32)
    d = dcrf.DenseCRF(9, 2)
    d.setUnaryEnergy(energies)
    d.addPairwiseEnergy(features, 2, normalization=number)
    q = ns.dense_crf(
        energies[None],
        [features[None]],
        [np.array(2, F32)],
        iterations=3,
        normalization=("none", "before", "after", "symmetric")[number],
    )
    np.testing.assert_allclose(d.inference(3), q[0], atol=1e-6)


def test_without_energies():
    """Marginals are 0 before the first step, if it is asked for by itself; else uniform."""
    d = dcrf.DenseCRF(2, 4)
    d.addPairwiseEnergy(np.zeros((1, 2), F32), np.array([0, 0, 0, 5], F32))
    q, *rest = d.startInference()
    np.testing.assert_array_equal(q, 0)
    d.stepInference(q, *rest)
    np.testing.assert_allclose(q, 0.25)
    np.testing.assert_array_equal(d.inference(0), q)
    assert (d.inference(1)[3] < 0.1).all()


def test_steps_are_inference_to_the_last_bit(image):
    d = _pixels(image)
    q, tmp1, tmp2 = d.startInference()
    for n in range(4):
        np.testing.assert_array_equal(q, d.inference(n))
        d.stepInference(q, tmp1, tmp2)


def test_steps_of_an_array_of_any_order(image):
    d = _pixels(image)
    for order in "CF":
        q = np.array(d.inference(0), order=order)
        d.stepInference(q, None, None)
        np.testing.assert_array_equal(q, d.inference(1))


def test_lattices_are_built_once(image, monkeypatch):
    """When a term is added, and not by any step."""
    from numseg.ops.dense_crf import terms

    built = []
    build = terms.build

    def counted(*args):
        built.append(1)
        return build(*args)

    monkeypatch.setattr(terms, "build", counted)
    d = _pixels(image)
    assert len(built) == 2
    q, *rest = d.startInference()
    for _ in range(3):
        d.stepInference(q, *rest)
        d.klDivergence(q)
    d.inference(5)
    assert len(built) == 2


def test_the_same_bits_for_every_number_of_threads():
    image = np.random.default_rng(5).integers(0, 256, (130, 140, 3)).astype(np.uint8)
    found = []
    for count in (1, 2, 3):
        with ns.num_threads(count):
            d = _pixels(image)
            found.append(d.inference(3).tobytes())
    assert found[0] == found[1] == found[2]


def test_what_is_given_is_not_held(image):
    """Neither energies nor a compatibility change when the caller's arrays do."""
    energies, compat = np.random.default_rng(3).random((2, 42)).astype(F32), np.array([1, 2], F32)
    d = dcrf.DenseCRF2D(7, 6, 2)
    d.setUnary(dcrf.ConstUnary(energies))
    d.addPairwiseGaussian(2, compat)
    before = d.inference(2)
    energies[:] = 0
    compat[:] = 0
    np.testing.assert_array_equal(d.inference(2), before)
    d.setUnary(dcrf.Unary())
    np.testing.assert_allclose(d.inference(0), 0.5)


def test_terms_and_energies_come_in_any_order(image):
    """Energies may be set last, and again; a Unary may be used twice."""
    unary = dcrf.ConstUnary(np.random.default_rng(4).random((3, 42)).astype(F32))
    d, e = dcrf.DenseCRF2D(7, 6, 3), _pixels(image)
    d.addPairwiseGaussian(3, 3)
    d.addPairwiseBilateral((20, 30), (40, 50, 60), image, 10)
    d.setUnary(unary)
    e.setUnary(unary)
    np.testing.assert_array_equal(d.inference(3), e.inference(3))


def test_an_image_of_one_pixel():
    d = dcrf.DenseCRF2D(1, 1, 2)
    d.setUnaryEnergy(np.array([[0], [1]], F32))
    d.addPairwiseBilateral(80, 13, np.zeros((1, 1, 3), np.uint8), 5)
    assert d.inference(1)[0, 0] == pytest.approx(0.965, abs=5e-4)


def test_a_label_that_is_never_taken():
    energies = np.array([[0, np.inf], [np.inf, 1], [1, 1]], F32)
    d = dcrf.DenseCRF(2, 3)
    d.setUnaryEnergy(energies)
    d.addPairwiseEnergy(np.zeros((1, 2), F32), 10)
    assert (d.inference(5)[np.isinf(energies)] == 0).all()


def test_subclasses_and_pickles(image):
    class Mine(dcrf.DenseCRF2D):
        pass

    d = Mine(7, 6, 3)
    d.addPairwiseGaussian(2, 3)
    assert d.inference(1).shape == (3, 42)
    e = _pixels(image)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(e)).inference(2), e.inference(2))


def test_names_and_numbers():
    assert (
        [*dcrf.KernelType] == [dcrf.CONST_KERNEL, dcrf.DIAG_KERNEL, dcrf.FULL_KERNEL] == [0, 1, 2]
    )
    names = "NO_NORMALIZATION NORMALIZE_BEFORE NORMALIZE_AFTER NORMALIZE_SYMMETRIC"
    assert [getattr(dcrf, name) for name in names.split()] == [0, 1, 2, 3]
    assert pydensecrf.densecrf is dcrf
    assert pydensecrf.utils is utils
    assert dcrf.DenseCRF(6, 2, 7, unknown=8).inference(0).shape == (2, 6)
    assert dcrf.DenseCRF2D(w=3.0, h=2, nlabels=np.int32(2)).inference(0).shape == (2, 6)


def test_unary_from_labels_by_hand():
    right, wrong, open_ = -math.log(0.7), -math.log(0.3 / 2), math.log(3)
    found = utils.unary_from_labels(np.array([[1, 0], [3, 2]], np.uint8), 3, 0.7)
    wanted = [
        [right, open_, wrong, wrong],
        [wrong, open_, wrong, right],
        [wrong, open_, right, wrong],
    ]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    found = utils.unary_from_labels([0, 1], 2, 0.9, zero_unsure=False)
    wanted = -np.log([[0.9, 0.1], [0.1, 0.9]])
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_unary_from_softmax_by_hand():
    p = np.array([[0.25, 1.0], [0.75, 0.0]])
    np.testing.assert_allclose(
        utils.unary_from_softmax(p), -np.log([[0.25, 1], [0.75, 1e-5]]), rtol=1e-6
    )
    mixed = -np.log([[0.375, 0.75], [0.625, 0.25]])
    np.testing.assert_allclose(utils.unary_from_softmax(p, scale=0.5, clip=None), mixed, rtol=1e-6)
    assert utils.unary_from_softmax(p, clip=None)[1, 1] == np.inf


def test_features_by_hand():
    found = utils.create_pairwise_gaussian((2, 4), (2, 3))
    np.testing.assert_array_equal(found, [[0, 0, 0, 0.5, 0.5, 0.5], [0, 0.25, 0.5, 0, 0.25, 0.5]])
    image = np.arange(4, dtype=np.uint8).reshape(1, 2, 2)
    found = utils.create_pairwise_bilateral((1, 2), (1, 10), image, chdim=2)
    np.testing.assert_array_equal(found, F32([[0, 0], [0, 0.5], [0, 2], [0.1, 0.3]]))


NAN = np.full((2, 6), np.nan, F32)
REFUSED = [
    (lambda: dcrf.DenseCRF(0, 2), "DenseCRF: nvar must be at least 1, got 0"),
    (lambda: dcrf.DenseCRF(6, 2.5), "DenseCRF: nlabels must be an integer, got 2.5"),
    (lambda: dcrf.DenseCRF2D(3, 0, 2), "DenseCRF2D: h must be at least 1, got 0"),
    (lambda: _six().setUnaryEnergy(np.zeros((2, 6))),
     "DenseCRF.setUnaryEnergy: u has dtype float64, expected float32: u.astype(np.float32)"),
    (lambda: _six().setUnaryEnergy(np.zeros((2, 5), F32)),
     "DenseCRF.setUnaryEnergy: u has shape (2, 5), expected (2, 6) (nlabels, nvar)"),
    (lambda: _six().setUnaryEnergy(np.zeros((6, 2), F32).T),
     "DenseCRF.setUnaryEnergy: u has strides (4, 8), expected C-contiguous memory: "
     "np.ascontiguousarray(u)"),
    (lambda: _six().setUnaryEnergy(NAN),
     "DenseCRF.setUnaryEnergy: u has the energy nan for label 0 at point 0, expected numbers (inf, "
     "where another label of the point has a number)"),
    (lambda: _six().setUnary(NAN), "DenseCRF.setUnary: u must be a Unary, got array("),
    (lambda: _six().setUnary(dcrf.ConstUnary(np.zeros((3, 6), F32))),
     "DenseCRF.setUnary: u has shape (3, 6), expected (2, 6) (nlabels, nvar)"),
    (lambda: dcrf.LogisticUnary(np.zeros((2, 3), F32), np.zeros((4, 6), F32)),
     "LogisticUnary: L has shape (2, 3), but f has (4, 6): 3 features against 4"),
    (lambda: _six().addPairwiseEnergy(np.zeros((3, 5), F32), 1),
     "DenseCRF.addPairwiseEnergy: features has shape (3, 5), expected (at least 1, 6) (D, nvar)"),
    (lambda: _six().addPairwiseEnergy(NAN, 1),
     "DenseCRF.addPairwiseEnergy: features[0, 0] is nan, expected finite numbers"),
    (lambda: _six().addPairwiseEnergy(np.arange(12, dtype=F32).reshape(2, 6) * F32(1e30), 1),
     "DenseCRF.addPairwiseEnergy: features"),
    (lambda: _six().addPairwiseEnergy(np.zeros((1, 6), F32), np.zeros(3, F32)),
     "DenseCRF.addPairwiseEnergy: compat has shape (3,), expected (2,) (nlabels)"),
    (lambda: _six().addPairwiseEnergy(np.zeros((1, 6), F32), np.full(2, np.inf, F32)),
     "DenseCRF.addPairwiseEnergy: compat holds inf, expected numbers"),
    (lambda: _six().addPairwiseEnergy(np.zeros((1, 6), F32), 1, normalization=4),
     "DenseCRF.addPairwiseEnergy: normalization must be one of NO_NORMALIZATION (0), "),
    (lambda: _six().addPairwiseEnergy(np.zeros((1, 6), F32), 1, kernel=3),
     "DenseCRF.addPairwiseEnergy: kernel must be one of CONST_KERNEL (0), DIAG_KERNEL (1), "
     "FULL_KERNEL (2), got 3"),
    (lambda: _six().addPairwiseGaussian(0, 1),
     "DenseCRF2D.addPairwiseGaussian: sxy[0] must be positive and at most 2147483647, got 0.0"),
    (lambda: _six().addPairwiseGaussian((1, 2, 3), 1),
     "DenseCRF2D.addPairwiseGaussian: sxy has 3 numbers, expected one or 2"),
    (lambda: _six().addPairwiseBilateral(3, (1, 2), np.zeros((2, 3, 3), np.uint8), 1),
     "DenseCRF2D.addPairwiseBilateral: srgb has 2 numbers, expected one or 3"),
    (lambda: _six().addPairwiseBilateral(3, 3, np.zeros((3, 2, 3), np.uint8), 1),
     "DenseCRF2D.addPairwiseBilateral: rgbim has shape (3, 2, 3), expected (2, 3, 3) (h, w, 3)"),
    (lambda: _six().addPairwiseBilateral(3, 3, np.zeros((2, 3, 4), np.uint8), 1),
     "DenseCRF2D.addPairwiseBilateral: rgbim has shape (2, 3, 4), expected (2, 3, 3) (h, w, 3): "
     "for other images, utils.create_pairwise_bilateral makes features"),
    (lambda: _six().inference(1.5), "DenseCRF.inference: niter must be an integer, got 1.5"),
    (lambda: _six().klDivergence(np.zeros((2, 5), F32)),
     "DenseCRF.klDivergence: Q has shape (2, 5), expected (2, 6) (nlabels, nvar)"),
    (lambda: _six().stepInference(np.zeros((2, 6)), 0, 0),
     "DenseCRF.stepInference: Q must be an array of float32, got an array of float64"),
    (lambda: utils.unary_from_labels(np.array([0, 3]), 2, 0.5),
     "unary_from_labels: labels has the label 3 in 1 place, expected labels in [0, 3)"),
    (lambda: utils.unary_from_labels(np.array([0, -1]), 2, 0.5),
     "unary_from_labels: labels has the label -1 in 1 place, expected labels in [0, 3)"),
    (lambda: utils.unary_from_labels(np.array([0, 1]), 2, 1),
     "unary_from_labels: gt_prob must lie between 0 and 1, got 1"),
    (lambda: utils.unary_from_softmax(3.0),
     "unary_from_softmax: sm is an array () of float64, expected (n_labels, ...) numbers"),
    (lambda: utils.create_pairwise_gaussian((2,), (2, 2)),
     "create_pairwise_gaussian: sdims has 1 numbers, but shape has 2"),
    (lambda: utils.create_pairwise_bilateral((2, 2), 1, np.zeros((2, 2, 3)), chdim=3),
     "create_pairwise_bilateral: chdim is 3, but img has 3 axes: (2, 2, 3)"),
    (lambda: eigen.matrixXf(np.zeros(3, F32)),
     "matrixXf: arr has shape (3,), expected 2 axes (rows, columns)"),
]  # fmt: skip


def _six():
    return dcrf.DenseCRF2D(3, 2, 2)


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[m[:60] for _, m in REFUSED])
def test_errors_say_what_and_both_values(call, message):
    with pytest.raises(ns.ArgumentError) as error:
        call()
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_an_error_leaves_the_crf_as_it_was(image):
    d = _pixels(image)
    before = d.inference(2)
    for call in (
        lambda: d.setUnaryEnergy(NAN),
        lambda: d.addPairwiseGaussian(-1, 1),
        lambda: d.addPairwiseBilateral(3, 3, image, np.zeros(2, F32)),
        lambda: d.addPairwiseEnergy(NAN, 1),
    ):
        with pytest.raises(ns.ArgumentError):
            call()
    np.testing.assert_array_equal(d.inference(2), before)
