"""An ONNX model by numseg beside ONNX Runtime, in turns, and the nodes where time is lost.

    python -m benchmarks.onnx_speed $NUMSEG_MODELS/ch_PP-OCRv4_det_infer.onnx --page
    python -m benchmarks.onnx_speed model.onnx --shape 1x3x224x224 --threads 1 --nodes

Each number of threads has a process of its own. numseg runs as it is read and, "folded", with batch
normalisation in the weights, which ONNX Runtime does as well. ``--nodes`` prints the sums of both
sides' times by type of node, as each side measures itself; fused nodes go by their first.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from numseg.bench.timing import in_turns
from numseg.interop.onnx import load


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--page", action="store_true", help="skimage.data.page(), 192 x 384")
    parser.add_argument("--shape", default="1x3x224x224", help="of random numbers otherwise")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=15, help="of turns (15)")
    parser.add_argument("--nodes", action="store_true", help="sums by type of node")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        measure(args, args.child)
        return
    for threads in args.threads:
        names = "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "NUMSEG_NUM_THREADS"
        command = [sys.executable, "-m", "benchmarks.onnx_speed", *sys.argv[1:]]
        environment = os.environ | dict.fromkeys(names, str(threads))
        subprocess.run([*command, "--child", str(threads)], env=environment, check=True)


def picture(args: argparse.Namespace) -> Any:
    """In the colours of ImageNet's mean and deviation."""
    if not args.page:
        shape = tuple(map(int, args.shape.split("x")))
        return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    from skimage import data

    page = data.page()
    rows, columns = (size + -size % 32 for size in page.shape)
    page = np.pad(page, [(0, n - m) for n, m in zip((rows, columns), page.shape, strict=True)])
    x = np.repeat(page[None].astype(np.float32) / 255, 3, 0)
    mean, deviation = (
        np.float32([[[0.485]], [[0.456]], [[0.406]]]),
        np.float32([[[0.229]], [[0.224]], [[0.225]]]),
    )
    return ((x - mean) / deviation)[None]


def measure(args: argparse.Namespace, threads: int) -> None:
    import onnxruntime

    x = picture(args)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 4
    session = onnxruntime.InferenceSession(
        str(args.model), options, providers=["CPUExecutionProvider"]
    )
    given = {session.get_inputs()[0].name: x}
    graph, params = load(args.model, shapes={next(iter(given)): x.shape})
    quick, constants = graph.folded(params)
    theirs = session.run(None, given)[0]
    for run in (lambda: graph.run(params, x), lambda: quick.run(constants, x)):
        assert np.abs(run() - theirs).max() <= 1e-3 * np.abs(theirs).max()
    found = in_turns(
        {
            "ONNX Runtime": lambda: session.run(None, given),
            "numseg": lambda: graph.run(params, x),
            "numseg, folded": lambda: quick.run(constants, x),
        },
        args.seconds,
    )
    base = found["ONNX Runtime"]["median"]
    print(f"{args.model.name}, {'x'.join(map(str, x.shape))}, {threads} threads")
    for name, times in found.items():
        span = f"{times['low']:.1f} to {times['high']:.1f}"
        print(f"  {name:<15} {times['median']:7.1f} ms ({span}), {base / times['median']:.2f}")
    if args.nodes:
        ours = collections.Counter[str]()
        for timing in quick.profile(constants, x).timings:
            ours[timing.operator] += timing.milliseconds
        _table("numseg, folded", ours)
        _table("ONNX Runtime", _by_type(onnxruntime, args.model, given, threads))


def _by_type(onnxruntime: Any, path: Path, given: Any, threads: int) -> collections.Counter[str]:
    """Medians over runs of what ONNX Runtime says of itself."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.enable_profiling = threads, True
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    for _ in range(6):
        session.run(None, given)
    file = Path(session.end_profiling())
    times: dict[tuple[str, str], list[float]] = collections.defaultdict(list)
    for event in json.loads(file.read_text()):
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            times[event["args"]["op_name"], event["name"]].append(event["dur"] / 1e3)
    file.unlink()
    found = collections.Counter[str]()
    for (kind, _), durations in times.items():
        found[kind] += float(np.median(durations[1:]))
    return found


def _table(title: str, times: collections.Counter[str]) -> None:
    print(f"  {title}: {times.total():.1f} ms in nodes")
    for kind, milliseconds in times.most_common(14):
        print(f"    {milliseconds:7.2f}  {kind}")


if __name__ == "__main__":
    main()
