"""numseg's CUDA kernels on a real GPU: their tests, then their times beside PyTorch's.

    python benchmarks/gpu.py                                      # a GPU, numba-cuda and PyTorch
    NUMBA_ENABLE_CUDASIM=1 python benchmarks/gpu.py --dry-run     # tiny, simulated, without times

The contenders take turns (A B A B), so that a clock that drifts drifts for all. TF32 is off, and
cuDNN tries its algorithms first. A time is the median of the rounds, in milliseconds: of numseg's
kernels alone, of the whole call (checks and allocation included), and of PyTorch's call. Bytes are
those of the arrays a kernel is given, each once; the copy they are compared with runs in between.
Results go to benchmarks/results/, under the name of the GPU and the commit.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import numseg as ns
from numseg import faces
from numseg.cuda.arrays import Cuda
from numseg.cuda.runtime import cuda, cuda_available, describe_cuda, simulated

ROOT = Path(__file__).parents[1]
Run = Callable[[], Any]


class Case(NamedTuple):
    """One call: the operator, its arrays by name, and its parameters."""

    name: str
    op: Any
    arrays: dict[str, Any]
    params: dict[str, Any]


def cases(tiny: bool) -> Iterator[Case]:
    n, c, size, more = (1, 2, 4, 1) if tiny else (16, 64, 128, 8)
    yield conv("3x3", n, c, c, size, 3, padding=1)
    yield conv("3x3 stride 2", n, c, 2 * c, size, 3, padding=1, stride=2)
    yield conv("3x3 dilation 12", n, c, c, size, 3, padding=12, dilation=12)
    yield conv("3x3 depthwise", n, c, c, size, 3, padding=1, groups=c)
    yield conv("1x1", n, more * c, c, size, 1)
    yield conv("7x7 stride 2, 3 channels", n, 3, c, size, 7, padding=3, stride=2)
    yield conv("3x3, many channels", n, more * c, more * c, size // 4, 3, padding=1)
    yield pool("2x2", n, c, 2 * size, kernel_size=2)
    yield pool("3x3 stride 2", n, c, 2 * size, kernel_size=3, stride=2, padding=1)
    yield unpool("2x2", n, c, size)


def conv(name: str, n: int, c: int, f: int, size: int, k: int, **params: Any) -> Case:
    shapes = {
        "x": (n, c, size, size),
        "weight": (f, c // params.get("groups", 1), k, k),
        "bias": (f,),
    }
    arrays = {key: _normal(*shape) for key, shape in shapes.items()}
    return Case(f"conv2d {name}", ns.conv2d, arrays, params)


def pool(name: str, n: int, c: int, size: int, **params: Any) -> Case:
    return Case(f"max_pool2d {name}", ns.max_pool2d, {"x": _normal(n, c, size, size)}, params)


def unpool(name: str, n: int, c: int, size: int) -> Case:
    """Every index is in the 2 x 2 window of its value."""
    rows, columns = np.indices((size, size))
    corner = np.random.default_rng(0).integers(0, 4, (n, c, size, size))
    indices = (2 * rows + corner // 2) * 2 * size + 2 * columns + corner % 2
    arrays = {"x": _normal(n, c, size, size), "indices": indices}
    return Case(f"max_unpool2d {name}", ns.max_unpool2d, arrays, {"kernel_size": 2})


def _normal(*shape: int) -> Any:
    return np.random.default_rng(0).standard_normal(shape, np.float32)


# -- contenders ------------------------------------------------------------------------------------


class Contest(NamedTuple):
    """Contenders for one direction of a case, what they must agree on, and what it takes."""

    case: str
    direction: str
    contenders: dict[str, Run]
    agree: Callable[[], float]
    """The largest difference between numseg and PyTorch, relative to the largest number."""
    bytes: int
    flops: int


def every_contest(tiny: bool, torch: Any) -> Iterator[Contest]:
    for case in cases(tiny):
        yield from contests(case, torch)
    yield from crf(*(2, 3, 2, 1) if tiny else (375, 500, 21, 10))


def contests(case: Case, torch: Any) -> Iterator[Contest]:
    op = case.op
    arrays = {name: Cuda.from_host(array) for name, array in case.arrays.items()}
    y, saved = op.forward(**arrays, **case.params)
    plan, kernels = saved.plan, faces.module(op, "cuda")
    outputs = [Cuda.empty(spec.shape, spec.dtype) for spec in plan.outputs]
    inputs = [arrays.get(name) for name in op.inputs]
    gy = Cuda.from_host(_normal(*y.shape))
    grads = [Cuda.empty(arrays[n].shape, arrays[n].dtype) for n in op.differentiable]
    peer = _torch_calls(torch, case, gy) if torch else None
    yield Contest(
        case.name,
        "forward",
        {
            "kernels": lambda: kernels.forward(*inputs, *outputs, plan.geometry),
            "call": lambda: op(**arrays, **case.params),
            **({"torch": peer[0]} if peer else {}),
        },
        lambda: _difference([y], [peer[0]()] if peer else [y]),
        sum(a.nbytes for a in (*inputs, *outputs)),
        plan.flops,
    )
    kept = [*saved[:-1], gy]
    yield Contest(
        case.name,
        "backward",
        {
            "kernels": lambda: kernels.backward(*kept, *grads, plan.geometry),
            "call": lambda: op.backward(saved, gy),
            **({"torch": peer[1]} if peer else {}),
        },
        lambda: _difference(op.backward(saved, gy), peer[1]() if peer else op.backward(saved, gy)),
        sum(a.nbytes for a in (*kept, *grads)),
        2 * plan.flops,
    )


def crf(h: int, w: int, labels: int, iterations: int) -> Iterator[Contest]:
    """A photograph's CRF, which PyTorch has none of: the lattices of its two terms, the iterations,
    the whole call and its backward. What all must agree with is the call on the CPU."""
    image, unary = _photograph(h, w), _normal(1, labels, h, w)
    spatial = ns.spatial_features(image, np.full(2, 3, np.float32))
    bilateral = ns.bilateral_features(image, np.array([80, 80, 13, 13, 13], np.float32))
    host = {
        "unary": unary,
        "features": [spatial, bilateral],
        "compat": [np.array(weight, np.float32) for weight in (3, 10)],
    }
    u, *others = (Cuda.from_host(a) for a in (unary, *host["features"], *host["compat"]))
    there = {"unary": u, "features": others[:2], "compat": others[2:]}
    y, saved = ns.dense_crf.forward(**there, iterations=iterations)
    kernels, g, gy = faces.module(ns.dense_crf, "cuda"), saved.plan.geometry, y

    def built() -> Any:
        return kernels._filters(there["features"], 0, g, {})

    filters, mixing = built(), kernels._mixing(there["compat"], g)
    arrays = [a.reshape(labels, h * w) for a in (u, Cuda.empty(unary.shape, unary.dtype))]
    kept = Cuda.empty((iterations + 1, labels, h * w), unary.dtype)

    def iterated() -> Any:
        kernels._infer(arrays[0], filters, mixing, None, arrays[1], kept, g)
        return arrays[1]

    def agree() -> float:
        here = Cuda.from_host(ns.dense_crf(**host, iterations=iterations))
        return max(_difference([a.reshape(y.shape)], [here]) for a in (y, iterated()))

    name = f"dense_crf {w}x{h}, {labels} labels, {iterations} iterations"
    runs = {
        "lattices": {"kernels": built},
        "iterations": {"kernels": iterated},
        "forward": {
            "kernels": lambda: (built(), iterated()),
            "call": lambda: ns.dense_crf(**there, iterations=iterations),
        },
        "backward": {"kernels": lambda: ns.dense_crf.backward(saved, gy)},
    }
    least = sum(a.nbytes for a in (u, *others, y))
    for what, contenders in runs.items():
        flops = 0 if what == "lattices" else saved.plan.flops * (2 if what == "backward" else 1)
        yield Contest(name, what, contenders, agree, least, flops)


def _photograph(h: int, w: int) -> Any:
    """Smooth colours, edges and noise, 0 to 255."""
    rng = np.random.default_rng(0)
    rows, columns = np.indices((h, w)) / max(h, w)
    planes = [np.sin(7 * rows + k) + np.sign(np.sin(11 * columns + 3 * k * rows)) for k in range(3)]
    image = 127 + 50 * np.stack(planes) + 4 * rng.standard_normal((3, h, w))
    return image.clip(0, 255).round().astype(np.float32)[None]


def _torch_calls(torch: Any, case: Case, gy: Any) -> tuple[Run, Run]:
    functional = torch.nn.functional
    call = getattr(functional, case.op.__name__)
    tensors = {n: torch.from_numpy(a).cuda() for n, a in case.arrays.items()}
    leaves = [tensors[n].requires_grad_() for n in case.op.differentiable]
    arguments = {"input" if n == "x" else n: tensor for n, tensor in tensors.items()} | case.params
    if case.op is ns.max_pool2d:
        arguments["return_indices"] = True  # so that both write the indices

    def forward() -> Any:
        result = call(**arguments)
        return result[0] if isinstance(result, tuple) else result

    result = forward()
    grad = torch.from_numpy(Cuda.to_host(gy)).cuda()

    def without_graph() -> Any:
        with torch.no_grad():
            return forward()

    return without_graph, lambda: torch.autograd.grad(result, leaves, grad, retain_graph=True)


def _difference(ours: Any, theirs: Any) -> float:
    worst = 0.0
    for a, b in zip(ours, theirs, strict=True):
        mine = Cuda.to_host(a)
        other = b.detach().cpu().numpy() if hasattr(b, "detach") else Cuda.to_host(b)
        worst = max(worst, float(np.abs(mine - other).max() / max(np.abs(other).max(), 1e-30)))
    return worst


# -- times -----------------------------------------------------------------------------------------


def take_turns(contenders: dict[str, Run], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each contender in each round."""
    repeats = {name: _repeats(run) for name, run in contenders.items()}
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            times[name].append(_milliseconds(run, repeats[name]))
    return times


