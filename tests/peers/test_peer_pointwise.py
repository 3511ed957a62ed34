"""Pointwise operators beside PyTorch's, at kinks, infinities and NaN."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import numseg as ns

pytestmark = pytest.mark.peers
torch = pytest.importorskip("torch")
F = torch.nn.functional

ENDS = [-np.inf, -1e4, -6.0, -1.0, -0.0, 0.0, 1.0, 3.0, 6.0, 1e4, np.inf, np.nan]

CALLS = [
    (ns.sqrt, torch.sqrt, {}),
    (ns.abs, torch.abs, {}),
    (ns.softsign, F.softsign, {}),
    (ns.clip, torch.clamp, {"min": -1, "max": 3}),
    (ns.clip, torch.clamp, {"min": 1.0}),
    (ns.clip, torch.clamp, {"min": 3, "max": 1}),
    (ns.clip, functools.partial(F.hardtanh, min_val=-1, max_val=3), {"min": -1, "max": 3}),
    (ns.clip, F.relu6, {"min": 0, "max": 6}),
]


def _name(value):
    """Without addresses in memory, which every process has its own of."""
    return getattr(value, "__name__", getattr(value, "func", value.__class__).__name__)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("op", "function", "params"), CALLS, ids=_name)
def test_values_and_gradients_are_pytorchs(op, function, params, dtype):
    # 64 numbers and more: PyTorch's vector code and its scalar code for the rest see each kind
    x = np.concatenate([np.tile(ENDS, 5), np.linspace(-5, 5, 21)]).astype(dtype)
    told = params if function is torch.clamp else {}
    if op is ns.clip and not told:
        params = params | {"boundary": "outside"}
    y, saved = op.forward(x, **params)
    tensor = torch.tensor(x, requires_grad=True)
    expected = function(tensor, **told)
    gy = np.linspace(1, 2, len(x)).astype(dtype)
    expected.backward(torch.tensor(gy))
    close = {"rtol": 8 * np.finfo(dtype).eps, "atol": 8 * np.finfo(dtype).eps}
    np.testing.assert_allclose(y, expected.detach().numpy(), **close)
    theirs = tensor.grad.numpy()
    if op is ns.softsign:  # PyTorch's is NaN there
        theirs = np.where(np.isinf(x), 0, theirs)
    np.testing.assert_allclose(op.backward(saved, gy)[0], theirs, **close)
