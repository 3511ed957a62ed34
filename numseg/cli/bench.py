"""``numseg bench``: numseg's speed beside its peers' on this machine."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from numseg.cli._options import add_device, apply_to, check_ending, is_checkpoint, network
from numseg.errors import ArgumentError

EXAMPLES = """examples:
  numseg bench conv2d --threads 1 --rows 3x3     beside NumPy, and PyTorch where it is installed
  numseg bench workload --out results            beside PyTorch and torchvision; JSON files
  numseg bench --plot ratios.svg                 all tables, one thread and two, and a picture
  numseg bench --net resnet50 --input 1x3x224x224 --threads 1
                                                 every distinct layer of a network beside PyTorch
  numseg bench --device cuda --out results       a GPU's kernels, PyTorch's where it is installed
  numseg bench --device cuda --dry-run           every call once, tiny: on Numba's simulator, too
  numseg bench --net unet --input 2x3x128x128 --training --rows conv2d
                                                 a training step's, forward and backward

Contenders take turns (A B A B) in one process, after their results have been compared; a time is a
median, a ratio the peer's time / numseg's. "of limit" is the share of what the machine can do at
most, by multiply-adds or by copying, measured in the same run. Let the machine do nothing else.

--net ends with a table of the layers, those first that cost the network most beside PyTorch: "ms
lost" is what it would gain if the layer took no longer than PyTorch's, as often as it occurs.
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "bench",
        help="numseg's speed beside NumPy's and PyTorch's, on this machine",
        description="Time numseg beside its peers, row by row.",
        epilog=EXAMPLES,
    )
    parser.add_argument("tables", nargs="*", metavar="TABLE", help="workload, conv2d, operators")
    add_net(parser)
    parser.add_argument("--threads", type=int, nargs="+", help="numbers of threads (default: 1 2)")
    parser.add_argument("--rows", default="", metavar="TEXT", help="only rows that contain TEXT")
    parser.add_argument("--seconds", type=float, help="for each row and direction (default: 1)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write a JSON file of each table")
    parser.add_argument("--plot", metavar="FILE", help="draw the ratios (.svg, .png, .pdf)")
    add_device(parser.add_argument)
    parser.add_argument(
        "--dry-run", action="store_const", const=True, help="on CUDA: call all, measure nothing"
    )


def add_net(parser: argparse.ArgumentParser) -> None:
    """``--net`` and its options."""
    add = parser.add_argument
    add("--net", metavar="NET", help="instead: a network, of numseg.nets or module:function")
    add(
        "--input", metavar="NxCxHxW", type=_shape,
        help="images, channels, rows and columns (default: 1x3x224x224)",
    )  # fmt: skip
    add("--classes", type=int, help="of NET (default: 21)")
    add("--set", metavar="NAME=VALUE", action="append", default=[], help="an argument of NET")
    add("--training", action="store_const", const=True, help="forward and backward, unfused")


def _shape(text: str) -> tuple[int, ...]:
    """``1x3x224x224`` in numbers; without images, one."""
    try:
        shape = tuple(map(int, text.split("x")))
    except ValueError:
        shape = ()
    if len(shape) not in (3, 4) or min(shape) < 1:
        raise argparse.ArgumentTypeError(f"expected NxCxHxW, as in 1x3x224x224, got {text}")
    return (1, *shape)[-4:]


def _net(args: argparse.Namespace) -> dict[str, Any] | None:
    """The network that is asked for, and that it takes its input is found out here."""
    from numseg.training import make_network

    if args.net is None:
        apply_to(args, ["input", "classes", "set", "training"], "--net", "tables")
        return None
    if is_checkpoint(args.net):
        raise ArgumentError(f"--net takes a network by name, not a file, got {args.net}")
    if args.tables:
        raise ArgumentError(f"--net is a table of its own, so {args.tables[0]} cannot be one")
    shape = args.input or (1, 3, 224, 224)
    classes = 21 if args.classes is None else args.classes
    made = {"padding": "same"} if args.net == "unet" else {}
    net = made | network(args, shape[1], classes, {})
    make_network(net).shapes(shape)
    return {"net": net, "input": shape, "training": bool(args.training)}


def run(args: argparse.Namespace) -> None:
    from numseg import checks
    from numseg.bench import report
    from numseg.bench.run import TABLES, run
    from numseg.files import check_writable, optional

    if args.device == "cuda":
        _run_on_cuda(args)
        return
    apply_to(args, ["dry_run"], "--device cuda", "--device cpu")
    threads = args.threads or [1, 2]
    for table in args.tables:
        checks.choice("TABLE", table, list(TABLES))
    for count in threads:
        checks.integer("--threads", count, 1, 1024)
    net = _net(args)
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
    if args.plot is not None:  # what is missing is said before anything is measured
        check_ending("--plot", args.plot, (".svg", ".png", ".pdf"), "a picture of ratios")
        check_writable(args.plot)
        optional("matplotlib.figure", "matplotlib", "bench", "drawing the ratios")
    tables = args.tables or list(TABLES)
    if net is not None:
        tables = ["-".join([args.net.replace(":", "."), "x".join(map(str, net["input"]))])]
        tables[0] += "-training" if net["training"] else ""
    seconds = 1.0 if args.seconds is None else args.seconds
    results = run(tables, threads, args.rows, seconds, args.out, net)
    if args.plot is not None:
        report.plot(results, args.plot)
        print(f"wrote {args.plot}")


ROUNDS = 15
"""On a GPU, where a round has as many calls as fill some milliseconds."""


def _run_on_cuda(args: argparse.Namespace) -> None:
    from numseg.device import named

    cpu = ["net", "input", "classes", "set", "training", "threads", "seconds", "plot"]
    apply_to(args, cpu, "--device cpu", "--device cuda")
    if args.tables:
        raise ArgumentError(f"{args.tables[0]} is a table of --device cpu, cuda has one of its own")
    named(args.device)
    from numseg.bench import gpu  # which needs numba-cuda

    if args.dry_run:
        gpu.rehearse(args.rows)
    else:
        gpu.run(args.rows, ROUNDS, args.out)
