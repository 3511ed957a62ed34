"""``python -m numseg.interop.onnx``: ONNX's own backend test suite, run on numseg."""

from __future__ import annotations

import argparse
import collections
import contextlib
import io
import re
import unittest
import warnings
from typing import Any

import numseg as ns
from numseg.files import optional

LISTED = """Conv ConvTranspose MaxPool MaxUnpool AveragePool GlobalAveragePool GlobalMaxPool LpPool
GlobalLpPool BatchNormalization InstanceNormalization GroupNormalization LayerNormalization LRN
Relu LeakyRelu PRelu Elu Selu Celu Sigmoid HardSigmoid HardSwish Tanh Softplus Softsign Mish Gelu
Swish Abs Exp Log Neg Reciprocal Add Sub Mul Div Pow Sqrt Min Max Sum Mean Clip Concat Pad Slice
Split
Gather Unsqueeze Squeeze Reshape Flatten Transpose Expand Tile Gemm MatMul ReduceL1 ReduceL2
ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare
ArgMax Resize Upsample GridSample RoiAlign MaxRoiPool DeformConv Softmax LogSoftmax
SoftmaxCrossEntropyLoss NegativeLogLikelihoodLoss NonMaxSuppression Col2Im DepthToSpace SpaceToDepth
Dropout Identity Cast Constant ConstantOfShape Range Where Equal Shape Size"""
"""The types of nodes that exported segmentation models are made of."""

EXAMPLES = """examples:
  python -m numseg.interop.onnx
  python -m numseg.interop.onnx --reference --reasons
  python -m numseg.interop.onnx --groups
  python -m numseg.interop.onnx --only resize --reasons
"""


class Outcome(unittest.TestResult):
    """What came of each test."""

    def __init__(self, bar: Any) -> None:
        super().__init__()
        self.bar = bar
        self.found: dict[str, tuple[str, str]] = {}

    def _note(self, test: Any, outcome: str, reason: str = "") -> None:
        self.found.setdefault(test.id().rpartition(".")[2].removesuffix("_cpu"), (outcome, reason))

    def stopTest(self, test: Any) -> None:  # noqa: N802
        super().stopTest(test)
        self._note(test, "passed")
        self.bar.update()

    def addSkip(self, test: Any, reason: str) -> None:  # noqa: N802
        self._note(test, "not supported", " ".join(reason.split()))

    def addFailure(self, test: Any, err: Any) -> None:  # noqa: N802
        self._note(test, "failed", " ".join(str(err[1]).split()))

    def addError(self, test: Any, err: Any) -> None:  # noqa: N802
        self._note(test, "failed", f"{err[0].__name__}: {' '.join(str(err[1]).split())}")


