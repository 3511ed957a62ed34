"""numseg's CUDA kernels on a GPU, beside PyTorch's: ``numseg bench --device cuda``.

The contenders take turns (A B A B), so that a clock that drifts drifts for all. TF32 is off, and
cuDNN tries its algorithms first. A time is the median of the rounds, in milliseconds: of numseg's
kernels alone, of the whole call (checks and allocation included), and, where they are installed, of
PyTorch's or torchvision's call; of the call on the CPU, the better of two by the clock. Bytes are
those of the arrays a kernel is given, each once; the copy they are compared with runs in between.
The rate of multiply-adds is measured before. Rows whose operator has no twin are named and left
out.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numba import float32

import numseg as ns
from numseg import faces
from numseg.cuda.arrays import Cuda
from numseg.cuda.runtime import cuda, describe_cuda, simulated
from numseg.errors import DeviceError
from numseg.files import write_whole

Run = Callable[[], Any]


class Case(NamedTuple):
    """One call: the operator, its arrays by name, and its parameters."""

    name: str
    op: Any
    arrays: dict[str, Any]
    params: dict[str, Any]
    peer: Callable[[Any], Callable[..., Any] | None] | None = None
    """Given PyTorch, a function of tensors by the names of the arrays; by default the one of the
    operator's name, with the parameters; none, if that is what is returned."""
    needs: tuple[str, ...] = ("x", "weight", "bias", "offset")
    """What is differentiated, as far as it is among the arrays."""


def cases(tiny: bool) -> Iterator[Case]:
    """Of operators that run on CUDA."""
    for case in every_case(tiny):
        try:
            faces.module(case.op, "cuda")
        except ns.DeviceError:
            print(f"{case.name}: no twin, left out", file=sys.stderr)
            continue
        yield case


def every_case(tiny: bool) -> Iterator[Case]:
    """The rows of the workload table, at sizes that fill a large GPU."""
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
    yield from others(n, c, size, tiny)


def others(n: int, c: int, size: int, tiny: bool) -> Iterator[Case]:
    """Rows for operators of which one size says enough."""
    x, classes, k = _normal(n, c, size, size), 2 if tiny else 21, 2 if tiny else 4

    def interpolated(**how: Any) -> Any:
        return lambda torch: lambda x: torch.nn.functional.interpolate(x, **how)

    def torchs(name: str, **how: Any) -> Any:
        return lambda torch: lambda **tensors: getattr(torch, name)(*tensors.values(), **how)

    yield Case("relu", ns.relu, {"x": x}, {})
    yield Case("sigmoid", ns.sigmoid, {"x": x}, {}, torchs("sigmoid"))
    yield Case("add", ns.add, {"x": x, "other": x[::-1].copy()}, {}, torchs("add"))
    yield Case("sum", ns.sum, {"x": x}, {"dim": (2, 3)}, torchs("sum", dim=(2, 3)))
    yield Case("permute", ns.permute, {"x": x}, {"dims": (0, 2, 3, 1)},
               lambda torch: lambda x: x.permute(0, 2, 3, 1).contiguous())  # fmt: skip
    window = {"kernel_size": 3, "stride": 2, "padding": 1}
    yield Case("avg_pool2d 3x3 stride 2", ns.avg_pool2d, {"x": x}, window)
    up = {"scale_factor": k}
    yield Case(f"bilinear x{k}", ns.upsample_bilinear2d, {"x": _normal(n, classes, size, size)}, up,
               interpolated(mode="bilinear", **up))  # fmt: skip
    yield Case(f"nearest x{k}", ns.upsample_nearest2d, {"x": _normal(n, classes, size, size)}, up,
               interpolated(mode="nearest", **up))  # fmt: skip
    yield Case("batch_norm training", ns.batch_norm, {"x": x}, {"training": True},
               lambda torch: lambda x: torch.nn.functional.batch_norm(x, None, None, training=True),
    )  # fmt: skip
    scores = _normal(n, classes, size, size)
    labels = np.random.default_rng(1).integers(0, classes, (n, size, size))
    yield Case("softmax", ns.softmax, {"x": scores}, {"dim": 1}, torchs("softmax", dim=1))
    yield Case(
        "cross_entropy",
        ns.cross_entropy,
        {"x": scores, "target": labels},
        {},
        lambda torch: lambda x, target: torch.nn.functional.cross_entropy(x, target),
    )
    for kernel, stride in ((2, 2), (4, 2), (16, 8)):
        filters = {"x": scores, "weight": _normal(classes, classes, kernel, kernel)}
        yield Case(f"conv_transpose2d {kernel}x{kernel} stride {stride}", ns.conv_transpose2d,
                   filters, {"stride": stride})  # fmt: skip
    features, regions = x[:2], _boxes(2 if tiny else 512, 2 if n > 1 else 1, size)
    pooling = {"output_size": 2 if tiny else 7, "spatial_scale": 1.0}
    aligned = pooling | {"sampling_ratio": 2}
    arrays = {"x": features, "boxes": regions}
    yield Case("roi_align", ns.roi_align, arrays, aligned, _vision("roi_align", **aligned), ("x",))
    yield Case("roi_pool", ns.roi_pool, arrays, pooling, _vision("roi_pool", **pooling), ("x",))
    moved = {"x": features, "offset": _normal(len(features), 18, size, size),
             "weight": _normal(c, c, 3, 3)}  # fmt: skip
    yield Case("deform_conv2d 3x3", ns.deform_conv2d, moved, {"padding": 1},
               _vision("deform_conv2d", padding=1))  # fmt: skip
    yield from of_boxes(16 if tiny else 2**20, size)
    rows = (3, 4) if tiny else (375, 500)
    places = np.indices(rows, np.float32)[None] / np.float32(3)
    yield Case("gaussian_filter", ns.gaussian_filter, {"x": _normal(1, classes, *rows),
               "features": places}, {}, _none, ("x",))  # fmt: skip


