"""The dense convolutions of networks by two versions of numseg and by PyTorch, in turns.

    python -m benchmarks.conv_layers BEFORE AFTER --out FILE.json     # two checkouts of numseg
    python -m benchmarks.conv_layers BEFORE AFTER --nets vgg16 --size 225 --threads 2

Every distinct layer of the networks, and some sizes that networks make of odd images and batches.
Each checkout runs in a process of its own, as PyTorch does; they take turns (A B C A B C), and a
time is the least of all calls: of the CPU on one thread, which other programs disturb the least, of
the clock on several. Ratios are PyTorch's time / numseg's.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import numseg as ns
from numseg.files import write_whole
from numseg.training import make_network

NETS = ["resnet50", "fcn_resnet50", "deeplabv3_resnet50", "vgg16", "unet"]

OTHERS = [  # channels, filters, kernel, stride, dilation, size, images
    (192, 64, 1, 1, 1, 14, 1), (320, 1280, 1, 1, 1, 7, 1), (256, 256, 3, 1, 6, 33, 1),
    (2048, 256, 3, 1, 6, 33, 1), (64, 64, 3, 1, 1, 33, 1), (64, 64, 3, 1, 1, 65, 1),
    (64, 64, 3, 1, 1, 129, 1), (512, 512, 3, 1, 1, 7, 4), (96, 24, 1, 1, 1, 56, 1),
    (24, 144, 1, 1, 1, 56, 1), (64, 19, 3, 1, 1, 64, 1), (64, 128, 3, 2, 1, 112, 1),
]  # fmt: skip

WORKER = """
import json, os, sys, time
import numpy as np
who, threads = sys.argv[1], int(sys.argv[2])
clock = time.thread_time if threads == 1 else time.perf_counter
if who == "torch":
    import torch
    torch.set_num_threads(threads)
else:
    import numseg as ns
    ns.set_num_threads(threads)

def calls(x, w, params):
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(shape, np.float32) for shape in (x, w))
    if who != "torch":
        y, saved = ns.conv2d.forward(x, w, **params)
        gy = np.ones_like(y)
        def back():
            return ns.conv2d.backward(saved, gy, needs=["x", "weight"])
        return lambda: ns.conv2d(x, w, **params), back
    x, w = torch.from_numpy(x), torch.from_numpy(w)
    s, p, d = (params[n] for n in ("stride", "padding", "dilation"))
    y = torch.nn.functional.conv2d(x, w, None, s, p, d)
    gy, pair = torch.ones_like(y), lambda v: [v, v]
    def back():
        return torch.ops.aten.convolution_backward(
            gy, x, w, None, pair(s), pair(p), pair(d), False, [0, 0], 1, [True, True, False])
    return lambda: torch.nn.functional.conv2d(x, w, None, s, p, d), back

print("ready", flush=True)
key = None
for line in sys.stdin:
    order = json.loads(line)
    if order[0] != key:
        key, work = order[0], calls(*order[0])
        for call in work:
            call()
    times = []
    for call in work:
        best, end, count = 1e9, time.perf_counter() + order[1], 0
        while count < 2 or time.perf_counter() < end:
            begin = clock()
            call()
            best, count = min(best, clock() - begin), count + 1
        times.append(1e3 * best)
    print(json.dumps(times), flush=True)
