"""Optimisers against PyTorch's, step by step."""

from __future__ import annotations

import numpy as np
import pytest

from numseg.training import SGD, Adam

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (SGD(lr=0.1, momentum=0.9), lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)),
        (
            SGD(lr=0.1, momentum=0.5, weight_decay=0.1),
            lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.5, weight_decay=0.1),
        ),
        (Adam(lr=0.01), lambda p: torch.optim.Adam(p, lr=0.01)),
        (
            Adam(lr=0.01, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1),
            lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1),
        ),
    ],
)
def test_ten_steps_as_pytorch(ours, theirs):
    rng = np.random.default_rng(0)
    params = {"w": rng.standard_normal((4, 3)), "b": rng.standard_normal(5)}
    tensors = {name: torch.nn.Parameter(torch.tensor(p)) for name, p in params.items()}
    peer = theirs(list(tensors.values()))
    state = ours.start(params)
    for _ in range(10):
        grads = {name: rng.standard_normal(p.shape) for name, p in params.items()}
        for name, tensor in tensors.items():
            tensor.grad = torch.tensor(grads[name])
        peer.step()
        params, state = ours.step(params, grads, state)
    for name, tensor in tensors.items():
        np.testing.assert_allclose(params[name], tensor.detach().numpy(), rtol=1e-12)
