"""Implementations by name: ``onnx:RoiAlign``, ``ort:RoiAlign``, ``package.module:function``.

``onnx`` is the reference evaluator of the onnx package, ``ort`` is ONNX Runtime on the CPU. Both
run a model of one node, which the operator's ``conventions.py`` makes of its arguments.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from numseg import names
from numseg.conventions import Node, Onnx, Unsupported, onnx_nodes
from numseg.errors import ArgumentError
from numseg.operator import Operator
from numseg.ops.registry import OPERATORS
from numseg.testing.conventions import peers_of
from numseg.typing import Array

EVALUATORS = {"onnx": "onnx", "ort": "onnxruntime"}
"""The prefixes, and the packages that they need."""


def load(target: str, op: Operator[..., Any]) -> Callable[..., Any]:
    """The implementation that ``target`` names, for the arguments of ``op``.

    Parameters
    ----------
    target : str
        ``package.module:function``, ``folder/file.py:function``, ``onnx:Node`` or ``ort:Node``.
    op : Operator
        Whose arguments an ONNX node is made of.

    Raises
    ------
    ArgumentError
        If there is no such thing, or its package is not installed.
    """
    where, _, what = target.partition(":")
    if not where or not what:
        raise ArgumentError(f"expected module:function, onnx:Node or ort:Node, got {target!r}")
    if where not in EVALUATORS:
        return _function(target)
    nodes = onnx_nodes(op)
    if what not in nodes:
        known = ", ".join(nodes) or "none"
        hint = names.close_to(what, nodes)
        raise ArgumentError(f"{op.__name__} has no ONNX node {what!r}: {known}{hint}")
    names.imported(EVALUATORS[where])
    names.imported("onnx")
    return node_function(target, where, what, op, nodes[what])


def operator_of(target: str) -> Operator[..., Any] | None:
    """The one operator that a target's name can mean, if it is one."""
    known = OPERATORS
    fitting = [op for op in known.values() if target in peers_of(op)]
    if len(fitting) == 1:
        return fitting[0]
    return known.get(target.rpartition(":")[2].rpartition(".")[2])


def version(target: str) -> str:
    """``onnx 1.23.2``: the package that an implementation is from, and its version."""
    where = target.partition(":")[0]
    package = EVALUATORS.get(where, where.partition(".")[0])
    try:
        return f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        return package


def node_function(
    name: str, evaluator: str, op_type: str, op: Operator[..., Any], known: Onnx
) -> Callable[..., Any]:
    """A function of the arguments that a node speaks of, which runs the node.

    Arguments that it does not take are conventions that ONNX has settled.
    """

    def function(**arguments: Any) -> list[Array]:
        return run_node(evaluator, known.written(op, op_type, arguments))

    kind = inspect.Parameter.KEYWORD_ONLY
    taken = [inspect.Parameter(argument, kind) for argument in known.arguments(op)]
    function.__name__ = name
    vars(function)["__signature__"] = inspect.Signature(taken)
    return function


def run_node(evaluator: str, node: Node) -> list[Array]:
    """What an evaluator gives for a model of this one node."""
    onnx = importlib.import_module("onnx")
    helper, infos = onnx.helper, []
    double = any(a is not None and a.dtype == np.float64 for a in node.inputs.values())
    for name, value in node.attributes.items():
        if double and isinstance(value, float) and float(np.float32(value)) != value:
            raise Unsupported(f"ONNX has attributes in float32, and {name} is {value!r}")
    given = {n: np.array(a, order="C") for n, a in node.inputs.items() if a is not None}
    for name, array in given.items():
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        infos.append(helper.make_tensor_value_info(name, kind, array.shape))
    results = [f"result{j}" for j in range(node.outputs)]
    made = helper.make_node(
        node.type, [n if n in given else "" for n in node.inputs], results, **node.attributes
    )
    outputs = [onnx.ValueInfoProto(name=name) for name in results]
    model = helper.make_model(
        helper.make_graph([made], "one_node", infos, outputs),
        opset_imports=[helper.make_opsetid("", node.opset)],
        ir_version=10,
    )
    if evaluator == "onnx":
        reference = importlib.import_module("onnx.reference")
        return list(reference.ReferenceEvaluator(model).run(None, given))[: node.results]
    runtime = importlib.import_module("onnxruntime")
    runtime.set_default_logger_severity(4)  # errors are raised; the rest need not be printed
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return list(session.run(None, given))[: node.results]


def _function(target: str) -> Callable[..., Any]:
    found = names.load(target)
    if not callable(found):
        where, _, what = target.rpartition(":")
        kind = type(found).__name__
        raise ArgumentError(f"{where} has no function {what!r}, it is of type {kind}")
    return found