def _repeats(run: Run, aim: float = 20.0) -> int:
    """Enough calls to fill some milliseconds; the first calls, which compile, do not count."""
    _milliseconds(run, 3)
    return max(1, min(1000, int(aim / max(_milliseconds(run, 3), 1e-3))))


def _milliseconds(run: Run, repeats: int) -> float:
    begin, end = cuda.event(), cuda.event()
    begin.record()
    for _ in range(repeats):
        run()
    end.record()
    end.synchronize()
    return float(cuda.event_elapsed_time(begin, end)) / repeats


def copies(size: int) -> tuple[Run, int]:
    source, target = (Cuda.empty((size,), np.float32) for _ in range(2))
    return lambda: target.copy_to_device(source), 2 * source.nbytes


def measure(contest: Contest, rounds: int, copy: tuple[Run, int]) -> dict[str, Any]:
    """A row of results; the copy takes its turn with the contenders."""
    if (difference := contest.agree()) > 1e-4:
        raise SystemExit(f"{contest.case} {contest.direction} differs by {difference:.2g}")
    times = take_turns({**contest.contenders, "copy": copy[0]}, rounds)
    row: dict[str, Any] = {"case": contest.case, "direction": contest.direction}
    for name, rounds_of in times.items():
        low, median, high = statistics.quantiles(rounds_of, n=4)
        row[f"{name}_ms"] = {"median": median, "quartiles": [low, high]}
    seconds = row["kernels_ms"]["median"] / 1e3
    row["gigabytes_per_second"] = contest.bytes / seconds / 1e9
    row["share_of_copy"] = (contest.bytes / seconds) / (copy[1] / row["copy_ms"]["median"] * 1e3)
    row["teraflops"] = contest.flops / seconds / 1e12
    row["difference"] = difference
    return row


