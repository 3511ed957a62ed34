"""Whole networks beside PyTorch, ONNX Runtime and OpenVINO: ``python -m benchmarks.networks``.

Float32, one image for inference and two for a training step (forward, cross-entropy, backward, SGD
with momentum). All contenders have the same weights. Before anything is timed the results of
inference are compared, and the loss of the first step where nothing is random (no dropout). Each
number of threads has a process of its own; contenders take turns. Peak memory is of processes that
do nothing else: their largest resident size less that before the first call, which for numseg and
PyTorch comes after one on a small image.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import numseg as ns
from numseg.bench.networks import LR, MOMENTUM, _run
from numseg.bench.timing import in_turns
from numseg.interop import torchvision as ours
from numseg.training.optimisers import SGD

NETS = [
    "unet", "fcn_resnet50", "deeplabv3_resnet50", "deeplabv3_mobilenet_v3_large", "mobilenet_v2",
    "efficientnet_b0",
]  # fmt: skip
NAMES = "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "NUMSEG_NUM_THREADS"
CONTENDERS = "numseg", "numseg folded", "numseg winograd4", "torch", "onnxruntime", "openvino"
Call = Callable[[], Any]


class Contest:
    """One network, its weights and its pictures."""

    def __init__(self, name: str, size: int, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        torch.manual_seed(0)
        self.torch, self.threads = torch, threads
        rng = np.random.default_rng(0)
        self.x = rng.standard_normal((1, 3, size, size), np.float32)
        self.pair = rng.standard_normal((2, 3, size, size), np.float32)
        if name == "unet":
            self.graph = ns.nets.unet(3, 21, padding="same")
            self.params = self.graph.init(seed=0)
            self.module = _same(torch, self.graph, self.params)
            return
        import torchvision

        if hasattr(torchvision.models.segmentation, name):
            make, given = getattr(torchvision.models.segmentation, name), {"weights_backbone": None}
        else:
            make, given = getattr(torchvision.models, name), {}
        self.module = make(weights=None, **given)
        with torch.no_grad():
            for key, state in self.module.state_dict().items():
                if "running" in key:
                    state.uniform_(0.5, 1.5)
        self.graph = getattr(ns.nets, name)()
        state = {key: array.numpy() for key, array in self.module.state_dict().items()}
        self.params = ours.match(self.graph, state)

    def call(self, contender: str) -> Call:
        """Inference."""
        x, graph, params = self.x, self.graph, self.params
        if contender == "numseg":
            return lambda: graph.run(params, x)
        if contender.startswith("numseg"):
            graph, params = graph.folded(params)
            if contender == "numseg winograd4":
                graph = graph.using(ns.conv2d, x.shape, algorithm="winograd4")
            return lambda: graph.run(params, x)
        if contender == "torch":
            module, image = self.module.eval(), self.torch.from_numpy(x)

            def infer() -> Any:
                with self.torch.no_grad():
                    return _out(module(image)).numpy()

            return infer
        return self._runtime(contender)

    def _runtime(self, contender: str) -> Call:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "net.onnx"
            self._export(path)
            if contender == "onnxruntime":
                import onnxruntime

                options = onnxruntime.SessionOptions()
                options.intra_op_num_threads = self.threads
                session = onnxruntime.InferenceSession(
                    str(path), options, providers=["CPUExecutionProvider"]
                )
                (given,) = session.get_inputs()
                return lambda: session.run(None, {given.name: self.x})[0]
            import openvino

            settings = {
                "INFERENCE_PRECISION_HINT": "f32",
                "INFERENCE_NUM_THREADS": self.threads,
                "PERFORMANCE_HINT": "LATENCY",
            }
            request = openvino.Core().compile_model(str(path), "CPU", settings)
            request = request.create_infer_request()
            return lambda: request.infer([self.x])[0]

    def _export(self, path: Path) -> None:
        torch, module = self.torch, self.module.eval()

        class Out(torch.nn.Module):  # type: ignore[misc,name-defined]
            def __init__(self) -> None:
                super().__init__()
                self.module = module

            def forward(self, image: Any) -> Any:
                return _out(self.module(image))

        torch.onnx.export(
            Out(), (torch.from_numpy(self.x),), str(path), dynamo=True, verbose=False,
            external_data=False,
        )  # fmt: skip

    def step(self, contender: str) -> Call:
        """One training step."""
        y = self.graph.plans(self.pair)[self.graph.outputs[0].source].outputs[0].shape
        labels = np.random.default_rng(1).integers(0, y[1], (y[0], *y[2:]))
        return self._our_step(labels) if contender == "numseg" else self._their_step(labels)

    def _our_step(self, labels: Any) -> Call:
        graph, sgd = self.graph, SGD(LR, MOMENTUM)
        now = {name: p.copy() for name, p in self.params.items()}
        state = sgd.start({name: now[name] for name in graph.trainable})

        def step() -> Any:
            nonlocal now, state
            y, tape = graph.forward(now, self.pair)
            loss, saved = ns.cross_entropy.forward(y, labels)
            (grad,) = ns.cross_entropy.backward(saved, np.ones_like(loss), needs=["x"])[:1]
            grads = graph.backward(tape, grad, needs=graph.trainable)
            stepped, state = sgd.step(
                {name: now[name] for name in graph.trainable}, grads, state, donate=True
            )
            now = {**now, **tape.updates, **stepped}
            return loss

        return step

    def _their_step(self, labels: Any) -> Call:
        torch, module = self.torch, self.module.train()
        x, target = torch.from_numpy(self.pair), torch.from_numpy(labels)
        sgd = torch.optim.SGD(module.parameters(), LR, MOMENTUM)

        def step() -> Any:
            sgd.zero_grad()
            loss = torch.nn.functional.cross_entropy(_out(module(x)), target)
            loss.backward()
            sgd.step()
            return loss.detach()

        return step


def _out(result: Any) -> Any:
    return result["out"] if isinstance(result, dict) else result


def _same(torch: Any, graph: Any, params: Any) -> Any:
    """The graph as a module, node by node by PyTorch's operators."""

    class Net(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.names = list(params)
            self.all = torch.nn.ParameterList(torch.from_numpy(p.copy()) for p in params.values())

        def forward(self, image: Any) -> Any:
            return _run(graph, dict(zip(self.names, self.all, strict=True)), image)

    return Net()


def times(order: dict[str, Any]) -> dict[str, Any]:
    """Medians of a network's contenders, in milliseconds."""
    contest = Contest(order["net"], order["size"], order["threads"])
    if order["training"]:
        steps = {c: contest.step(c) for c in ("numseg", "torch")}
        mine, theirs = (float(step()) for step in steps.values())
        if not any(node.operator is ns.dropout for node in contest.graph.nodes):
            np.testing.assert_allclose(mine, theirs, rtol=1e-3)
        return in_turns(steps, order["seconds"])
    calls = {c: contest.call(c) for c in CONTENDERS}
    want = calls["torch"]()
    scale = float(np.abs(want).max())
    for contender, call in calls.items():
        slack = 1e-2 if contender == "numseg winograd4" else 1e-3
        np.testing.assert_allclose(call(), want, rtol=slack, atol=slack * scale, err_msg=contender)
    return in_turns(calls, order["seconds"])


def memory(order: dict[str, Any]) -> dict[str, Any]:
    """Peak memory of inference of one contender, in MiB, beyond what it holds before."""
    contest = Contest(order["net"], order["size"], order["threads"])
    call = contest.call(order["contender"])
    if order["contender"] not in ("onnxruntime", "openvino"):  # which take images of one size
        # code is loaded before, and is no memory of this inference
        image, contest.x = contest.x, contest.x[:, :, :32, :32].copy()
        contest.call(order["contender"])()
        contest.x = image

    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is the present size
    before = (
        int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024
    )
    for _ in range(3):
        call()
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {"MiB": (int(status["VmHWM"].split()[0]) - before) / 1024}


def ask(order: dict[str, Any]) -> dict[str, Any]:
    """In a process of its own."""
    environment = {**os.environ, **dict.fromkeys(NAMES, str(order["threads"]))}
    command = [sys.executable, "-m", "benchmarks.networks", "--order", json.dumps(order)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{order}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def line(order: dict[str, Any], found: dict[str, Any]) -> str:
    base = found["numseg"]["median"]
    cells = [f"{name} {t['median']:.1f} ms ({t['median'] / base:.2f})" for name, t in found.items()]
    kind = "training" if order["training"] else "inference"
    return f"{order['net']} {order['size']} {kind}, {order['threads']} thr: " + ", ".join(cells)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--nets", nargs="+", default=NETS, choices=NETS)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--no-training", action="store_true")
    parser.add_argument("--memory", action="store_true", help="peak memory too")
    parser.add_argument("--out", type=Path, help="a JSON file, written anew after every row")
    parser.add_argument("--order", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.order:
        order = json.loads(args.order)
        found = memory(order) if "contender" in order else times(order)
        print(json.dumps(found))
        return
    rows: list[dict[str, Any]] = []
    machine = {
        "machine": platform.processor() or platform.machine(),
        "python": platform.python_version(),
    }
    for net in args.nets:
        for threads in args.threads:
            for training in (False, True)[: 1 if args.no_training else 2]:
                order = {
                    "net": net, "size": args.size, "threads": threads, "training": training,
                    "seconds": args.seconds,
                }  # fmt: skip
                found = ask(order)
                print(line(order, found), flush=True)
                rows.append(order | {"times": found})
                if args.out:
                    args.out.write_text(json.dumps(machine | {"rows": rows}, indent=1) + "\n")
        for contender in CONTENDERS if args.memory else ():
            order = {"net": net, "size": args.size, "threads": 1, "contender": contender}
            found = ask(order)
            print(f"{net} {contender}: {found['MiB']:.0f} MiB at most", flush=True)
            rows.append(order | found)
            if args.out:
                args.out.write_text(json.dumps(machine | {"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
