"""``python -m docs.conformance``: ask every known implementation, and write docs/conformance.md.

Needs torch, torchvision, onnx and onnxruntime. ``--only WORD`` prints the reports of the operators
and implementations that contain the word, and writes nothing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from numseg.errors import ArgumentError
from numseg.operator import Operator
from numseg.ops.registry import OPERATORS
from numseg.testing import ConformanceReport, conformance, conventions, peers
from numseg.testing.verdict import AMONG, Deviation

Op = Operator[..., Any]
PAGE = Path(__file__).parent / "conformance.md"
CASES = 80

HEAD = """# Conformance

What other people's implementations compute, asked with `numseg.testing.conformance`. Written by `python -m docs.conformance`
({cases} generated calls of each, seed 0; {versions}), so do not edit it.

    numseg conform torchvision.ops:roi_align
    numseg conform my/kernels.py:align --operator roi_align --map boxes=regions
    numseg conform onnx:RoiAlign

How to ask about a function of your own is [a page of its own](conformance_guide.md).

The function gets generated calls: the operator's own cases, with small whole numbers (so with ties), with distinct numbers,
with NaN and infinities, and with empty arrays. Its results are compared with the definition, `reference`, under every
combination of the arguments that choose a convention (words and flags) and that the function does not take itself. It
*conforms* if one of them fits all calls that it takes. Otherwise the smallest call is searched, by Hypothesis and then by
putting defaults, zeros and whole numbers in place; what is said of the deviation was checked on every call. What is *not tried* in a
row below are arguments of theirs that numseg has nothing for, or that had one value in the calls that they took.

`onnx:` is the reference evaluator of the onnx package, `ort:` is ONNX Runtime on the CPU: each runs a model of one node,
which the operator's `conventions.py` makes of its arguments (and reads: [interop](interop.md#onnx-nodes)). It also names its conventions
(`numseg conform --list`).

**An ulp** is here the machine epsilon of the arrays' dtype times the size of what is added up: the sum of the terms' absolute values
for an operator that is linear in its arrays, for another the larger of 1 and the result's absolute value. Up to 16 ulps and
four times the operator's stated roundings conform; integers conform if they are equal. Gradients (of PyTorch's functions, by
autograd) are compared like values.

## Verdicts

A refusal is no deviation: the function raised an error where numseg has a result; the worst are below.

| operator | implementation | verdict | cases | to the bit | largest, ulps | refused |
|---|---|---|---|---|---|---|
"""  # noqa: E501


def main() -> None:
    """Ask all implementations of one operator after the other, and write the page at the end."""
    parser = argparse.ArgumentParser(prog="python -m docs.conformance", description=__doc__)
    parser.add_argument("--only", default="", help="print reports of what contains this word")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    known = {name: list(conventions.peers_of(op)) for name, op in _operators() if _asked(op)}
    if options.one:
        print(json.dumps([_in_words(options.one, target) for target in known[options.one]]))
    elif options.only:
        for name, target in ((n, t) for n, targets in known.items() for t in targets):
            if options.only in f"{name} {target}":
                print(_ask(name, target), flush=True)
    else:
        found = [words for name in known for words in _in_a_process(name, known[name])]
        versions = sorted({peers.version(t) for targets in known.values() for t in targets})
        head = HEAD.format(cases=CASES, versions=", ".join(versions))
        rows, details = ("".join(words[part] for words in found) for part in ("row", "detail"))
        PAGE.write_text(f"{head}{rows}\n## Where they deviate\n\n{details.rstrip()}\n")


def _operators() -> list[tuple[str, Op]]:
    return sorted(OPERATORS.items())


def _asked(op: Op) -> bool:
    return bool(conventions.peers_of(op))


def _ask(name: str, target: str) -> ConformanceReport:
    op = OPERATORS[name]
    return conformance(
        peers.load(target, op),
        op,
        name=target,
        gradient=target.startswith("torch"),
        cases=CASES,
        isolate=True,
        **conventions.peers_of(op)[target],
    )


def _in_a_process(name: str, targets: list[str]) -> list[dict[str, str]]:
    """Each operator in a fresh process: what befell a framework is nobody else's business."""
    print(name, ", ".join(targets), file=sys.stderr, flush=True)
    command = [sys.executable, "-W", "ignore", "-m", "docs.conformance", "--one", name]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: list[dict[str, str]] = json.loads(done.stdout)
    return found


def _in_words(name: str, target: str) -> dict[str, str]:
    """A row of the table, and a section for what deviates."""
    try:
        report = _ask(name, target)
    except ArgumentError as error:
        said = " ".join(str(error).split())[:160]
        return {"row": f"| {name} | `{target}` | not asked: {said} | | | | |\n", "detail": ""}
    exact = sum(s.exact for s in report.dtypes)
    largest = max(s.ulps for s in report.dtypes)
    refused = sum(r.cases for r in report.refusals)
    if report.deviating == 0:
        verdict = f"matches {report.whose}"
    elif not report.aspects["ordinary"][0]:
        odd = [f"{k} of {n} {AMONG[w]}" for w, (k, n) in report.aspects.items() if k]
        verdict = f"matches {report.whose}; **deviates** in {', '.join(odd)}"
    else:
        odd = [f"{k} of {n} {AMONG[w]}" for w, (k, n) in report.aspects.items() if k]
        verdict = f"nearest {report.whose}; **deviates** in {', '.join(odd)}"
    verdict += "".join(f"; {fault.words} ({fault.cases} cases)" for fault in report.faults)
    verdict += f"; *not tried*: {', '.join(report.untried)}" if report.untried else ""
    row = (
        f"| {report.operator} | `{report.function}` | {verdict} | {report.cases} | {exact} | "
        f"{largest:.2g} | {refused or ''} |\n"
    )
    worst = [r for r in report.refusals if r.refused.error == "Lost"]
    if report.deviating == 0 and not worst:
        return {"row": row, "detail": ""}
    detail = f"### {report.operator}: {report.function}\n\n"
    detail += "".join(_deviation(report, d) for d in report.deviations)
    for refusal in worst:
        detail += f"{refusal.cases} calls were lost, {refusal.refused.message}; one of them:\n\n"
        detail += _code(refusal.snippet)
    return {"row": row, "detail": detail}


def _deviation(report: ConformanceReport, d: Deviation) -> str:
    place = "" if d.place is None else str(list(d.place))
    looks = "".join(f"- {words}\n" for words in d.looks_like)
    return (
        f"{d.cases} calls {AMONG[d.kind]}; the smallest found:\n\n{_code(d.snippet)}"
        f"`{d.part}{place}` is {_number(d.ours)} by definition, {_number(d.theirs)} from "
        f"`{report.function}`.\n\n{looks}" + ("\n" if looks else "")
    )


def _number(value: Any) -> str:
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def _code(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines()) + "\n"


if __name__ == "__main__":
    main()
