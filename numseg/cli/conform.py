"""``numseg conform``: somebody else's implementation against an operator's definition."""

from __future__ import annotations

import argparse
import json
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numseg.cli._options import pairs, values
from numseg.errors import ArgumentError, DeviceError, FileError, MissingExtra

if TYPE_CHECKING:
    from numseg.operator import Operator
    from numseg.testing import ConformanceReport

USER_ERRORS = (ArgumentError, DeviceError, FileError, MissingExtra, OSError)

EXAMPLES = """examples:
  numseg conform torchvision.ops:roi_align
  numseg conform torch.nn.functional:max_pool2d --gradient --cases 500
  numseg conform torch.nn.functional:interpolate --operator upsample_bilinear2d
  numseg conform my/kernels.py:align --operator roi_align --map boxes=regions --set samples=2
  numseg conform onnx:RoiAlign             the reference evaluator of the onnx package
  numseg conform ort:MaxPool               ONNX Runtime
  numseg conform --list                    operators, conventions, known implementations
  numseg conform my/kernels.py:pool --operator max_pool2d --guard --strict --timeout 2
exit code: 0 conforms, 1 deviates or does what it should not, 2 could not be asked, 3 (by --strict)
conforms, but not all was tried; 4 numseg itself failed
"""


ALLOWED = ("dtype", "write", "alias", "reuse", "change")
ALLOW = (
    "what it may do: results of another dtype, write to arguments, results in their memory or in a "
    f"buffer used again, results that change ({', '.join(ALLOWED)})"
)


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
    add("--timeout", metavar="S", type=float, help="seconds a call may take (30 the first, then 5)")
    add("--guard", action="store_true", help="find reads and writes beyond arrays (on Linux)")
    add("--allow", metavar="WHAT", action="append", default=[], choices=ALLOWED, help=ALLOW)
    add("--strict", action="store_true", help="exit code 3 if something was not tried")
    add("--json", metavar="FILE", type=Path, help="write the report there too")
    add("--list", action="store_true", help="show operators and named conventions")


def run(args: argparse.Namespace) -> int:
    if args.list:
        _list()
        return 0
    if args.target is None:
        raise ArgumentError("name a TARGET, such as torchvision.ops:roi_align (or --list)")
    if args.guard and args.same_process:
        raise ArgumentError("--guard works in a process of its own: leave out --same-process")
    if args.json and not args.json.parent.is_dir():
        raise ArgumentError(f"--json {args.json}: there is no folder {args.json.parent}")
    try:
        report = _ask(args)
    except (*USER_ERRORS, BrokenPipeError):
        raise
    except Exception:  # not 1, which means that it deviates
        traceback.print_exc()
        return 4
    print(report)
    if args.json:
        from numseg.files import write_whole

        text = json.dumps(report.as_dict(), indent=1) + "\n"
        write_whole(args.json, text.encode())
    if not report.conforms:
        return 1
    return 3 if args.strict and report.untried else 0


def _ask(args: argparse.Namespace) -> ConformanceReport:
    from numseg.testing import conformance, conventions, peers

    op = _operator(args.target, args.operator)
    _need_hypothesis()
    usual = conventions.peers_of(op).get(args.target, {})
    return conformance(
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
        timeout=args.timeout,
        guard=args.guard,
        allow=args.allow,
        name=args.target,
        progress=True,
    )


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
