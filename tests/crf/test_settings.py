"""Published settings of dense CRFs."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns
from numseg import crf

PUBLISHED = {  # compatibility, positions; compatibility, positions, colours
    "crf-as-rnn": (3, 3, 5, 160, 3),
    "deeplab-v1-largefov": (3, 3, 4, 49, 5),
    "deeplab-v2-vgg": (2, 2, 4, 65, 3),
    "deeplab-v2-resnet101": (3, 1, 4, 67, 3),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_as_published(name):
    found = crf.settings(name)
    spatial, bilateral = found.terms
    assert (spatial.compat, spatial.width, *bilateral) == PUBLISHED[name]
    assert found.iterations == 10
    assert found.normalization == ("after" if name == "crf-as-rnn" else "symmetric")


def test_they_are_dense_crfs_arguments():
    rng = np.random.default_rng(0)
    image = rng.uniform(0, 255, (1, 3, 6, 7)).astype(np.float32)
    unary = rng.normal(size=(1, 4, 6, 7)).astype(np.float32)
    arguments = crf.settings("deeplab-v2-vgg").arguments(image)
    by_hand = ns.dense_crf(
        unary,
        [ns.spatial_features(image, np.full(2, 2, np.float32)),
         ns.bilateral_features(image, np.array([65, 65, 3, 3, 3], np.float32))],
        [np.array(2, np.float32), np.array(4, np.float32)],
    )  # fmt: skip
    np.testing.assert_array_equal(ns.dense_crf(unary, **arguments), by_hand)


def test_no_such_name():
    with pytest.raises(ns.ArgumentError, match="name must be one of 'crf-as-rnn', 'deeplab-v1-"):
        crf.settings("deeplab")
