"""The permutohedral lattice beside pydensecrf: ``python -m benchmarks.dense_crf [--threads N]``.

Float32, real photographs, the bilateral kernel (80 pixels, 13 grey values) and the Gaussian one (3
pixels), 2 labels and 21. Contenders take turns in one process, and each time is the least of many:
other programs can only add to it. Before anything is timed the results are compared.

- build: the lattice and its normalization, from features; ours ``build`` and a filter of ones,
  pydensecrf's ``addPairwiseEnergy``.
- filter: values once through the lattice; ours ``filtered`` (with the normalization in its
  weights), pydensecrf's a step of inference less a step without any kernel: it gives access to no
  less. So its time is a difference, and rough where it is small.

On one thread, times are those of the CPU, which wait for no other program; on more, of the wall.
``--memory`` measures the peak of both in processes of their own, beyond that of making the
features, which hides some of it for large pictures.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import numseg as ns
from numseg.kernels.lattice.build import build
from numseg.kernels.lattice.filter import filtered

ROWS = [
    ("astronaut", 512, 512, 2),
    ("astronaut", 512, 512, 21),
    ("coffee", 400, 600, 2),
    ("coffee", 400, 600, 21),
    ("chelsea", 375, 500, 2),
    ("chelsea", 375, 500, 21),
    ("astronaut", 1024, 1024, 21),
]
"""A photograph, rows and columns that it is brought to by cropping or doubling, labels."""

Call = Callable[[], Any]


def photograph(name: str, rows: int, columns: int) -> np.ndarray:
    from skimage import data

    image = getattr(data, name)()
    again = max(-(-rows // image.shape[0]), -(-columns // image.shape[1]))
    if again > 1:  # pixels between pixels, so that there are as many colours as in a photograph
        x = image.transpose(2, 0, 1)[None].astype(np.float32)
        x = ns.upsample_bilinear2d(x, scale_factor=again)
        image = x[0].round().astype(np.uint8).transpose(1, 2, 0)
    return np.ascontiguousarray(image[:rows, :columns])


def features(image: np.ndarray, kernel: str) -> np.ndarray:
    """(D, points)."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    planes = [x / 3, y / 3] if kernel == "gaussian" else [x / 80, y / 80]
    if kernel == "bilateral":
        planes += [image[..., c] / 13 for c in range(3)]
    return np.stack(planes).reshape(len(planes), -1).astype(np.float32)


class Ours:
    def __init__(self, planes: np.ndarray, q: np.ndarray) -> None:
        self.features, self.rows = planes.T, np.ascontiguousarray(q.T)
        self.out, self.ones = np.empty_like(self.rows), np.ones((len(self.rows), 1), np.float32)

    def build(self) -> None:
        self.lattice = build(self.features)
        n = np.empty_like(self.ones)
        filtered(self.lattice, self.ones, n)
        self.lattice.weights[:] *= (n + np.float32(1e-20)) ** np.float32(-0.5)  # the shares, too

    def filter(self) -> np.ndarray:
        filtered(self.lattice, self.rows, self.out)
        return self.out


class Theirs:
    STEPS = 2

    def __init__(self, planes: np.ndarray, q: np.ndarray) -> None:
        self.planes, self.q = planes, q
        self.unary, self.empty = np.ascontiguousarray(-np.log(q)), self._crf()

    def _crf(self) -> Any:
        import pydensecrf.densecrf as densecrf

        return densecrf.DenseCRF(self.q.shape[1], self.q.shape[0])

    def build(self) -> None:
        self.full = self._crf()
        self.full.addPairwiseEnergy(self.planes, compat=0.01)

    def steps(self, crf: Any) -> Any:
        crf.setUnaryEnergy(self.unary)
        states = crf.startInference()
        return states, lambda: [crf.stepInference(*states) for _ in range(self.STEPS)]

    def filtered(self) -> np.ndarray:
        """K of the difference of the first two labels."""
        self.full.setUnaryEnergy(self.unary)
        states = self.full.startInference()
        self.full.stepInference(*states)
        q = np.array(states[0], np.float64)
        return (np.log(q[0] / q[1]) - np.log(self.q[0] / self.q[1])) / 0.01


