"""Whose rounding it is: PyTorch's ResNets by numseg, ONNX Runtime and PyTorch, beside float64.

    python -m benchmarks.onnx_rounding --size 128

Batch statistics are those of noise, so that activations neither vanish nor grow. Errors are shares
of the largest number of PyTorch's output in float64. The exporter folds batch normalisation into
weights, which are float32: numseg in float64 on the exported model says what that alone changes.
"""

from __future__ import annotations

import argparse
import copy
import io
import warnings
from typing import Any

import numpy as np

from numseg.interop.onnx import load


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=128, help="rows and columns (default: 128)")
    size = parser.parse_args().size
    for name in ("fcn_resnet50", "deeplabv3_resnet50"):
        exact, found = outputs(name, size)
        print(f"{name}, {size} x {size}: largest error, and root of the mean square")
        scale = np.abs(exact).max()
        for who, y in found.items():
            error = np.abs(y - exact) / scale
            print(f"  {who:<24} {error.max():.1e}  {np.sqrt(np.mean(error**2)):.1e}")
        apart = np.abs(found["numseg, kernels"] - found["ONNX Runtime"]).max() / scale
        print(f"  numseg, kernels, beside ONNX Runtime: {apart:.1e}", flush=True)


def outputs(name: str, size: int) -> tuple[Any, dict[str, Any]]:
    """PyTorch's in float64, and what else there is."""
    import torch

    network = noisy(name)
    x = torch.randn(1, 3, size, size)
    with torch.no_grad():
        single = network(x).numpy()
        exact = copy.deepcopy(network).double()(x.double()).numpy()
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(network, x, file, dynamo=False, input_names=["x"], output_names=["y"])
    import onnx

    graph, params = load(onnx.load_from_string(file.getvalue()))
    wide = {n: a.astype(np.float64) if a.dtype.kind == "f" else a for n, a in params.items()}
    return exact, {
        "numseg, float64": graph.run(wide, x.numpy().astype(np.float64)),
        "numseg, kernels": graph.run(params, x.numpy()),
        "ONNX Runtime": runtime(file.getvalue(), x.numpy(), "ORT_DISABLE_ALL"),
        "ONNX Runtime, optimized": runtime(file.getvalue(), x.numpy(), "ORT_ENABLE_ALL"),
        "PyTorch": single,
    }


def noisy(name: str) -> Any:
    """One of torchvision's networks with fresh weights, and batch statistics of noise."""
    import torch
    import torchvision

    torch.manual_seed(0)
    make = getattr(torchvision.models.segmentation, name)
    made = make(weights=None, weights_backbone=None, num_classes=21, aux_loss=False).train()
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the mean over all batches
    with torch.no_grad():
        for _ in range(2):
            made(torch.randn(2, 3, 128, 128))

    class Scores(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = made.eval()

        def forward(self, x: Any) -> Any:
            return self.network(x)["out"]

    return Scores().eval()


def runtime(model: bytes, x: Any, level: str) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


if __name__ == "__main__":
    main()
