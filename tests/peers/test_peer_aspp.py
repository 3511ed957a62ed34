"""aspp2d against torchvision's ASPP."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

torch = pytest.importorskip("torch")
deeplab = pytest.importorskip("torchvision.models.segmentation.deeplabv3")

pytestmark = pytest.mark.peers


@pytest.mark.parametrize("rates", [(6, 12, 18), (12, 24, 36)])
def test_aspp_is_torchvisions_up_to_its_projection(rates):
    torch.manual_seed(0)
    theirs = deeplab.ASPP(8, rates, 4).double().eval()
    norms = [m for c in theirs.convs for m in c.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        torch.nn.init.normal_(norm.running_mean)
        torch.nn.init.uniform_(norm.running_var, 0.5, 2)
        torch.nn.init.normal_(norm.weight)
        torch.nn.init.normal_(norm.bias)
    x = torch.randn(2, 8, 21, 17, dtype=torch.float64)
    with torch.no_grad():
        wanted = torch.cat([branch(x) for branch in theirs.convs], 1)
    weights = [
        m.weight.detach().numpy()
        for c in theirs.convs
        for m in c.modules()
        if isinstance(m, torch.nn.Conv2d)
    ]
    *ws, w_pool = weights
    y = ns.aspp2d(x.numpy(), ws, w_pool, rates=(1, *rates))
    mean, var, weight, bias = (
        np.concatenate([getattr(norm, name).detach().numpy() for norm in norms])
        for name in ("running_mean", "running_var", "weight", "bias")
    )
    y = ns.relu(ns.batch_norm(y, mean, var, weight, bias, training=False))
    np.testing.assert_allclose(y, wanted, rtol=1e-11, atol=1e-11)