def of_boxes(count: int, size: int) -> Iterator[Case]:
    """Codes of so many boxes, and a loss of theirs."""
    anchors = np.ascontiguousarray(_boxes(count, 1, size)[:, 1:])
    moved = anchors + np.float32(size / 16)
    weights = {"weights": (10.0, 10.0, 5.0, 5.0)}
    yield Case("encode_boxes", ns.encode_boxes, {"boxes": moved, "anchors": anchors}, weights,
               _none, ("boxes",))  # fmt: skip
    codes = _normal(count, 4)
    yield Case("decode_boxes", ns.decode_boxes, {"codes": codes, "anchors": anchors}, weights,
               _none, ("codes",))  # fmt: skip
    pair = {"boxes1": moved, "boxes2": anchors}
    yield Case("generalized_box_iou_loss", ns.generalized_box_iou_loss, pair, {},
               _vision("generalized_box_iou_loss"), ("boxes1",))  # fmt: skip


def _vision(name: str, **how: Any) -> Any:
    """torchvision's operator of this name."""

    def make(torch: Any) -> Any:
        import torchvision

        call = getattr(torchvision.ops, name)
        return lambda **tensors: call(*tensors.values(), **how)

    return make


def _none(torch: Any) -> None:
    """Neither PyTorch nor torchvision has one that anybody is told of."""


def _boxes(count: int, images: int, size: int) -> Any:
    """(count, 5): number of the image, and corners within it."""
    rng = np.random.default_rng(2)
    start = rng.uniform(0, 0.7, (count, 2))
    end = np.minimum(start + rng.uniform(0.1, 0.6, (count, 2)), 1)
    numbers = np.arange(count)[:, None] % images
    return np.concatenate([numbers, size * start, size * end], 1).astype(np.float32)


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


