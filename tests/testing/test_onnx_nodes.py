"""Calls as ONNX nodes, and back: every operator with a node, by its own cases."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numseg.conventions import Unsupported, onnx_nodes, to_call, to_node
from numseg.errors import ArgumentError
from numseg.ops.registry import OPERATORS
from numseg.testing import cases, contract

NODES = [(op, kind) for op in OPERATORS.values() for kind in onnx_nodes(op)]
OPSETS = 9, 11, 13, 18, 22

each_node = pytest.mark.parametrize(
    ("op", "kind"), NODES, ids=[f"{op.__name__}-{kind}" for op, kind in NODES]
)


def _settled(op: Any, kind: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The call with what ONNX has settled, and else its defaults, where a node says nothing."""
    known = onnx_nodes(op)[kind]
    said = {*known.arguments(op), *known.idle({**op.parameters.defaults, **arguments})}
    others = {n: op.parameters.defaults[n] for n in op.parameters.names if n not in said}
    if "index_layout" in arguments and "indices" not in arguments:
        layout = "nchw" if arguments["return_indices"] else op.parameters.defaults["index_layout"]
        arguments = arguments | {"index_layout": layout}
    return arguments | others | dict(known.settled)


def _same_call(op: Any, one: dict[str, Any], two: dict[str, Any]) -> None:
    if one.get("index_layout") == two.get("index_layout"):  # hw and nchw are the same pixels
        assert op.plan(**one).geometry == op.plan(**two).geometry
    first, second = (contract.arrays(op.reference(**given)) for given in (one, two))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("opset", OPSETS)
@each_node
def test_a_call_is_a_node_and_the_node_is_the_call(op: Any, kind: str, opset: int) -> None:
    written = 0
    for number, case in enumerate(cases.drawn(op, 60)):
        given = _settled(op, kind, case.arguments("integers", np.float32, number))
        try:
            op.plan(**given)
            node = to_node(op, kind, given, opset)
        except (ArgumentError, Unsupported):
            continue
        used = node.results or node.outputs
        back = to_call(op, kind, [*node.inputs.values()], node.attributes, opset, used)
        idle = onnx_nodes(op)[kind].idle({**op.parameters.defaults, **given})
        _same_call(op, given, {name: given[name] for name in idle if name in given} | back)
        written += 1
    assert written >= 3 or opset < 21, "ONNX has words for these calls"


@each_node
def test_every_argument_is_written_settled_or_refused(op: Any, kind: str) -> None:
    """What a node does not say must not change without a word."""
    known = onnx_nodes(op)[kind]
    arguments = op.parameters.defaults
    for case in cases.drawn(op, 60):
        given = _settled(op, kind, case.arguments("integers", np.float32))
        said = {*known.arguments(op), *known.idle({**arguments, **given}), *op.inputs}
        for name in set(case.params) - said:
            usual = known.settled.get(name, arguments.get(name))
            if case.params[name] != usual:
                with pytest.raises(Unsupported, match=f"^{op.__name__}: {kind} means {name} = "):
                    to_node(op, kind, given | {name: case.params[name]})


REFUSALS = [
    ("linear", "Gemm", "xw", {"transB": 1, "alpha": 0.5}, 13, "alpha = 0.5 and beta = 1.0"),
    ("linear", "Gemm", "xw", {"transB": 0}, 13, "transB = 0, expected 1, or a constant"),
    ("conv2d", "Conv", "xw", {"strides": [1]}, 11, "strides = [1]"),
    ("conv2d", "Conv", "xw", {"pads": [1, 1]}, 11, "pads = [1, 1], expected 4 numbers"),
    ("conv2d", "Conv", "xw", {"auto_pad": "ODD"}, 11, "auto_pad = 'ODD'"),
    ("conv2d", "Conv", "xw", {"colour": 3}, 11, "conv2d has no argument for colour = 3"),
    ("max_pool2d", "MaxPool", "x", {}, 12, "has no attribute kernel_shape"),
    ("max_pool2d", "MaxPool", "x", {"kernel_shape": [2, 2], "storage_order": 1}, 12,
     "storage_order = 1, expected 0"),
    ("l2_norm", "LpNormalization", "x", {"axis": 1, "p": 1}, 22, "p = 1, expected 2"),
    ("softmax", "Softmax", "x", {}, 11, "axis = 1, expected the last one"),
    ("hard_swish", "HardSwish", "x", {}, 13, "read since opset 14"),
    ("selu", "Selu", "x", {"alpha": 1.6732}, 22, "alpha = 1.6732, expected 1.6732632423543772"),
    ("gelu", "Gelu", "x", {"approximate": "erf"}, 20, "approximate = 'erf'"),
    ("relu", "Relu", "xyz", {}, 13, "has 3 inputs, expected at most 1"),
    ("pad", "Pad", "xp", {}, 13, "its input pads must be a constant"),
    ("upsample_nearest2d", "Resize", "x", {"mode": "cubic"}, 13, "expected scales or sizes"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "kind", "inputs", "attributes", "opset", "words"), REFUSALS)
def test_refuses_in_one_line(
    name: str, kind: str, inputs: str, attributes: dict[str, Any], opset: int, words: str
) -> None:
    with pytest.raises(Unsupported) as caught:
        to_call(OPERATORS[name], kind, list(inputs), attributes, opset)
    assert str(caught.value).startswith(f"{kind}, opset {opset}: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_stands_for_an_array_is_handed_on() -> None:
    x, weight = object(), object()
    call = to_call(OPERATORS["conv2d"], "Conv", [x, weight, None], {"strides": [2, 1]}, 13)
    assert call["x"] is x
    assert call["weight"] is weight
    assert "bias" not in call
    assert call["stride"] == (2, 1)


def test_a_real_constant_is_a_float32() -> None:
    """As ONNX's attributes are: whether it was written with six digits or with all it has."""
    for alpha in (1.67326319217681884765625, 1.6732632, 1.6732632423543772):
        assert to_call(OPERATORS["selu"], "Selu", ["x"], {"alpha": alpha}, 22) == {"x": "x"}
