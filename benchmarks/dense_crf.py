"""The permutohedral lattice beside pydensecrf: ``python -m benchmarks.dense_crf [--threads N]``.

Float32, real photographs, the bilateral kernel (80 pixels, 13 grey values) and the Gaussian one (3
pixels), 2 labels and 21. Contenders take turns in one process, and each time is the least of many:
other programs can only add to it. Before anything is timed the results are compared.

- build: the lattice and its normalization, from features; ours ``build`` and a filter of ones,
  pydensecrf's ``addPairwiseEnergy``.
- filter: values once through the lattice; ours ``filtered`` (with the normalization in its
  weights), pydensecrf's a step of inference less a step without any kernel: it gives access to no
  less. So its time is a difference, and rough where it is small.

``--inference`` times ``ns.dense_crf`` whole, both kernels and 10 iterations, features and lattices
included, beside ``DenseCRF2D`` with all it needs, and forward and backward beside forward.

On one thread, times are those of the CPU, which wait for no other program; on more, of the wall.
``--memory`` measures the peak of both in processes of their own, beyond that of making the
features, which hides some of it for large pictures.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
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


# -- whole inference -------------------------------------------------------------------------------

SXY, WIDTH, COLOUR, SPATIAL, BILATERAL = 3, 80, 13, 3, 10


class OursWhole:
    def __init__(self, image: np.ndarray, unary: np.ndarray) -> None:
        self.x, self.unary = image.transpose(2, 0, 1)[None].astype(np.float32), unary[None]
        self.widths = np.full(2, SXY, np.float32), np.array([WIDTH] * 2 + [COLOUR] * 3, np.float32)
        self.compat = [np.array(w, np.float32) for w in (SPATIAL, BILATERAL)]
        self.grad = np.random.default_rng(1).normal(size=self.unary.shape).astype(np.float32)

    def features(self) -> list[Any]:
        positions, colours = self.widths
        return [ns.spatial_features(self.x, positions), ns.bilateral_features(self.x, colours)]

    def infer(self) -> Any:
        return ns.dense_crf(self.unary, self.features(), self.compat)[0]

    def step(self, needs: list[str] | None = None) -> None:
        """Forward and backward."""
        _, saved = ns.dense_crf.forward(self.unary, self.features(), self.compat)
        ns.dense_crf.backward(saved, self.grad, needs=needs)


class TheirsWhole:
    def __init__(self, image: np.ndarray, unary: np.ndarray) -> None:
        self.image, self.unary = image, unary

    def infer(self) -> Any:
        import pydensecrf.densecrf as densecrf

        labels, h, w = self.unary.shape
        crf = densecrf.DenseCRF2D(w, h, labels)
        crf.setUnaryEnergy(self.unary.reshape(labels, -1))
        crf.addPairwiseGaussian(sxy=SXY, compat=SPATIAL)
        crf.addPairwiseBilateral(sxy=WIDTH, srgb=COLOUR, rgbim=self.image, compat=BILATERAL)
        return np.array(crf.inference(10)).reshape(self.unary.shape)


def energies(image: np.ndarray, labels: int) -> np.ndarray:
    """(labels, h, w): those of a network that knows a little, by colours that pixels are near."""
    rng = np.random.default_rng(0)
    centres = rng.choice(image.reshape(-1, 3), labels).astype(np.float32)
    planes = [((image - c) ** 2).sum(-1) / 255**2 for c in centres]
    noise = rng.normal(scale=0.7, size=(labels, *image.shape[:2]))
    return np.ascontiguousarray(2 * np.stack(planes) + noise, np.float32)


def inference(row: tuple[str, int, int, int], threads: int, turns: int) -> dict[str, Any]:
    """Seconds of both, the least of the turns."""
    name, h, w, labels = row
    image = photograph(name, h, w)
    unary = energies(image, labels)
    ours, theirs = OursWhole(image, unary), TheirsWhole(image, unary)
    ns.set_num_threads(threads)
    y, wanted = ours.infer(), theirs.infer()
    assert (y.argmax(0) == wanted.argmax(0)).mean() > 0.999
    ours.step()
    clock = time.thread_time if threads == 1 else time.perf_counter
    found = least(
        {
            "ours": ours.infer,
            "theirs": theirs.infer,
            "unary, compat": lambda: ours.step(["unary", "compat"]),
            "all gradients": ours.step,
        },
        turns,
        clock,
    )
    print(
        f"{name:>10} {h:>5} x {w:<5} {labels:>3}  inference {found['ours']:.3f} s, peer "
        f"{found['theirs']:.3f}, {found['theirs'] / found['ours']:.2f} times; forward and backward "
        f"{found['unary, compat'] / found['ours']:.2f} inferences, with features' gradients "
        f"{found['all gradients'] / found['ours']:.2f}",
        flush=True,
    )
    return {"photograph": name, "rows": h, "columns": w, "labels": labels, "threads": threads,
            "seconds": {key: round(value, 4) for key, value in found.items()}}  # fmt: skip


def write(path: Path | None, name: str, rows: list[dict[str, Any]]) -> None:
    """Into a file that holds other runs too."""
    if path is not None:
        held = json.loads(path.read_text()) if path.exists() else {}
        held[name] = {"machine": machine(), "rows": rows}
        path.write_text(json.dumps(held, indent=1) + "\n")


def machine() -> dict[str, Any]:
    with open("/proc/cpuinfo") as file:
        model = next(line for line in file if line.startswith("model name"))
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return {"cpu": model.split(":")[1].strip(), "cores": os.cpu_count(),
            "load": os.getloadavg()[0], "commit": commit.stdout.strip()}  # fmt: skip


def peak(who: str, size: int, labels: int, kernel: str) -> float:
    """Bytes beyond what there was before, of a build and a filter, or of a whole inference, in this
    process."""
    if kernel == "inference":
        whole = {"ours": OursWhole, "theirs": TheirsWhole}[who]
        for side in (32, size):
            image = photograph("astronaut", side, side)
            contender = whole(image, energies(image, labels))
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            contender.infer()
        return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024.0
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


def memory(what: str = "bilateral") -> None:
    print(f"peak memory in MB, numseg and pydensecrf, {what}")
    for size, labels in ((512, 2), (512, 21), (1024, 2), (1024, 21), (2048, 2), (4096, 2)):
        line = []
        for who in ("ours", "theirs"):
            command = [sys.executable, "-m", "benchmarks.dense_crf", "--peak", who]
            command += ["--case", json.dumps([size, labels, what])]
            line.append(float(subprocess.run(command, capture_output=True, check=True).stdout))
        print(f"{size:>6} {labels:>4} {line[0] / 1e6:>10.0f} {line[1] / 1e6:>10.0f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--inference", action="store_true")
    parser.add_argument("--only", help="the rows of one photograph, of --inference")
    parser.add_argument("--out", type=Path, help="of --inference: add the times to a JSON file")
    parser.add_argument("--peak", choices=["ours", "theirs"])
    parser.add_argument("--case")
    given = parser.parse_args()
    if given.peak:
        print(peak(given.peak, *json.loads(given.case)))
    elif given.memory:
        memory("inference" if given.inference else "bilateral")
    elif given.inference:
        rows = []
        for row in ROWS:
            if given.only in (None, row[0]):
                rows.append(inference(row, given.threads, given.turns))
                write(given.out, f"{given.threads} threads", rows)
    else:
        print(f"{'':>31} {'':>10} {'vertices':>9} {'build':>8} {'peer':>8} {'ratio':>6}"
              f" {'filter':>8} {'peer':>8} {'ratio':>6}   milliseconds")  # fmt: skip
        for row in ROWS:
            for kernel in ("bilateral", "gaussian"):
                print(measure(row, kernel, given.threads, given.turns), flush=True)


if __name__ == "__main__":
    main()
