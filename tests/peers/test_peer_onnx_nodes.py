"""What ONNX's own schemas say of the nodes that calls are written as, opset by opset."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numseg.conventions import Node, Unsupported, onnx_nodes, to_call, to_node
from numseg.errors import ArgumentError
from numseg.ops.registry import OPERATORS
from numseg.testing import cases

onnx = pytest.importorskip("onnx")

NEWEST = 22


def _opsets(op: Any, kind: str) -> list[int]:
    """Where the schema changes, and the newest."""
    since = onnx_nodes(op)[kind].since
    changes = {s.since_version for s in onnx.defs.get_all_schemas_with_history() if s.name == kind}
    return sorted({since, *(c for c in changes if since < c < NEWEST), NEWEST})


VERSIONS = [
    (op, kind, opset)
    for op in OPERATORS.values()
    for kind in onnx_nodes(op)
    for opset in _opsets(op, kind)
]
each_version = pytest.mark.parametrize(
    ("op", "kind", "opset"), VERSIONS, ids=[f"{op.__name__}-{k}-{o}" for op, k, o in VERSIONS]
)


def _nodes(op: Any, kind: str, opset: int) -> list[Node]:
    found = []
    for case in cases.drawn(op, 60):
        given = case.arguments("integers", np.float32)
        names = {*onnx_nodes(op)[kind].arguments(op), *op.inputs}
        try:
            found.append(to_node(op, kind, {n: v for n, v in given.items() if n in names}, opset))
        except (ArgumentError, Unsupported):
            continue
    return found


def _default(attribute: Any) -> Any:
    value = onnx.helper.get_attribute_value(attribute.default_value)
    if isinstance(value, float):
        return float(str(np.float32(value)))  # as it was written: attributes are float32
    return value.decode() if isinstance(value, bytes) else value


def _outcome(op: Any, node: Node, attributes: dict[str, Any]) -> str:
    """The call, arrays aside, or why there is none."""
    inputs, used = [*node.inputs.values()], node.results or node.outputs
    try:
        call = to_call(op, node.type, inputs, attributes, node.opset, used)
    except Unsupported as refusal:
        return str(refusal)
    return repr(sorted((n, v) for n, v in call.items() if n not in op.inputs))


@each_version
def test_nodes_are_valid(op: Any, kind: str, opset: int) -> None:
    schema = onnx.defs.get_schema(kind, opset, "")
    context = onnx.checker.C.CheckerContext()
    context.opset_imports, context.ir_version = {"": opset}, 10
    for node in _nodes(op, kind, opset):
        names = [n if v is not None else "" for n, v in node.inputs.items()]
        results = [f"y{j}" for j in range(node.outputs)]
        made = onnx.helper.make_node(kind, names, results, **node.attributes)
        onnx.checker.check_node(made, context)
        assert node.attributes.keys() <= set(schema.attributes)


@each_version
def test_defaults_are_those_of_the_schema(op: Any, kind: str, opset: int) -> None:
    schema = onnx.defs.get_schema(kind, opset, "")
    optional = {
        name: _default(a)
        for name, a in schema.attributes.items()
        if not a.required and a.default_value.type
    }
    for node in _nodes(op, kind, opset)[:10]:
        for name, value in optional.items():
            without = {n: v for n, v in node.attributes.items() if n != name}
            plain, explicit = (
                _outcome(op, node, attributes) for attributes in (without, without | {name: value})
            )
            assert plain == explicit, name


@each_version
def test_inputs_are_those_of_the_schema(op: Any, kind: str, opset: int) -> None:
    schema, known = onnx.defs.get_schema(kind, opset, ""), onnx_nodes(op)[kind]
    if schema.max_input > 100:
        return
    assert len(known.names(opset, 0)) == len(schema.inputs)