# -- the run ---------------------------------------------------------------------------------------


def rehearse() -> None:
    """Every call once; no clock."""
    run, _ = copies(64)
    run()
    for contest in every_contest(True, None):
        for call in contest.contenders.values():
            call()
        print(f"{contest.case}, {contest.direction}: {', '.join(contest.contenders)}")
    print("dry run: nothing was measured, nothing was written")


def run_tests() -> str:
    command = [sys.executable, "-m", "pytest", "-q", "tests/cuda"]
    if subprocess.run(command, cwd=ROOT).returncode != 0:
        raise SystemExit("the tests failed on this GPU: figures would mean nothing")
    return "passed"


def _commit() -> str:
    def git(*args: str) -> str:
        done = subprocess.run(["git", *args], cwd=ROOT, capture_output=True, text=True)
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no")
    return (git("rev-parse", "--short", "HEAD") or "unknown") + ("-changed" if changed else "")


def _facts(torch: Any, tests: str) -> dict[str, Any]:
    return {
        "device": describe_cuda(),
        "commit": _commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "tests": tests,
        "versions": {
            **{name: importlib.metadata.version(name) for name in ("numba", "numba-cuda", "numpy")},
            "torch": torch.__version__,
            "cudnn": torch.backends.cudnn.version(),
        },
    }


def main(argv: list[str] | None = None) -> None:
    description, _, _ = str(__doc__).partition("\n\n")
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--dry-run", action="store_true", help="every call once, tiny, no times")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--skip-tests", action="store_true")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args(argv)
    if not cuda_available():
        raise SystemExit(f"no GPU: {describe_cuda()}; --dry-run with NUMBA_ENABLE_CUDASIM=1 works")
    if options.dry_run:
        rehearse()
        return
    if simulated():
        raise SystemExit("the simulator has no times worth measuring: add --dry-run")
    import torch

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    results = _facts(torch, "skipped" if options.skip_tests else run_tests())
    copy = copies(2**28)
    results["rows"] = rows = []
    for contest in every_contest(False, torch):
        rows.append(measure(contest, options.rounds, copy))
        times = {k: round(v["median"], 4) for k, v in rows[-1].items() if k.endswith("_ms")}
        print(f"{contest.case}, {contest.direction}: {times}", flush=True)
    name = re.sub(r"\W+", "-", results["device"].split(",")[0]).strip("-").lower()
    options.out.mkdir(parents=True, exist_ok=True)
    page = options.out / f"gpu-{name}-{results['commit']}.json"
    page.write_text(json.dumps(results, indent=2) + "\n")
    print(page)


if __name__ == "__main__":
    main()
