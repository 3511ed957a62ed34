"""gaussian_filter beside pydensecrf's, live, where it is installed (pydensecrf2 on PyPI).

It gives no access to its filter, but a step of inference without a unary is a softmax of
``compat * K Q``: the difference of the logarithms of two labels is the filter of their difference.
"""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

densecrf = pytest.importorskip("pydensecrf.densecrf")

TYPES = densecrf.NormalizationType
KINDS = {
    "none": TYPES.NO_NORMALIZATION,
    "before": TYPES.NORMALIZE_BEFORE,
    "after": TYPES.NORMALIZE_AFTER,
    "symmetric": TYPES.NORMALIZE_SYMMETRIC,
}


def _filtered(q, features, kind):
    """K of the difference of two labels' probabilities (P,), for features (D, P)."""
    crf = densecrf.DenseCRF(features.shape[1], 2)
    crf.setUnaryEnergy(np.ascontiguousarray(-np.log(q), np.float32))
    compat = 0.02
    crf.addPairwiseEnergy(
        np.ascontiguousarray(features, np.float32), compat=compat, normalization=KINDS[kind]
    )
    states = crf.startInference()
    crf.stepInference(*states)
    found = np.array(states[0], np.float64)
    # less what the unary adds
    return (np.log(found[0] / found[1]) - np.log(q[0] / q[1])) / compat


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_filters_as_pydensecrf_does(kind, d):
    rng = np.random.default_rng(d)
    features = rng.uniform(0, 4, (d, 600)).astype(np.float32)
    p = rng.uniform(0.2, 0.8, 600).astype(np.float32)
    q = np.stack([p, 1 - p])
    wanted = _filtered(q, features, kind)
    y = ns.gaussian_filter(q[None], features[None], normalization=kind)[0]
    # logarithms of float32 probabilities, divided by 0.02: their roundings are 1e-5 and more
    bound = 2e-4 * max(1.0, np.abs(wanted).max())
    np.testing.assert_allclose(y[0] - y[1], wanted, atol=bound)
