"""``numseg gradcheck``: every operator's gradients against central differences."""

from __future__ import annotations

import argparse
import difflib
from typing import TYPE_CHECKING, Any

from numseg.errors import ArgumentError, MissingExtra

if TYPE_CHECKING:
    from numseg.operator import Operator
    from numseg.testing import GradientReport

EXAMPLES = """examples:
  numseg gradcheck                           every operator
  numseg gradcheck conv2d max_pool2d         two of them
  numseg gradcheck conv2d --cases 200 --seed 7
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "gradcheck",
        help="compare every gradient with central differences",
        description="Compare gradients with central differences in float64 and print the largest "
        "error for each argument, and in how many calls a kink or a jump was near: there, backward "
        "must state one of the slopes around it. The exit code is 1 if a gradient is wrong.",
        epilog=EXAMPLES,
    )
    parser.add_argument("operators", metavar="OPERATOR", nargs="*", help="default: all of them")
    parser.add_argument("--cases", type=int, default=20, help="calls of each (default: 20)")
    parser.add_argument("--seed", type=int, default=0, help="of their values (default: 0)")


def run(args: argparse.Namespace) -> int:
    from numseg import checks

    every = [op for op in _operators().values() if op.differentiable]
    chosen = [_operator(name) for name in args.operators] or every
    count = checks.integer("--cases", args.cases, 1)
    seed = checks.integer("--seed", args.seed, 0)
    print(
        f"{'operator':<22} {'argument':<14} {'cases':>5}  {'kinks':>5}  {'largest error':>13}  "
        f"{'tolerance':>9}"
    )
    passed = [_check(op, count, seed) for op in chosen]
    print(f"{sum(passed)} of {len(passed)} operators agree with central differences")
    return 0 if all(passed) else 1


def _check(op: Operator[..., Any], count: int, seed: int) -> bool:
    """Check some calls of an operator, and print a line for each argument."""
    import numpy as np

    from numseg.testing import gradcheck

    cases = _cases(op, count)
    reports = [
        gradcheck(op, case.arguments("reals", np.float64, seed + k), seed=seed + k)
        for k, case in enumerate(cases)
    ]
    for argument in op.differentiable:
        errors = [c.error for r in reports for c in r.comparisons if _of(c, argument)]
        kinks = [[k.fits for k in r.kinks if _of(k, argument)] for r in reports]
        worst, bound = max(errors, default=0.0), reports[0].tolerance
        verdict = "" if worst <= bound and all(map(all, kinks)) else "  FAILED"
        print(
            f"{op.__name__:<22} {argument:<14} {len(errors):>5}  {sum(map(bool, kinks)):>5}  "
            f"{worst:13.1e}  {bound:9.1e}{verdict}",
            flush=True,
        )
    failed: list[GradientReport] = [report for report in reports if report.status == "fail"]
    if failed:
        print(failed[0])
    return not failed


def _of(found: Any, argument: str) -> bool:
    """Is it of this argument, or of one of its arrays?"""
    return str(found.argument).split("[")[0] == argument


def _cases(op: Operator[..., Any], count: int) -> list[Any]:
    """Calls of the operator, without empty arrays: those have no gradient to compare."""
    try:
        from numseg.testing import cases
    except ImportError as error:
        raise MissingExtra("hypothesis", "test", "drawing inputs for gradcheck") from error
    return cases.drawn(op, count, full=True)


def _operators() -> dict[str, Operator[..., Any]]:
    from numseg.ops.registry import OPERATORS

    return OPERATORS


def _operator(name: str) -> Operator[..., Any]:
    known = _operators()
    if name not in known:
        close = difflib.get_close_matches(name, known, cutoff=0.4) or sorted(known)
        raise ArgumentError(f"there is no operator {name!r}; is it {' or '.join(close)}?")
    return known[name]
