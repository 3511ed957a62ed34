"""``numseg bench``: numseg's speed beside its peers' on this machine."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from numseg.cli._options import check_ending

EXAMPLES = """examples:
  numseg bench conv2d --threads 1 --rows 3x3     beside NumPy, and PyTorch where it is installed
  numseg bench workload --out results            beside PyTorch and torchvision; JSON files
  numseg bench --plot ratios.svg                 all tables, one thread and two, and a picture

Contenders take turns (A B A B) in one process, after their results have been compared; a time is a
median, a ratio the peer's time / numseg's. "of limit" is the share of what the machine can do at
most, by multiply-adds or by copying, measured in the same run. Let the machine do nothing else.
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "bench",
        help="numseg's speed beside NumPy's and PyTorch's, on this machine",
        description="Time numseg beside its peers, row by row.",
        epilog=EXAMPLES,
    )
    parser.add_argument("tables", nargs="*", metavar="TABLE", help="workload, conv2d, operators")
    parser.add_argument(
        "--threads", type=int, nargs="+", default=[1, 2], help="numbers of threads (default: 1 2)"
    )
    parser.add_argument("--rows", default="", metavar="TEXT", help="only rows that contain TEXT")
    parser.add_argument(
        "--seconds", type=float, default=1.0, help="for each row and direction (default: 1)"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="write a JSON file of each table")
    parser.add_argument("--plot", metavar="FILE", help="draw the ratios (.svg, .png, .pdf)")


def run(args: argparse.Namespace) -> None:
    from numseg import checks
    from numseg.bench import report
    from numseg.bench.run import TABLES, run
    from numseg.files import check_writable, optional

    for table in args.tables:
        checks.choice("TABLE", table, list(TABLES))
    for threads in args.threads:
        checks.integer("--threads", threads, 1, 1024)
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
    if args.plot is not None:  # what is missing is said before anything is measured
        check_ending("--plot", args.plot, (".svg", ".png", ".pdf"), "a picture of ratios")
        check_writable(args.plot)
        optional("matplotlib.figure", "matplotlib", "bench", "drawing the ratios")
    results = run(args.tables or list(TABLES), args.threads, args.rows, args.seconds, args.out)
    if args.plot is not None:
        report.plot(results, args.plot)
        print(f"wrote {args.plot}")
