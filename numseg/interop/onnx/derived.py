"""Attributes that follow from the shapes of a run: the rule of a node is asked again."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from numseg.conventions import Unsupported
from numseg.errors import ArgumentError
from numseg.interop.onnx import rules
from numseg.interop.onnx.arithmetic import Program, thawed
from numseg.interop.onnx.rules import Input, Node
from numseg.plan import Spec
from numseg.typing import Shape


@dataclasses.dataclass(frozen=True)
class Source:
    """What an input of a node is: nothing, or one of these."""

    kind: str
    """"value": an array that the graph computes; "step": of the program; "array": a parameter, of
    whose numbers no attribute is made."""
    at: int = 0
    """Which value, among those whose shapes are asked for, or which step."""
    shape: tuple[int, ...] = ()
    dtype: str = "<f4"


@dataclasses.dataclass(frozen=True)
class Translation:
    """A node, and where what it reads comes from."""

    type: str
    opset: int
    attributes: tuple[tuple[str, Any], ...]
    inputs: tuple[Source | None, ...]
    outputs: int
    program: Program
    results: tuple[tuple[int, int], ...]
    """Of each output: which call, and which of its results."""

    def node(self, shapes: Sequence[Shape]) -> Node:
        """The node, where values have these shapes."""
        steps = self.program.run(shapes)
        node = Node(self.type, self.opset, thawed(self.attributes), [], self.outputs)

        def given(place: int, source: Source | None) -> Input:
            if source is None:
                return None
            if source.kind == "step":
                return steps[source.at]
            if source.kind == "array":
                return np.broadcast_to(np.zeros((), source.dtype), source.shape)
            spec = Spec(tuple(shapes[source.at]), np.dtype(source.dtype))
            return node.live(spec, (-1, place))

        node.inputs = [given(place, source) for place, source in enumerate(self.inputs)]
        return node


@functools.lru_cache(maxsize=4096)
def _calls(translation: Translation, shapes: tuple[Shape, ...]) -> list[rules.Call]:
    node = translation.node(shapes)
    try:
        rules.calls(node)
    except Unsupported as refusal:
        raise ArgumentError(str(refusal)) from None
    return node.calls


@dataclasses.dataclass(frozen=True)
class Attribute:
    """An attribute of one of the calls that a node is."""

    of: Translation
    call: int
    operator: str
    name: str

    def __call__(self, *shapes: Shape) -> Any:
        """Its value, where values have these shapes."""
        made = _calls(self.of, tuple(map(tuple, shapes)))
        call = made[self.call] if self.call < len(made) else None
        if call is None or call.operator.__name__ != self.operator:
            raise ArgumentError(f"at shapes {shapes} the node is no {self.operator} any more")
        given = call.attributes.get(self.name, call.operator.parameters.defaults.get(self.name))
        return tuple(given) if isinstance(given, list) else given
