"""Models made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="ONNX models need the onnx package")


def node(type: str, inputs: str, outputs: str, **attributes: Any) -> Any:
    """A node; its inputs and outputs are words, "_" is one that is left out."""
    names = ["" if name == "_" else name for name in inputs.split()]
    return onnx.helper.make_node(type, names, outputs.split(), name=f"{type}_1", **attributes)


def model(
    nodes: list[Any],
    inputs: dict[str, Any],
    outputs: str = "y",
    opset: int = 22,
    dtype: Any = np.float32,
    **constants: Any,
) -> Any:
    """A model of these nodes; sizes of inputs may be words."""
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    given = [onnx.helper.make_tensor_value_info(n, kind, shape) for n, shape in inputs.items()]
    made = [onnx.helper.make_empty_tensor_value_info(name) for name in outputs.split()]
    arrays = [onnx.numpy_helper.from_array(np.asarray(a), n) for n, a in constants.items()]
    graph = onnx.helper.make_graph(nodes, "g", given, made, arrays)
    opsets = [onnx.helper.make_opsetid("", opset)]
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10)
