"""``numseg conform``: somebody else's implementation against an operator's definition."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numseg.cli._options import pairs, values
from numseg.errors import ArgumentError, MissingExtra

if TYPE_CHECKING:
    from numseg.operator import Operator

EXAMPLES = """examples:
  numseg conform torchvision.ops:roi_align
  numseg conform torch.nn.functional:max_pool2d --gradient --cases 500
  numseg conform torch.nn.functional:interpolate --operator upsample_bilinear2d
  numseg conform my/kernels.py:align --operator roi_align --map boxes=regions --set samples=2
  numseg conform onnx:RoiAlign             the reference evaluator of the onnx package
  numseg conform ort:MaxPool               ONNX Runtime
  numseg conform --list                    operators, conventions, known implementations
exit code: 0 conforms, 1 deviates, 2 could not be asked
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "conform",
        help="which convention somebody else's operator follows, or where it deviates",
        description="Run a function on generated calls, and the definition of an operator under "
        "every convention; say which convention it matches, or show the smallest call on which it "
        "deviates from the nearest.",
        epilog=EXAMPLES,
    )
    add = parser.add_argument
    add("target", metavar="TARGET", nargs="?", help="module:function, file.py:function, onnx:Node")
    add("--operator", metavar="NAME", help="default: the one of the function's name")
    add("--map", metavar="OURS=THEIRS", action="append", default=[], help="an argument's name")
    add("--set", metavar="THEIRS=VALUE", action="append", default=[], help="a constant argument")
    add("--fix", metavar="OURS=VALUE", action="append", default=[], help="only calls with this")
    add("--arrays", metavar="KIND", default="auto", help="numpy, torch, or a module with asarray")
    add("--gradient", action="store_true", help="compare torch's gradients too")
    add("--cases", metavar="N", type=int, default=200, help="generated calls (200)")
    add("--seed", metavar="N", type=int, default=0, help="of the calls (0)")
    add("--dtype", choices=("float32", "float64"), help="default: both")
    add("--finite", action="store_true", help="no NaN and no infinities")
    add("--ulps", metavar="X", type=float, help="largest deviation that conforms")
    add("--same-process", action="store_true", help="do not guard against crashes and hangs")
    add("--json", metavar="FILE", type=Path, help="write the report there too")
    add("--list", action="store_true", help="show operators and named conventions")


def run(args: argparse.Namespace) -> int:
    if args.list:
        _list()
        return 0
    if args.target is None:
        raise ArgumentError("name a TARGET, such as torchvision.ops:roi_align (or --list)")
    from numseg.testing import conformance, conventions, peers

    op = _operator(args.target, args.operator)
    _need_hypothesis()
    usual = conventions.peers_of(op).get(args.target, {})
    report = conformance(
        peers.load(args.target, op),
        op,
        adapt=usual.get("adapt"),
        names={**usual.get("names", {}), **pairs("--map", args.map)},
        constants={**usual.get("constants", {}), **values("--set", args.set)},
        fixed=values("--fix", args.fix),
        arrays=args.arrays,
        gradient=args.gradient,
        cases=args.cases,
        seed=args.seed,
        dtypes=(args.dtype,) if args.dtype else ("float32", "float64"),
        values=("integers", "reals") if args.finite else ("integers", "reals", "special"),
        ulps=args.ulps,
        isolate=not args.same_process,
        name=args.target,
        progress=True,
    )
    print(report)
    if args.json:
        from numseg.files import write_whole

        text = json.dumps(report.as_dict(), indent=1) + "\n"
        write_whole(args.json, text.encode())
    return 0 if report.conforms else 1


def _list() -> None:
    from numseg.ops.registry import OPERATORS
    from numseg.testing import conventions

    for name, op in sorted(OPERATORS.items()):
        print(f"{name}  {'  '.join(conventions.peers_of(op))}".rstrip())
        for convention, arguments in conventions.named(op).items():
            said = ", ".join(f"{n}={v!r}" for n, v in arguments.items())
            print(f"    {convention:<36} {said or 'the defaults'}")


def _operator(target: str, name: str | None) -> Operator[..., Any]:
    import difflib

    from numseg.ops.registry import OPERATORS
    from numseg.testing import peers

    known = OPERATORS
    if name is None:
        if (op := peers.operator_of(target)) is None:
            raise ArgumentError(f"which operator is {target}? say --operator NAME")
        return op
    if name not in known:
        close = difflib.get_close_matches(name, known, cutoff=0.4) or sorted(known)
        raise ArgumentError(f"there is no operator {name!r}; is it {' or '.join(close)}?")
    return known[name]


def _need_hypothesis() -> None:
    try:
        import hypothesis  # noqa: F401
    except ImportError as error:
        raise MissingExtra("hypothesis", "test", "drawing calls for conform") from error
