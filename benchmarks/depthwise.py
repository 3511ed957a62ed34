"""Depthwise convolutions beside PyTorch over a grid: ``python -m benchmarks.depthwise --save``.

Channels from 16 to 2048, images from 7 to 112 pixels, kernels of 3, 5 and 7, strides 1 and 2,
dilations 1 and 2, and the shapes of Xception and DeepLab at 33 pixels; one image, float32. Forward,
the gradient of x, and that of the weight, each in turns with PyTorch in one process: minima of
repetitions, on one thread of the process's CPU time, as the machine may be busy with other work.
The ratio is PyTorch's time over numseg's.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import numseg as ns

RESULTS = Path(__file__).parent / "results"
CHANNELS, SIZES = (16, 64, 144, 384, 960, 2048), (7, 14, 28, 33, 56, 112)
MOST_NUMBERS = 64 * 112 * 112
"""Of an image: no network has 2048 channels of 112 x 112 pixels."""
DIRECTIONS = "forward", "grad_x", "grad_weight"


class Row(NamedTuple):
    channels: int
    size: int
    kernel: int
    stride: int
    dilation: int


def rows() -> Iterator[Row]:
    for kernel, stride, dilation in itertools.product((3, 5, 7), (1, 2), (1, 2)):
        for channels, size in itertools.product(CHANNELS, SIZES):
            if channels * size**2 <= MOST_NUMBERS:
                yield Row(channels, size, kernel, stride, dilation)
    for channels, dilation in itertools.product((728, 1024, 1536, 2048), (1, 2, 4, 12)):
        yield Row(channels, 33, 3, 1, dilation)


def fastest(calls: list[Callable[[], Any]], seconds: float) -> list[float]:
    """The shortest time of each, in microseconds, in turns."""
    clock = time.process_time if ns.get_num_threads() == 1 else time.perf_counter
    times: list[list[float]] = [[] for _ in calls]
    for call in calls:
        call()
    end = clock() + seconds
    while clock() < end or len(times[0]) < 4:
        for call, found in zip(calls, times, strict=True):
            start = clock()
            call()
            found.append(clock() - start)
    return [1e6 * min(found) for found in times]


def measure(row: Row, torch: Any, seconds: float) -> dict[str, list[float]]:
    """For each direction numseg's and PyTorch's time, once their results agree."""
    c, size, k, stride, dilation = row
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, c, size, size), np.float32)
    w = rng.standard_normal((c, 1, k, k), np.float32)
    given: Any = {"stride": stride, "padding": dilation * (k // 2), "dilation": dilation}
    y, saved = ns.conv2d.forward(x, w, groups=c, **given)
    gy = rng.standard_normal(y.shape, np.float32)
    tx, tw, tgy = (torch.from_numpy(a) for a in (x, w, gy))
    sizes = [[value] * 2 for value in given.values()]

    def theirs(*mask: bool) -> Any:
        return torch.ops.aten.convolution_backward(
            tgy, tx, tw, None, *sizes, False, [0, 0], c, [*mask, False]
        )

    calls: list[list[Callable[[], Any]]] = [
        [
            lambda: ns.conv2d(x, w, groups=c, **given),
            lambda: torch.nn.functional.conv2d(tx, tw, groups=c, **given),
        ],
        [lambda: ns.conv2d.backward(saved, gy, needs=["x"])[0], lambda: theirs(True, False)[0]],
        [
            lambda: ns.conv2d.backward(saved, gy, needs=["weight"])[1],
            lambda: theirs(False, True)[1],
        ],
    ]
    found = {}
    for direction, (ours, peer) in zip(DIRECTIONS, calls, strict=True):
        want = peer().numpy()
        np.testing.assert_allclose(ours(), want, rtol=1e-3, atol=1e-4 * np.abs(want).max())
        found[direction] = fastest([ours, peer], seconds)
    return found


def draw(table: list[dict[str, Any]], file: Path) -> None:
    """A heat map: a square for each row of the grid and direction, red below 1."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    kinds = sorted({(r["kernel"], r["stride"], r["dilation"]) for r in table})
    places = sorted({(r["size"], r["channels"]) for r in table})
    figure, axes = plt.subplots(3, 1, figsize=(13, 11), sharex=True, layout="constrained")
    for axis, direction in zip(axes, DIRECTIONS, strict=True):
        cells = np.full((len(kinds), len(places)), np.nan)
        for r in table:
            ours, theirs = r[direction]
            i = kinds.index((r["kernel"], r["stride"], r["dilation"]))
            cells[i, places.index((r["size"], r["channels"]))] = theirs / ours
        image = axis.imshow(np.log2(cells), cmap="RdBu", vmin=-2, vmax=2, aspect="auto")
        for (i, j), ratio in np.ndenumerate(cells):
            if ratio == ratio:
                axis.text(j, i, f"{ratio:.1f}", ha="center", va="center", fontsize=6)
        axis.set_title(f"{direction}: PyTorch's time / numseg's", loc="left")
        axis.set_yticks(range(len(kinds)), [f"{k}x{k} /{s} d{d}" for k, s, d in kinds], fontsize=7)
        axis.set_xticks(
            range(len(places)), [f"{c}@{s}" for s, c in places], rotation=90, fontsize=7
        )
    bar = figure.colorbar(image, ax=axes, shrink=0.4)
    bar.set_ticks([-2, -1, 0, 1, 2], labels=["1/4", "1/2", "1", "2", "4"])
    figure.savefig(file, dpi=110)


def report(table: list[dict[str, Any]]) -> None:
    for direction in DIRECTIONS:
        ratios = sorted((r[direction][1] / r[direction][0], Row(*(r[f] for f in Row._fields)))
                        for r in table)  # fmt: skip
        mean = float(np.exp(np.mean(np.log([ratio for ratio, _ in ratios]))))
        below = sum(ratio < 0.85 for ratio, _ in ratios)
        print(f"{direction}: geometric mean {mean:.2f}, {below} of {len(ratios)} below 0.85; worst")
        for ratio, row in ratios[:6]:
            print(f"  {ratio:.2f}  {tuple(row)}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.05, help="for each pair of calls")
    parser.add_argument("--save", action="store_true", help="JSON and a picture into results/")
    parser.add_argument("--draw", action="store_true", help="the picture of the saved JSON alone")
    args = parser.parse_args()
    file = RESULTS / f"depthwise_{args.threads}.json"
    if args.draw:
        draw(json.loads(file.read_text())["rows"], file.with_suffix(".png"))
        return
    import torch

    torch.set_num_threads(args.threads)
    ns.set_num_threads(args.threads)
    table = [row._asdict() | measure(row, torch, args.seconds) for row in rows()]
    report(table)
    if args.save:
        machine = {
            "machine": platform.processor() or platform.machine(),
            "torch": torch.__version__,
        }
        lines = ",\n".join(json.dumps(row) for row in table)
        file.write_text(json.dumps(machine)[:-1] + f', "rows": [\n{lines}\n]}}\n')
        draw(table, file.with_suffix(".png"))


if __name__ == "__main__":
    main()
