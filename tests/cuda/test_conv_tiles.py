"""conv2d by tiles: every kernel, at sizes that do not fill its tiles, against the definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numseg as ns
from numseg.cuda import runtime
from numseg.cuda.arrays import Cuda
from numseg.typing import Array

if not runtime.cuda_available():
    pytest.skip("no GPU: NUMBA_ENABLE_CUDASIM=1 pytest tests/cuda", allow_module_level=True)

from numseg.ops.conv2d import cuda as conv2d
from numseg.ops.conv2d import cuda_tiles

CALLS: dict[str, Any] = {
    # x, weight, parameters
    "3x3": ((2, 3, 5, 4), (5, 3, 3, 3), {"padding": 1}),
    "stride and dilation": (
        *((1, 4, 9, 8), (6, 2, 3, 2)),
        {"stride": 2, "dilation": (3, 1), "groups": 2},
    ),
    "pixels that no tap meets": (
        *((2, 4, 7, 8), (6, 4, 1, 3)),
        {"stride": 2, "dilation": (1009, 2)},
    ),
    "as many taps as there are bits": ((1, 2, 3, 17), (3, 2, 1, 15), {"padding": (0, 9)}),
    "1x1": ((3, 6, 2, 4), (18, 6, 1, 1), {}),
    "1x1 of odd planes": ((2, 5, 3, 3), (4, 5, 1, 1), {}),
}  # fmt: skip
GROWN = 16 if not runtime.simulated() else 1
"""Times as many channels and filters on a GPU, where tiles are larger."""


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kernels by tiles that were launched."""
    names: list[str] = []
    launch = cuda_tiles.launch_blocks

    def noted(kernel: Any, blocks: int, *args: Any) -> None:
        names.append(kernel.function.__name__)
        launch(kernel, blocks, *args)

    monkeypatch.setattr(cuda_tiles, "launch_blocks", noted)
    return names


def arrays(call: str, dtype: Any) -> tuple[list[Array], dict[str, Any]]:
    (n, c, *size), (f, cg, *kernel), parameters = CALLS[call]
    rng = np.random.default_rng(3)
    shapes = (n, c * GROWN, *size), (f * GROWN, cg * GROWN, *kernel), (f * GROWN,)
    return [rng.integers(-4, 5, shape).astype(dtype) for shape in shapes], parameters


def both(given: list[Array], parameters: dict[str, Any], grad: Array) -> Any:
    """Value and gradients on CUDA, and by definition."""
    found = []
    for op, up in ((ns.conv2d, Cuda.from_host), (ns.conv2d.reference, np.asarray)):
        y, saved = op.forward(*map(up, given), **parameters)
        grads = op.backward(saved, up(grad))
        found.append([np.asarray(Cuda.to_host(a) if op is ns.conv2d else a) for a in (y, *grads)])
    return zip(*found, strict=True)


@pytest.mark.parametrize("many", [1, 10**9], ids=["large", "small"])
@pytest.mark.parametrize("call", CALLS)
def test_exact_on_integers(
    call: str, many: int, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda_tiles, "ENOUGH", many)
    dtype = np.float32 if many == 1 else np.float64
    given, parameters = arrays(call, dtype)
    shape = ns.conv2d.output_shape(*(a.shape for a in given), **parameters)
    grad = np.random.default_rng(4).integers(-4, 5, shape).astype(dtype)
    for actual, expected in both(given, parameters, grad):
        np.testing.assert_array_equal(actual, expected)
    assert len(ran) >= 3, "some of the three directions have not run by tiles"
    assert any("add_weights" in name for name in ran)
    assert any("straight" in name for name in ran) == (call == "1x1")
    if call == "1x1":
        assert all(name.endswith("large" if many == 1 else "small") for name in ran[:1])


@pytest.mark.parametrize("value", [np.inf, np.nan])
@pytest.mark.parametrize("where", range(4), ids=["x", "weight", "bias", "grad_y"])
def test_what_is_not_finite_reaches_what_it_reaches_by_definition(where: int, value: float) -> None:
    """Taps that meet no output have no part in the image's gradient, though tiles multiply them by
    zero; forward, taps beyond the border are products with zero."""
    for call in ("3x3", "stride and dilation"):
        given, parameters = arrays(call, np.float32)
        shape = ns.conv2d.output_shape(*(a.shape for a in given), **parameters)
        every = [*given, np.random.default_rng(4).integers(-4, 5, shape).astype(np.float32)]
        every[where].reshape(-1)[every[where].size // 3] = value
        with np.errstate(invalid="ignore"):
            for actual, expected in both(every[:3], parameters, every[3]):
                np.testing.assert_array_equal(actual, expected)


def test_sizes_choose() -> None:
    """Few filters, strides of many phases and one channel to a filter are not for tiles."""

    def chosen(table: list[Any], x: Any, w: Any, **parameters: Any) -> str:
        g = ns.conv2d.plan(x, w, **parameters).geometry
        return str(next(run for suits, run in table if suits(g)).__name__)

    x, w = (2, 64, 32, 32), (64, 64, 3, 3)
    assert chosen(conv2d.FORWARD, x, w) == "forward"
    assert chosen(conv2d.FORWARD, x, (1, 64, 3, 3)) == "_plain_forward"
    assert chosen(conv2d.FORWARD, x, (64, 1, 3, 3), groups=64) == "_depthwise_forward"
    assert chosen(conv2d.INPUT_GRADIENT, x, w, stride=2) == "_tiled_grad_x"
    assert chosen(conv2d.INPUT_GRADIENT, x, w, stride=8) == "_plain_grad_x"
    assert chosen(conv2d.WEIGHT_GRADIENT, x, w) == "grad_w"
    assert chosen(conv2d.WEIGHT_GRADIENT, x, (1, 64, 3, 3)) == "_plain_grad_w"
    assert chosen(conv2d.FORWARD, x, (64, 64, 1, 15)) == "forward"
    for table in (conv2d.FORWARD, conv2d.INPUT_GRADIENT, conv2d.WEIGHT_GRADIENT):
        assert chosen(table, x, (64, 64, 1, 16)).startswith("_plain")
    assert chosen(conv2d.FORWARD, (1, 2**15, 256, 256), (64, 2**15, 1, 1)) == "_plain_forward"
