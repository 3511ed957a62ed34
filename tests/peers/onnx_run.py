"""One ONNX operator, run by ONNX Runtime or by ONNX's reference evaluator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def run(op: str, inputs: list[Any], opset: int, by: str, **attributes: Any) -> np.ndarray:
    """The first output, ``by`` "ort" or "reference"; an input None is left out."""
    from onnx.reference import ReferenceEvaluator

    given = {f"i{k}": value for k, value in enumerate(inputs) if value is not None}
    names = [f"i{k}" if value is not None else "" for k, value in enumerate(inputs)]
    node = onnx.helper.make_node(op, names, ["y"], **attributes)

    def info(name: str, array: Any) -> Any:
        kind = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
        return onnx.helper.make_tensor_value_info(name, kind, array.shape)

    dtype = np.dtype(np.int64) if op in ("ArgMax", "ArgMin") else next(iter(given.values())).dtype
    kind = onnx.helper.np_dtype_to_tensor_dtype(dtype)
    y = onnx.helper.make_tensor_value_info("y", kind, None)
    graph = onnx.helper.make_graph([node], "g", [info(*pair) for pair in given.items()], [y])
    opsets = [onnx.helper.make_opsetid("", opset)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)
    if by == "reference":
        return ReferenceEvaluator(model).run(None, given)[0]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, given)[0]
