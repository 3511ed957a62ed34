"""RoI operators on the CPU beside torchvision's.

    python benchmarks/roi.py            # where PyTorch and torchvision are installed

512 RoIs on 256 channels, 7 x 7 bins, float32. The contenders take turns (A B A B), so that a clock
that drifts drifts for all; a time is the median of the rounds, in milliseconds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torchvision

import numseg as ns

SIZES = [(1, 50, 50), (2, 50, 68), (2, 100, 136)]
SCALE = 1 / 16


def boxes(rng: np.random.Generator, k: int, n: int, h: int, w: int) -> Any:
    """A tenth to six tenths of the image along each axis, cut off at its border."""
    start = rng.uniform(0, 0.7, (k, 2))
    end = np.minimum(start + rng.uniform(0.1, 0.6, (k, 2)), 1)
    corners = np.concatenate([start, end], 1) * (w, h, w, h) / SCALE
    return np.concatenate([rng.integers(0, n, (k, 1)), corners], 1).astype(np.float32)


def rounds(runs: dict[str, Callable[[], Any]], count: int) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(count + 1):
        for name, run in runs.items():
            begin = time.perf_counter()
            run()
            if turn:  # the first is for compiling
                times[name].append(1000 * (time.perf_counter() - begin))
    return {name: statistics.median(values) for name, values in times.items()}


def contenders(ours: Any, theirs: Any, x: Any, rois: Any, *args: Any) -> dict[str, Any]:
    y, saved = ours.forward(x, rois, 7, SCALE, *args)
    gy = np.ones_like(y)
    tx, trois = torch.tensor(x, requires_grad=True), torch.tensor(rois)
    ty, tgy = theirs(tx, trois, 7, SCALE, *args), torch.tensor(gy)
    return {
        "forward": lambda: ours(x, rois, 7, SCALE, *args),
        "theirs": lambda: theirs(tx.detach(), trois, 7, SCALE, *args),
        "grad x": lambda: ours.backward(saved, gy, needs=["x"]),
        "theirs ": lambda: torch.autograd.grad(ty, tx, tgy, retain_graph=True),
        "all gradients": lambda: ours.backward(saved, gy),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=ns.get_num_threads())
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    ns.set_num_threads(arguments.threads)
    torch.set_num_threads(arguments.threads)
    print(f"{arguments.threads} threads, torchvision {torchvision.__version__}")
    rng = np.random.default_rng(0)
    cases = [
        ("roi_align, 2 samples", ns.roi_align, torchvision.ops.roi_align, (2,)),
        ("roi_align, adaptive", ns.roi_align, torchvision.ops.roi_align, (-1,)),
        ("roi_pool", ns.roi_pool, torchvision.ops.roi_pool, ()),
    ]
    for n, h, w in SIZES:
        x = rng.normal(size=(n, 256, h, w)).astype(np.float32)
        rois = boxes(rng, 512, n, h, w)
        for name, ours, theirs, args in cases:
            times = rounds(contenders(ours, theirs, x, rois, *args), arguments.rounds)
            shown = "  ".join(f"{key.strip()} {value:.1f}" for key, value in times.items())
            print(f"{name}, {n} x 256 x {h} x {w}: {shown}")


if __name__ == "__main__":
    main()