def least(calls: dict[str, Call], turns: int, clock: Callable[[], float]) -> dict[str, float]:
    found = dict.fromkeys(calls, np.inf)
    for _ in range(turns):
        for name, call in calls.items():
            begin = clock()
            call()
            found[name] = min(found[name], clock() - begin)
    return found


def measure(row: tuple[str, int, int, int], kernel: str, threads: int, turns: int) -> str:
    name, h, w, labels = row
    planes = features(photograph(name, h, w), kernel)
    rng = np.random.default_rng(0)
    q = rng.uniform(0.5, 1, (labels, h * w)).astype(np.float32)
    q /= q.sum(0)
    ours, theirs = Ours(planes, q), Theirs(planes, q)
    clock = time.thread_time if threads == 1 else time.perf_counter
    ns.set_num_threads(threads)
    ours.build()
    theirs.build()
    y, wanted = ours.filter(), theirs.filtered()
    error = np.abs(y[:, 0] - y[:, 1] - wanted).max()
    assert error < 2e-3 * max(1, np.abs(wanted).max()), f"the two differ by {error}"
    t = least({"ours": ours.build, "theirs": theirs.build}, turns, clock)
    full, empty = theirs.steps(theirs.full)[1], theirs.steps(theirs.empty)[1]
    f = least({"ours": ours.filter, "full": full, "empty": empty}, turns, clock)
    theirs_filter = (f["full"] - f["empty"]) / theirs.STEPS
    return (
        f"{name:>10} {h:>5} x {w:<5} {labels:>6} {kernel:>10} {ours.lattice.number:>9} "
        f"{1e3 * t['ours']:>8.1f} {1e3 * t['theirs']:>8.1f} {t['theirs'] / t['ours']:>6.2f} "
        f"{1e3 * f['ours']:>8.1f} {1e3 * theirs_filter:>8.1f} {theirs_filter / f['ours']:>6.2f}"
    )


def peak(who: str, size: int, labels: int, kernel: str) -> float:
    """Bytes beyond what there was before, of a build and a filter, in this process."""
    planes = features(photograph("astronaut", size, size), kernel)
    q = np.full((labels, size * size), 1 / labels, np.float32)
    small = planes[:, :64].copy(), q[:, :64].copy()
    contender = {"ours": Ours, "theirs": Theirs}[who]
    for arrays in (small, (planes, q)):  # compiled, imported
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        it: Any = contender(*arrays)
        it.build()
        it.filter() if who == "ours" else it.steps(it.full)[1]()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024.0


def memory() -> None:
    print("peak memory in MB, numseg and pydensecrf, bilateral")
    for size, labels in ((512, 2), (512, 21), (1024, 2), (1024, 21), (2048, 2), (4096, 2)):
        line = []
        for who in ("ours", "theirs"):
            command = [sys.executable, "-m", "benchmarks.dense_crf", "--peak", who]
            command += ["--case", json.dumps([size, labels, "bilateral"])]
            line.append(float(subprocess.run(command, capture_output=True, check=True).stdout))
        print(f"{size:>6} {labels:>4} {line[0] / 1e6:>10.0f} {line[1] / 1e6:>10.0f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--peak", choices=["ours", "theirs"])
    parser.add_argument("--case")
    given = parser.parse_args()
    if given.peak:
        print(peak(given.peak, *json.loads(given.case)))
    elif given.memory:
        memory()
    else:
        print(f"{'':>31} {'':>10} {'vertices':>9} {'build':>8} {'peer':>8} {'ratio':>6}"
              f" {'filter':>8} {'peer':>8} {'ratio':>6}   milliseconds")  # fmt: skip
        for row in ROWS:
            for kernel in ("bilateral", "gaussian"):
                print(measure(row, kernel, given.threads, given.turns), flush=True)


if __name__ == "__main__":
    main()
