"""dense_crf against pydensecrf on photographs, and against a dense evaluation in NumPy.

pydensecrf computes in float32, finds simplices in float32, and sums vertices in another order: a
pixel on the border of a simplex may lie in another one there.
"""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns
from numseg import crf

densecrf = pytest.importorskip("pydensecrf.densecrf")
data = pytest.importorskip("skimage.data")

pytestmark = pytest.mark.peers

TYPES = densecrf.NormalizationType
NORMALIZATIONS = {
    "none": TYPES.NO_NORMALIZATION,
    "before": TYPES.NORMALIZE_BEFORE,
    "after": TYPES.NORMALIZE_AFTER,
    "symmetric": TYPES.NORMALIZE_SYMMETRIC,
}
PHOTOGRAPHS = ("astronaut", "coffee", "chelsea")
SXY, WIDTH, COLOUR = 3.0, 80.0, 13.0
WEIGHTS = {"none": (0.05, 0.05)}
"""Of both terms; kernels that are not normalised sum to hundreds."""


def problem(name, labels, seed=0):
    """A photograph, and energies that know a little of it: of noisy clusters of its colours."""
    image = np.ascontiguousarray(getattr(data, name)())
    rng = np.random.default_rng(seed)
    centres = rng.choice(image.reshape(-1, 3), labels).astype(float)
    distance = ((image[..., None, :] - centres) ** 2).sum(-1) / 255**2
    unary = 2 * distance + rng.normal(scale=0.7, size=distance.shape)
    return image, np.ascontiguousarray(unary.transpose(2, 0, 1), np.float32)


def peers(image, unary, iterations, normalization):
    labels, h, w = unary.shape
    spatial, bilateral = WEIGHTS.get(normalization, (3.0, 5.0))
    how = {"normalization": NORMALIZATIONS[normalization]}
    d = densecrf.DenseCRF2D(w, h, labels)
    d.setUnaryEnergy(np.ascontiguousarray(unary.reshape(labels, -1)))
    d.addPairwiseGaussian(sxy=SXY, compat=spatial, **how)
    d.addPairwiseBilateral(sxy=WIDTH, srgb=COLOUR, rgbim=image, compat=bilateral, **how)
    return np.array(d.inference(iterations)).reshape(labels, h, w), d


def arguments(image, normalization, dtype=np.float32):
    x = image.transpose(2, 0, 1)[None].astype(dtype)
    widths = np.array([WIDTH, WIDTH, COLOUR, COLOUR, COLOUR], dtype)
    features = [ns.spatial_features(x, np.full(2, SXY, dtype)), ns.bilateral_features(x, widths)]
    return features, [np.array(w, dtype) for w in WEIGHTS.get(normalization, (3.0, 5.0))]


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("labels", [2, 21])
@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_labels_and_probabilities_are_the_peers(name, labels, normalization):
    image, unary = problem(name, labels)
    wanted, _ = peers(image, unary, 10, normalization)
    features, compat = arguments(image, normalization)
    got = ns.dense_crf(unary[None], features, compat, normalization=normalization)[0]
    shares = np.bincount(wanted.argmax(0).ravel(), minlength=labels) / wanted[0].size
    assert (shares > 0.01).sum() >= 2
    assert (unary.argmin(0) != wanted.argmax(0)).mean() > 0.01
    same = (got.argmax(0) == wanted.argmax(0)).mean()
    difference = abs(got - wanted).max()
    print(f"{name}, {labels} labels, {normalization}: {100 * same:.4f} %, max {difference:.2g}")
    assert same >= 0.999
    assert difference <= (5e-3 if normalization == "none" else 1e-4)


def test_divergences_are_the_peers():
    image, unary = problem("coffee", 4)
    _, d = peers(image, unary, 3, "symmetric")
    q, tmp1, tmp2 = d.startInference()
    for _ in range(3):
        d.stepInference(q, tmp1, tmp2)
    wanted = d.klDivergence(q)
    features, compat = arguments(image, "symmetric")
    mine = np.ascontiguousarray(np.array(q).reshape(1, *unary.shape))
    found = crf.kl_divergence(mine, unary[None], features, compat, form="pydensecrf")
    np.testing.assert_allclose(found.total, wanted, rtol=1e-3)


@pytest.mark.parametrize("labels", [2, 21])
@pytest.mark.parametrize(("h", "w"), [(24, 24), (33, 48)])
def test_exact_filters_are_a_dense_evaluation(h, w, labels):
    """Of the whole matrix of kernels at once, in float64."""
    crop = np.ascontiguousarray(data.astronaut()[100 : 100 + h, 180 : 180 + w])
    rng = np.random.default_rng(0)
    unary = rng.normal(size=(1, labels, h, w))
    features, compat = arguments(crop, "symmetric", np.float64)
    q = np.exp(-unary.reshape(labels, -1))
    q /= q.sum(0)
    kernels = []
    for f in features:
        f = f.reshape(f.shape[1], -1)
        square = (f**2).sum(0)
        k = np.exp(f.T @ f - (square[:, None] + square) / 2)
        kernels.append(k / np.sqrt(np.outer(k.sum(1), k.sum(1))))
    for _ in range(5):
        z = -unary.reshape(labels, -1) + sum(
            c * (q @ k) for c, k in zip(compat, kernels, strict=True)
        )
        q = np.exp(z - z.max(0))
        q /= q.sum(0)
    y = ns.dense_crf(unary, features, compat, iterations=5, method="exact")
    np.testing.assert_allclose(y.reshape(labels, -1), q, rtol=1e-9, atol=1e-13)