def main(argv: Any = None) -> int:
    """The exit code: 1 if a test failed."""
    parser = argparse.ArgumentParser(
        prog="python -m numseg.interop.onnx",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--reference", action="store_true", help="by the definition, in NumPy")
    parser.add_argument("--only", metavar="WORD", help="tests with this word in their name")
    parser.add_argument("--groups", action="store_true", help="a table of why tests did not pass")
    parser.add_argument("--reasons", action="store_true", help="a line for each that did not pass")
    args = parser.parse_args(argv)
    tests, types = suite(args.only)
    tqdm = optional("tqdm", "tqdm", "train", "a progress bar").tqdm
    with (
        tqdm(total=tests.countTestCases(), unit="test", dynamic_ncols=True) as bar,
        ns.use("reference") if args.reference else contextlib.nullcontext(),
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        outcome = Outcome(bar)
        tests.run(outcome)
    listed = {n for n in outcome.found if types.get(n, {""}) <= {*LISTED.split()}}
    report(outcome.found, listed, args.reasons)
    if args.groups:
        print(table(outcome.found, listed))
    return int(any(kind == "failed" for kind, _ in outcome.found.values()))


def suite(only: str | None) -> tuple[unittest.TestSuite, dict[str, set[str]]]:
    """ONNX's tests but those of models that it downloads, and the types of nodes in each."""
    import onnx.backend.test
    from onnx.backend.test.loader import load_model_tests

    from numseg.interop.onnx import backend

    backend.skipped = unittest.SkipTest

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = onnx.backend.test.BackendTest(backend.Backend, __name__)
    made.exclude("cuda")
    tests: list[unittest.TestCase] = []
    for name, case in made.test_cases.items():
        if "RealModel" not in name:
            tests += unittest.defaultTestLoader.loadTestsFromTestCase(case)  # type: ignore[arg-type]
    kept = unittest.TestSuite(
        test for test in tests
        if test.id().endswith("_cpu") and (only is None or only in test.id())
    )  # fmt: skip
    types = {}
    for kind in ("node", "simple", "pytorch-converted", "pytorch-operator"):
        for test in load_model_tests(kind=kind):
            model = test.model or onnx.load(f"{test.model_dir}/model.onnx")
            types[test.name] = {node.op_type for node in model.graph.node}
    return kept, types


def report(found: dict[str, tuple[str, str]], listed: set[str], reasons: bool) -> None:
    """Counts of all tests, and of those of the types that segmentation models are made of."""
    for title, names in (("all tests", set(found)), ("of listed types alone", listed)):
        counts = collections.Counter(found[name][0] for name in names)
        told = ", ".join(f"{counts[k]} {k}" for k in ("passed", "not supported", "failed"))
        print(f"{title}: {len(names)}: {told}")
    for name in sorted(listed if reasons else ()):
        outcome, reason = found[name]
        if outcome != "passed":
            print(f"  {name}: {outcome}: {reason[:200]}")
    for name in sorted(set(found) - listed):
        if found[name][0] == "failed":
            print(f"  {name}: failed: {found[name][1][:200]}")


def table(found: dict[str, tuple[str, str]], listed: set[str]) -> str:
    """Why tests did not pass, in Markdown: the reason, and the first node that it was given for."""
    reasons: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    ours: collections.Counter[str] = collections.Counter()
    for name, (outcome, reason) in found.items():
        if outcome != "passed":
            kind, why = (name, "failed") if outcome == "failed" else group(reason)
            reasons[why][kind] += 1
            ours[why] += name in listed
    lines = ["| why | tests | of listed types | nodes |", "|---|---|---|---|"]
    for why, kinds in sorted(reasons.items(), key=lambda entry: (-entry[1].total(), entry[0])):
        told = ", ".join(f"{kind} {n}" if n > 1 else kind for kind, n in kinds.most_common())
        lines.append(f"| {why} | {kinds.total()} | {ours[why]} | {told} |")
    return "\n".join(lines)


ALIKE = [
    (r"input \S+ has ONNX's dtype.*", "an input of a dtype that NumPy has not"),
    (r"is of opset.*", "a model of opset 6 or older"),
    (r"input \S+ is an? (sequence|optional)_type.*", "a sequence, or an optional value"),
    (r"its attribute \S+ is a graph", "a graph within a graph"),
    (r"is of the domain .*", "a node of another domain than ONNX's own"),
    (r"casts .*", "a cast to another dtype of an array that the graph computes"),
    (r".*(expected float32 or float64|its first input is a constant, or holds no).*",
     "numbers that are neither float32 nor float64"),
    (r"\w+ holds .*", "integers among the weights"),
    (r".*(its images have \d axes|has shape .* expected 4 axes).*", "images of three axes"),
    (r"output \d+ is not computed|.* does not give output \d+", "a further output"),
    (r".*(cannot be computed|has no numbers).*", "an extreme of no numbers"),
    (r"(mode|storage_order|dilations|axis|p|image_shape|alpha|.* has no argument for .*) = .*",
     "an attribute that the operator has no argument for"),
]  # fmt: skip
"""What a refusal says, and what is said of all like it."""


def group(reason: str) -> tuple[str, str]:
    """The type of the first node that a refusal names, and the reason, in words for all like it."""
    found = re.match(r"\d+ nodes? (?:is|are) not supported: .*? \((\w+)\): ([^;]*)", reason)
    kind, why = found.groups() if found else ("the model", reason)
    return kind, next((words for like, words in ALIKE if re.fullmatch(like, why)), why)


if __name__ == "__main__":
    raise SystemExit(main())