"""


class Worker:
    """A process that times convolutions."""

    def __init__(self, who: str, checkout: Path, threads: int) -> None:
        names = "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMSEG_NUM_THREADS"
        environment = {**os.environ, **dict.fromkeys(names, str(threads))}
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", WORKER, who, str(threads)], text=True,
            cwd=checkout, env={**environment, "PYTHONPATH": str(checkout)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self._answer()

    def milliseconds(self, order: Any) -> list[float]:
        """Forward, and backward."""
        print(json.dumps(order), file=self._process.stdin, flush=True)
        found: list[float] = json.loads(self._answer())
        return found

    def _answer(self) -> str:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise SystemExit("conv_layers: a process ended; its error is above")
        return line


def rows(nets: list[str], size: int) -> dict[str, Any]:
    """Shapes and parameters by label, each once."""
    found: dict[str, Any] = {}
    for name in nets:
        given = {"name": name} | ({"padding": "same"} if name == "unet" else {})
        given |= {"in_channels": 3, "classes": 21}
        graph = make_network(given)
        shape = (1, 3, size, size)
        weights = {param.name: param.shape for param in graph.params}
        shapes = {**graph.shapes(shape), graph.inputs[0].name: shape}
        for node in graph.nodes:
            if node.operator is not ns.conv2d or dict(node.attributes).get("groups", 1) > 1:
                continue
            x, w = (shapes | weights)[node.inputs[0].source], weights[node.inputs[1].source]
            attributes = dict(node.attributes)
            stride, dilation = attributes.get("stride", 1), attributes.get("dilation", 1)
            padding = attributes.get("padding", 0)
            if padding == "same":
                padding = dilation * (w[2] // 2)
            add(found, x, w, stride, padding, dilation)
    for c, f, k, stride, dilation, side, images in OTHERS:
        shape = (images, c, side, side)
        add(found, shape, (f, c, k, k), stride, dilation * (k // 2), dilation)
    return found


def add(found: dict[str, Any], x: Any, w: Any, stride: int, padding: int, dilation: int) -> None:
    params = {"stride": stride, "padding": padding, "dilation": dilation}
    node = f"{x[1]}>{w[0]} {w[2]}x{w[3]}"
    node += f" s{stride}" * (stride > 1) + f" d{dilation}" * (dilation > 1)
    found[f"{node} @{x[2]}" + f" x{x[0]}" * (x[0] > 1)] = [list(x), list(w), params]


def commit(checkout: Path) -> str:
    done = subprocess.run(
        ["git", "-C", str(checkout), "rev-parse", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"


def summary(found: dict[str, Any]) -> list[str]:
    lines = []
    for place, direction in enumerate(("forward", "forward and backward")):
        for who in ("before", "after"):
            ratios = {
                row: sum(t["torch"][: place + 1]) / sum(t[who][: place + 1])
                for row, t in found.items()
            }
            worst = min(ratios, key=lambda row: ratios[row])
            mean = statistics.geometric_mean(ratios.values())
            below = sum(ratio < 0.9 for ratio in ratios.values())
            lines.append(
                f"{direction}, {who}: geometric mean of {len(ratios)} {mean:.2f}, "
                f"{below} below 0.9, worst {worst} {ratios[worst]:.2f}"
            )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--commits", nargs=2, help="of the two, if they are no repositories")
    parser.add_argument("--nets", nargs="*", default=NETS)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.05, help="of a turn, for each call")
    parser.add_argument("--out", type=Path, help="a JSON file, written anew after every row")
    args = parser.parse_args()
    places = {"before": args.before, "after": args.after, "torch": args.after}
    workers = {who: Worker(who, place.resolve(), args.threads) for who, place in places.items()}
    commits = args.commits or [commit(args.before), commit(args.after)]
    about = {
        "machine": machine(), "threads": args.threads, "size": args.size,
        "before": commits[0], "after": commits[1],
    }  # fmt: skip
    found: dict[str, Any] = {}
    for row, problem in rows(args.nets, args.size).items():
        turns = [
            {who: worker.milliseconds([problem, args.seconds]) for who, worker in workers.items()}
            for _ in range(args.turns)
        ]
        found[row] = {
            who: [min(turn[who][place] for turn in turns) for place in (0, 1)] for who in workers
        }
        shown = [f"{who} {t[0]:8.3f} {t[1]:8.3f}" for who, t in found[row].items()]
        print(f"{row:28} {', '.join(shown)} ms", flush=True)
        if args.out:
            content = about | {"rows": found, "summary": summary(found)}
            write_whole(args.out, (json.dumps(content, indent=1) + "\n").encode())
    print("\n".join(summary(found)))


def machine() -> str:
    """The CPU's name, as far as the system tells it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return f"{platform.machine()} {line.split(':', 1)[1].strip()}"
    return platform.machine()


if __name__ == "__main__":
    main()
