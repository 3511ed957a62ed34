"""floor, ceil, round and sign against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers


@pytest.mark.parametrize("name", ["floor", "ceil", "round", "sign"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rounding_is_pytorchs(name, dtype):
    x = np.concatenate([np.arange(-40, 41) / 8, [np.inf, -np.inf, 1e20, -0.0]]).astype(dtype)
    leaf = torch.tensor(x, requires_grad=True)
    theirs = getattr(torch, name)(leaf)
    y, saved = getattr(ns, name).forward(x)
    np.testing.assert_array_equal(y, theirs.detach())
    if name != "sign":
        np.testing.assert_array_equal(np.signbit(y), np.signbit(theirs.detach().numpy()))
    theirs.sum().backward()
    np.testing.assert_array_equal(getattr(ns, name).backward(saved, np.ones_like(x))[0], leaf.grad)


def test_the_sign_of_nan():
    nan = np.array([np.nan])
    assert np.isnan(ns.sign(nan)).all()
    np.testing.assert_array_equal(np.isnan(ns.floor(nan)), torch.floor(torch.tensor(nan)).isnan())