def _normal(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


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
    host: Run | None = None
    """The same call on the CPU."""


def every_contest(tiny: bool, torch: Any, rows: str = "") -> Iterator[Contest]:
    """Of the rows whose name contains a text."""
    for case in cases(tiny):
        if rows in case.name:
            yield from contests(case, torch)
    sizes = (2, 3, 2, 1) if tiny else (375, 500, 21, 10)
    if rows in crf_name(*sizes):
        yield from crf(*sizes)


def contests(case: Case, torch: Any) -> Iterator[Contest]:
    op = case.op
    arrays = {name: Cuda.from_host(array) for name, array in case.arrays.items()}
    y, saved = op.forward(**arrays, **case.params)
    y = y[0] if isinstance(y, tuple) else y
    plan, (face, kernels) = saved.plan, faces.running(op, Cuda)
    outputs = [Cuda.empty(spec.shape, spec.dtype) for spec in plan.outputs]
    inputs = [arrays.get(name) for name in op.inputs]
    gy = Cuda.from_host(_normal(*y.shape, seed=1))  # x's own would leave a norm no gradient
    needs = [name for name in case.needs if name in arrays and name in op.differentiable]
    needs += [name for name in op.differentiable if name == "other" and name in arrays]
    grads = [
        Cuda.empty(arrays[n].shape, arrays[n].dtype) if n in needs else None
        for n in op.differentiable
    ]
    specs = plan.specs(op.inputs, op.differentiable)
    filled = [specs[n] if n in needs else None for n in specs] if face == "composite" else grads
    peer = _torch_calls(torch, case, needs, gy) if torch else None
    host = _host_calls(case, needs, gy)

    def backward() -> Any:
        return [grad for grad in op.backward(saved, gy, needs=needs) if grad is not None]

    yield Contest(
        case.name,
        "forward",
        {
            "kernels": lambda: kernels.forward(
                *inputs, *(plan.outputs if face == "composite" else outputs), plan.geometry
            ),
            "call": lambda: op(**arrays, **case.params),
            **({"torch": peer[0]} if peer else {}),
        },
        lambda: _difference([y], [peer[0]()] if peer else [host[0]()]),
        sum(a.nbytes for a in (*inputs, *outputs) if a is not None),
        plan.flops,
        host[0],
    )
    kept = [*saved[:-1], gy]
    yield Contest(
        case.name,
        "backward",
        {
            "kernels": lambda: kernels.backward(*kept, *filled, plan.geometry),
            "call": backward,
            **({"torch": peer[1]} if peer else {}),
        },
        lambda: _difference(backward(), peer[1]() if peer else host[1]()),
        sum(a.nbytes for a in (*kept, *grads) if a is not None),
        2 * plan.flops,
        host[1],
    )


def _host_calls(case: Case, needs: list[str], gy: Any) -> tuple[Run, Run]:
    """The value and the gradients on the CPU."""
    op, there = case.op, Cuda.to_host(gy)
    kept: list[Any] = []

    def forward() -> Any:
        y = op(**case.arrays, **case.params)
        return y[0] if isinstance(y, tuple) else y

    def backward() -> Any:
        if not kept:
            kept.append(op.forward(**case.arrays, **case.params)[1])
        return [grad for grad in op.backward(kept[0], there, needs=needs) if grad is not None]

    return forward, backward


def crf_name(h: int, w: int, labels: int, iterations: int) -> str:
    return f"dense_crf {w}x{h}, {labels} labels, {iterations} iterations"


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

    name = crf_name(h, w, labels, iterations)
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


def _torch_calls(torch: Any, case: Case, needs: list[str], gy: Any) -> tuple[Run, Run] | None:
    tensors = {n: torch.from_numpy(a).cuda() for n, a in case.arrays.items()}
    leaves = [tensors[n].requires_grad_() for n in case.op.differentiable if n in needs]
    if case.peer is not None:
        call, arguments = case.peer(torch), tensors
        if call is None:
            return None
    else:
        call = getattr(torch.nn.functional, case.op.__name__)
        named = {"input" if n == "x" else n: tensor for n, tensor in tensors.items()}
        arguments = named | case.params
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
        other = b.detach().cpu().numpy() if hasattr(b, "detach") else ns.asnumpy(b)
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


@cuda.jit
def _multiply_add(y: Any, turns: int) -> None:
    """Eight chains of multiply-adds: enough to hide that each takes some cycles."""
    i = cuda.grid(1)
    a = y[i]
    b, c, d = a + float32(1), a + float32(2), a + float32(3)
    e, f, g, h = a + float32(4), a + float32(5), a + float32(6), a + float32(7)
    m = float32(0.999)
    for _ in range(turns):
        a, b, c, d = a * m + m, b * m + m, c * m + m, d * m + m
        e, f, g, h = e * m + m, f * m + m, g * m + m, h * m + m
    y[i] = a + b + c + d + e + f + g + h


def multiply_adds(blocks: int, threads: int, turns: int) -> tuple[Run, int]:
    """A call, and how many floating-point operations it makes."""
    y = Cuda.from_host(np.zeros(blocks * threads, np.float32))
    return lambda: _multiply_add[blocks, threads](y, turns), 16 * turns * y.size


def teraflops() -> float:
    """The best of some rounds."""
    run, flops = multiply_adds(4096, 256, 4096)
    _milliseconds(run, 2)
    return max(flops / _milliseconds(run, 3) / 1e9 for _ in range(5))


def _seconds(run: Run) -> float:
    """By the clock, the better of two after one."""
    run()
    found = []
    for _ in range(2):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return min(found)


def _differs(contest: Contest, difference: float) -> DeviceError:
    return DeviceError(f"{contest.case} {contest.direction} differs by {difference:.2g}")


def measure(contest: Contest, rounds: int, copy: tuple[Run, int]) -> dict[str, Any]:
    """A row of results; the copy takes its turn with the contenders."""
    if (difference := contest.agree()) > 1e-4:
        raise _differs(contest, difference)
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
    if contest.host is not None:
        row["cpu_ms"] = {"median": 1e3 * _seconds(contest.host)}
    return row


# -- the run ---------------------------------------------------------------------------------------


def rehearse(rows: str = "") -> None:
    """Every call once, of rows that contain a text; no clock."""
    for run, _ in (copies(64), multiply_adds(2, 4, 2)):
        run()
    for contest in every_contest(True, None, rows):
        if (difference := contest.agree()) > 1e-4:
            raise _differs(contest, difference)
        for call in contest.contenders.values():
            call()
        print(f"{contest.case}, {contest.direction}: {', '.join(contest.contenders)}")
    print("dry run: nothing was measured, nothing was written")


def run(
    rows: str, rounds: int, out: Path | None, facts: Mapping[str, Any] | None = None, tag: str = ""
) -> dict[str, Any]:
    """Measure; the results. With ``out``, a JSON file, written anew after every row, under the name
    of the GPU and the ``tag``. ``facts`` are kept with the results."""
    if simulated():
        raise DeviceError("the simulator has no times worth measuring: add --dry-run")
    torch = _peer()
    versions = _versions("numba", "numba-cuda", "numpy", "torch", "torchvision")
    results: dict[str, Any] = {"device": describe_cuda(), "versions": versions, **(facts or {})}
    copy = copies(2**28)
    results["multiply_add_teraflops"] = teraflops()
    print(f"{results['device']}, {results['multiply_add_teraflops']:.1f} TFLOP/s of multiply-adds")
    results["rows"] = measured = []
    for contest in every_contest(False, torch, rows):
        measured.append(measure(contest, rounds, copy))
        if out is not None:
            write(results, out, tag)
        times = {k: round(v["median"], 4) for k, v in measured[-1].items() if k.endswith("_ms")}
        print(f"{contest.case}, {contest.direction}: {times}", flush=True)
    if out is not None:
        print(write(results, out, tag))
    return results


def _peer() -> Any:
    """PyTorch with torchvision, ready to be measured; None where they are not installed."""
    try:
        import torch
        import torchvision  # noqa: F401
    except ModuleNotFoundError:
        return None
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    return torch


def _versions(*packages: str) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def write(results: Mapping[str, Any], out: Path, tag: str) -> Path:
    """What is measured so far: a run that is stopped leaves it."""
    device = re.sub(r"\W+", "-", results["device"].split(",")[0]).strip("-").lower()
    out.mkdir(parents=True, exist_ok=True)
    page = out / f"{'-'.join(filter(None, ['gpu', device, tag]))}.json"
    write_whole(page, (json.dumps(results, indent=2) + "\n").encode())
    return page
