"""ONNX models, both ways: a model becomes a graph and its parameters, and a graph a model."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from numseg.graph import Graph
from numseg.interop.onnx.differing import Difference, difference
from numseg.interop.onnx.importing import Computed, Refusal, imported
from numseg.typing import Array

__all__ = ["Difference", "difference", "load"]


def load(
    model: str | os.PathLike[str] | Any,
    shapes: Mapping[str, Sequence[int]] | None = None,
    constants: Mapping[str, Array] | None = None,
    outputs: Sequence[str] | None = None,
) -> tuple[Graph, dict[str, Array]]:
    """..."""
    found = imported(model, shapes, constants, outputs)
    fixed = [name for name, t in found.outputs.items() if not isinstance(t, Computed)]
    if fixed or found.graph is None:
        raise Refusal(f"the output {fixed[0]} does not depend on the numbers of an input")
    return found.graph, found.params
