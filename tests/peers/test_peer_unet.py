"""U-Net against the same network in PyTorch, with the same parameters under the same names."""

from __future__ import annotations

import numpy as np
import pytest

from numseg.nets import unet

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers


def peer(depth: int, width: int, padding: int, norm: bool):
    """The network as one would write it in PyTorch, without a look at numseg's."""
    nn = torch.nn

    class Pair(nn.Module):
        def __init__(self, c: int, f: int) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(c, f, 3, padding=padding, bias=not norm)
            self.conv2 = nn.Conv2d(f, f, 3, padding=padding, bias=not norm)
            self.norm1 = nn.BatchNorm2d(f) if norm else nn.Identity()
            self.norm2 = nn.BatchNorm2d(f) if norm else nn.Identity()

        def forward(self, x):
            x = torch.relu(self.norm1(self.conv1(x)))
            return torch.relu(self.norm2(self.conv2(x)))

    class UNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            widths = [width * 2**level for level in range(depth + 1)]
            for level in range(1, depth + 1):
                f = widths[level - 1]
                self.add_module(f"enc{level}", Pair(2 if level == 1 else f // 2, f))
                self.add_module(f"up{level}", nn.ConvTranspose2d(2 * f, f, 2, stride=2))
                self.add_module(f"dec{level}", Pair(2 * f, f))
            self.mid = Pair(widths[-2], widths[-1])
            self.head = nn.Conv2d(width, 3, 1)

        def forward(self, x):
            skips = []
            for level in range(1, depth + 1):
                x = self.get_submodule(f"enc{level}")(x)
                skips.append(x)
                x = torch.max_pool2d(x, 2)
            x = self.mid(x)
            for level in range(depth, 0, -1):
                x = self.get_submodule(f"up{level}")(x)
                skip = skips[level - 1]
                top, left = ((skip.shape[j] - x.shape[j]) // 2 for j in (2, 3))
                skip = skip[:, :, top : top + x.shape[2], left : left + x.shape[3]]
                x = self.get_submodule(f"dec{level}")(torch.cat([skip, x], 1))
            return self.head(x)

    return UNet()


@pytest.mark.parametrize(("padding", "norm"), [("valid", False), ("same", True)])
def test_values_gradients_and_state(padding: str, norm: bool):
    graph = unet(2, 3, width=4, depth=2, padding=padding, norm=norm)
    params = graph.init(seed=5, dtype=np.float64)
    model = peer(2, 4, 0 if padding == "valid" else 1, norm).double()
    state = {name: torch.from_numpy(array) for name, array in params.items()}
    found = model.load_state_dict(state, strict=False)
    assert found.unexpected_keys == []
    assert {name.split(".")[-1] for name in found.missing_keys} <= {"num_batches_tracked"}

    x = np.random.default_rng(0).normal(size=(2, 2, 44, 48))
    image = torch.from_numpy(x).requires_grad_()
    expected = model.train()(image)
    grad_y = np.random.default_rng(1).normal(size=expected.shape)
    expected.backward(torch.from_numpy(grad_y))

    y, tape = graph.forward(params, x)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-10, atol=1e-12)
    grads = graph.backward(tape, grad_y)
    np.testing.assert_allclose(grads["x"], image.grad.numpy(), rtol=1e-10, atol=1e-12)
    for name, parameter in model.named_parameters():
        np.testing.assert_allclose(grads[name], parameter.grad.numpy(), rtol=1e-10, atol=1e-12)
    assert set(grads) == {"x", *dict(model.named_parameters())}
    buffers = {n: b for n, b in model.named_buffers() if "running" in n}
    assert set(tape.updates) == set(buffers)
    for name, buffer in buffers.items():
        np.testing.assert_allclose(tape.updates[name], buffer.numpy(), rtol=1e-12)

    # and for inference, by the new statistics
    with torch.no_grad():
        expected = model.eval()(image)
    y = graph.run({**params, **tape.updates}, x)
    np.testing.assert_allclose(y, expected.numpy(), rtol=1e-10, atol=1e-12)
