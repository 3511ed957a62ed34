"""roi_pool against torchvision, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

torch = pytest.importorskip("torch")
ops = pytest.importorskip("torchvision.ops")
pytestmark = pytest.mark.peers


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1.0, 0.5, 0.3, 1 / 16])
@pytest.mark.parametrize("output", [1, (3, 2), 7, (11, 13)])
def test_torchvision(output, scale, dtype):
    rng = np.random.default_rng([int(1 / scale), np.sum(output)])
    x = rng.normal(size=(2, 18, 60, 40)).astype(dtype)
    x[:, :, ::3, ::2] = rng.choice([np.nan, 1.0, -np.inf], x[:, :, ::3, ::2].shape)
    start, extent = rng.uniform(-20, 60, (60, 2)), rng.uniform(-5, 64, (60, 2))
    start[::2], extent[::2] = np.round(2 * start[::2]) / 2, np.round(extent[::2])
    boxes = np.concatenate([start, start + extent], 1) / scale
    rois = np.concatenate([rng.integers(0, 2, (60, 1)), boxes], 1).astype(dtype)
    theirs_x = torch.tensor(x, requires_grad=True)
    theirs = ops.roi_pool(theirs_x, torch.tensor(rois), output, scale)
    _, argmax = torch.ops.torchvision.roi_pool(
        *(theirs_x, torch.tensor(rois), scale), *np.broadcast_to(output, 2).tolist()
    )
    gy = rng.normal(size=theirs.shape).astype(dtype)
    theirs.backward(torch.tensor(gy))
    ours, saved = ns.roi_pool.forward(x, rois, output, scale)
    np.testing.assert_array_equal(ours, theirs.detach().numpy())
    np.testing.assert_array_equal(saved.indices, argmax.numpy())
    np.testing.assert_array_equal(ns.roi_pool.backward(saved, gy)[0], theirs_x.grad.numpy())
