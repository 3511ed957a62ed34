"""Resizing by filters and grid_sample beside PyTorch: ``python -m benchmarks.sampling``.

Forward, and forward with all gradients, float32, in turns with PyTorch in one process, medians. The
ratio is PyTorch's time over numseg's.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

import numseg as ns

RESIZED = [
    ("bicubic", False, (4, 3, 128, 128), (256, 256)),
    ("bicubic", False, (1, 64, 64, 64), (128, 128)),
    ("bicubic", False, (1, 21, 65, 65), (513, 513)),
    ("bicubic", False, (2, 3, 512, 512), (224, 224)),
    ("bicubic", True, (2, 3, 512, 512), (224, 224)),
    ("bicubic", True, (1, 64, 128, 128), (40, 40)),
    ("bilinear", True, (2, 3, 512, 512), (224, 224)),
    ("bilinear", True, (1, 64, 128, 128), (40, 40)),
]
SAMPLED = [
    ("bilinear", (4, 3, 256, 256), (256, 256)),
    ("bilinear", (2, 1, 512, 512), (512, 512)),
    ("bilinear", (1, 16, 128, 128), (128, 128)),
    ("bilinear", (1, 64, 64, 64), (64, 64)),
    ("bilinear", (1, 256, 33, 33), (65, 65)),
    ("nearest", (1, 64, 64, 64), (64, 64)),
    ("bicubic", (1, 64, 64, 64), (64, 64)),
]
RESIZE = {"bicubic": ns.upsample_bicubic2d, "bilinear": ns.upsample_bilinear2d}


class Row(NamedTuple):
    name: str
    op: Any
    arrays: list[Any]
    how: dict[str, Any]
    theirs: Callable[..., Any]


def rows() -> Iterator[Row]:
    from torch.nn import functional as f

    rng = np.random.default_rng(0)
    for mode, antialias, shape, size in RESIZED:
        how = {"size": size, "antialias": antialias}
        name = f"{mode}{' antialias' if antialias else ''} {shape} > {size}"
        x = rng.standard_normal(shape).astype(np.float32)
        yield Row(
            name, RESIZE[mode], [x], how, lambda x, h=how, m=mode: f.interpolate(x, mode=m, **h)
        )
    for mode, shape, size in SAMPLED:
        x = rng.standard_normal(shape).astype(np.float32)
        theta = np.tile(
            np.array([[0.9, -0.3, 0.1], [0.2, 0.8, -0.1]], np.float32), (shape[0], 1, 1)
        )
        grid = ns.affine_grid(theta, (shape[0], 1, *size))
        grid += rng.normal(0, 0.01, grid.shape).astype(np.float32)
        name = f"grid_sample {mode} {shape} > {size}"
        yield Row(name, ns.grid_sample, [x, grid], {"mode": mode},
                  lambda x, g, m=mode: f.grid_sample(x, g, m, align_corners=False))  # fmt: skip


def medians(calls: list[Callable[[], Any]], seconds: float) -> list[float]:
    """Of each, in milliseconds, in turns."""
    times: list[list[float]] = [[] for _ in calls]
    for call in calls:
        call()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[0]) < 3:
        for call, found in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            found.append(time.perf_counter() - start)
    return [1e3 * float(np.median(found)) for found in times]


def measured(row: Row, seconds: float) -> list[float]:
    import torch

    leaves = [torch.tensor(a, requires_grad=True) for a in row.arrays]
    grad = np.ones(row.op.output_shape(*(a.shape for a in row.arrays), **row.how), np.float32)
    torch_grad = torch.tensor(grad)

    def ours() -> None:
        _, saved = row.op.forward(*row.arrays, **row.how)
        row.op.backward(saved, grad)

    def theirs() -> None:
        torch.autograd.grad(row.theirs(*leaves), leaves, torch_grad)

    with torch.no_grad():
        forward = medians(
            [lambda: row.op(*row.arrays, **row.how), lambda: row.theirs(*leaves)], seconds
        )
    return [*forward, *medians([ours, theirs], seconds)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--seconds", type=float, default=1.0, help="for each of two figures of a row"
    )
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(arguments.threads)
    ns.set_num_threads(arguments.threads)
    print("| call | ms | ratio | with gradients, ms | ratio |\n|---|---|---|---|---|")
    for row in rows():
        ours, theirs, ours_both, theirs_both = measured(row, arguments.seconds)
        cells = (
            f"{ours:.2f} | {theirs / ours:.1f} | {ours_both:.2f} | {theirs_both / ours_both:.1f}"
        )
        print(f"| {row.name} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
