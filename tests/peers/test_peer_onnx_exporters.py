"""Networks that PyTorch exported, by both exporters, at one size and at all, in ONNX Runtime."""

from __future__ import annotations

import functools
import io
import warnings
from typing import Any

import numpy as np
import pytest

from numseg.graph import digest
from numseg.interop.onnx import exported, load

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
torch = pytest.importorskip("torch")
torchvision = pytest.importorskip("torchvision")

pytestmark = pytest.mark.peers

SIZE, OTHER = (64, 96), (96, 64)


def unet() -> Any:
    """Two levels, with batch normalisation, as one writes it."""
    nn = torch.nn

    def block(c: int, k: int) -> Any:
        layers: list[Any] = []
        for n in (c, k):
            layers += [nn.Conv2d(n, k, 3, padding=1, bias=False), nn.BatchNorm2d(k), nn.ReLU()]
        return nn.Sequential(*layers)

    class UNet(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = block(3, 8), block(8, 16), block(16, 32)
            self.up2, self.up1 = nn.ConvTranspose2d(32, 16, 2, 2), nn.ConvTranspose2d(16, 8, 2, 2)
            self.d, self.e, self.head = block(32, 16), block(16, 8), nn.Conv2d(8, 4, 1)

        def forward(self, x: Any) -> Any:
            pool = torch.nn.functional.max_pool2d
            a = self.a(x)
            b = self.b(pool(a, 2))
            d = self.d(torch.cat([self.up2(self.c(pool(b, 2))), b], 1))
            return self.head(self.e(torch.cat([self.up1(d), a], 1)))

    return UNet()


class Scores(torch.nn.Module):  # type: ignore[misc, name-defined]
    """The scores alone, of all that torchvision's networks give."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Any) -> Any:
        return self.network(x)["out"]


@functools.cache
def network(name: str) -> Any:
    """With fresh weights and statistics; :mod:`benchmarks.onnx_rounding` says why."""
    torch.manual_seed(0)
    if name == "unet":
        return unet().eval()
    make = getattr(torchvision.models.segmentation, name)
    made = make(weights=None, weights_backbone=None, num_classes=21, aux_loss=False)
    return Scores(made).eval()


def export(name: str, dynamo: bool, dynamic: bool) -> Any:
    file, x = io.BytesIO(), torch.randn(1, 3, *SIZE)
    how: dict[str, Any] = {}
    if dynamic and dynamo:
        axes = {
            2: torch.export.Dim("h", min=32, max=512),
            3: torch.export.Dim("w", min=32, max=512),
        }
        if name == "unet":  # halved twice, and put together again
            axes = {d: 4 * torch.export.Dim(f"q{d}", min=8, max=128) for d in (2, 3)}
        how["dynamic_shapes"] = (axes,)
    elif dynamic:
        how["dynamic_axes"] = {"x": {2: "h", 3: "w"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = torch.onnx.export(
            network(name), (x,), None if dynamo else file, dynamo=dynamo, input_names=["x"],
            output_names=["y"], verbose=False, **how,
        )  # fmt: skip
    return made.model_proto if dynamo else onnx.load_from_string(file.getvalue())


def ort(model: Any, x: Any) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {session.get_inputs()[0].name: x})[0]


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize("dynamo", [False, True], ids=["TorchScript", "dynamo"])
@pytest.mark.parametrize(
    "name", ["unet", "fcn_resnet50", "deeplabv3_resnet50", "deeplabv3_mobilenet_v3_large"]
)
def test_exported_networks(name: str, dynamo: bool, dynamic: bool):
    """To 1e-4 of ONNX Runtime; and import, export, import gives the same graph."""
    model = export(name, dynamo, dynamic)
    graph, params = load(model)
    rng = np.random.default_rng(0)
    for size in (SIZE, OTHER) if dynamic else (SIZE,):
        x = rng.standard_normal((1, 3, *size), dtype=np.float32)
        ours, theirs = graph.run(params, x), ort(model, x)
        assert ours.shape == theirs.shape
        assert np.abs(theirs).max() > 0
        assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max()
    shape = (1, 3, None, None) if dynamic else (1, 3, *SIZE)
    again, arrays = load(exported(graph, params, [shape]))
    assert digest(again) == digest(graph)
    np.testing.assert_array_equal(again.run(arrays, x), graph.run(params, x))
