"""Conventions: whose behaviour an operator reproduces with which arguments, and ONNX both ways.

An operator's folder may have a module ``conventions.py``. It states what it likes of

``CONVENTIONS``
    the name of a framework's convention, and the arguments that reproduce it; ``{}`` is the
    operator as it stands;
``CHOICES``
    values worth trying for an argument that is neither a word nor a flag;
``PROBES``
    known mistakes: words, and a function that changes the arguments of a call (by name, all of
    them) such that the operator gives for the changed ones what the mistake gives for the others;
``PEERS``
    a function that computes what the operator does, as ``module:function``, and how
    :func:`~numseg.testing.conformance` must be told to call it (``constants``, ``names``,
    ``adapt``; mostly nothing);
``ONNX``
    a type of ONNX node, and the :class:`Onnx` that writes calls as such nodes and reads them.

An :class:`Onnx` is made of parts, each a few arguments and the attributes or inputs that stand for
them, with a way there and a way back. :func:`to_node` and :func:`to_call` go these ways, or say in
one line which attribute or argument has a value that the other side has no words for.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from numseg import geometry
from numseg.typing import Array

if TYPE_CHECKING:
    from numseg.operator import Operator

Arguments = dict[str, Any]
Probe = Callable[[Arguments], Arguments]

REQUIRED: Any = object()
"""In the place of a default: the attribute must be given."""


class Unsupported(Exception):
    """The other side has no words for this: a line that names the argument or attribute."""


@dataclasses.dataclass
class Node:
    """One ONNX node."""

    type: str
    inputs: dict[str, Any]
    """By the names that :class:`Onnx` gives them, in order; None for one that is not given. An
    array, or whatever stands for one whose values are not known."""
    attributes: dict[str, Any] = dataclasses.field(default_factory=dict)
    opset: int = 22
    outputs: int = 1
    results: int | None = None
    """How many of the outputs count; all of them by default."""

    def take(self, attribute: str, default: Any) -> Any:
        """The value of an attribute, which is removed: what is left in the end nobody knows."""
        value = self.attributes.pop(attribute, default)
        if value is REQUIRED:
            raise self.refusal(f"has no attribute {attribute}")
        return value.decode() if isinstance(value, bytes) else value

    def constant(self, name: str) -> Any:
        """The values of an input, which is removed. None if it is not given."""
        value = self.inputs.pop(name, None)
        if value is not None and not isinstance(value, np.ndarray):
            raise self.refusal(f"its input {name} must be a constant")
        return value if value is None or value.size else None

    def refusal(self, reason: str) -> Unsupported:
        """An error that names the node."""
        return Unsupported(f"{self.type}, opset {self.opset}: {reason}")


class Part(NamedTuple):
    """Arguments of a call, and what of a node stands for them."""

    arguments: tuple[str, ...]
    write: Callable[[Arguments, Node], None]
    """Puts them into the node."""
    read: Callable[[Node], Arguments]
    """Takes them out of it."""


class Onnx:
    """How calls of an operator are written as nodes of one type, and read from them.

    Parameters
    ----------
    inputs : str, or a function of the opset that gives one
        Their names, by position. Those that an argument has are that argument; the others belong
        to one of the parts. ``*xs`` is as many as there are.
    *parts : Part
    since : int
        The first opset whose nodes are read and written.
    opset : int
        The one to write unless told otherwise.
    settled : mapping
        Arguments without a part for which ONNX has another value than our default.
    idle : function of the arguments
        Names of arguments without a part that make no difference in a call, or none to ONNX.
    """

    def __init__(
        self,
        inputs: str | Callable[[int], str],
        *parts: Part,
        since: int = 1,
        opset: int = 22,
        settled: Mapping[str, Any] | None = None,
        idle: Callable[[Arguments], Collection[str]] = lambda arguments: (),
    ) -> None:
        self._inputs, self.parts = inputs, parts
        self.since, self.opset = since, opset
        self.settled, self.idle = settled or {}, idle

    def names(self, opset: int, count: int) -> list[str]:
        """Of the inputs of a node that has so many."""
        named = self._inputs if isinstance(self._inputs, str) else self._inputs(opset)
        if named.startswith("*"):
            return [f"{named[1:]}[{j}]" for j in range(count)]
        return named.split()

    def arguments(self, op: Operator[..., Any]) -> list[str]:
        """Those of the operator's that a node says something of."""
        said = {name for part in self.parts for name in part.arguments}
        said |= {*self.names(self.opset, 0)}
        return [name for name in op.parameters.names if name in said]

    def written(
        self, op: Operator[..., Any], type: str, arguments: Arguments, opset: int | None = None
    ) -> Node:
        """The node of a call, of whose arguments only those count that a node speaks of."""
        opset = self.opset if opset is None else opset
        node = Node(type, {}, opset=opset)
        if opset < self.since:
            raise node.refusal(f"written since opset {self.since}")
        node.inputs = {name: arguments.get(name) for name in self.names(opset, 0)}
        for part in self.parts:
            part.write(arguments, node)
        while node.inputs and node.inputs[last := [*node.inputs][-1]] is None:
            del node.inputs[last]
        return node


def to_node(
    op: Operator[..., Any], type: str, arguments: Arguments, opset: int | None = None
) -> Node:
    """The ONNX node of a call.

    Parameters
    ----------
    op : Operator
    type : str
        One of ``onnx_nodes(op)``.
    arguments : dict
        Of the call; those left out have their defaults.
    opset : int, optional

    Raises
    ------
    Unsupported
        If ONNX has no words for one of the arguments.
    """
    known = onnx_nodes(op)[type]
    arguments = {**op.parameters.defaults, **arguments}
    spoken = {*known.arguments(op), *known.idle(arguments)}
    for name, value in arguments.items():
        usual = known.settled.get(name, op.parameters.defaults.get(name))
        if name not in spoken and not same(value, usual):
            raise Unsupported(f"{op.__name__}: {type} means {name} = {usual!r}, got {value!r}")
    return known.written(op, type, arguments, opset)


def to_call(
    op: Operator[..., Any],
    type: str,
    inputs: Sequence[Any],
    attributes: Mapping[str, Any],
    opset: int,
    outputs: int = 1,
) -> Arguments:
    """The arguments of the call that an ONNX node is.

    Parameters
    ----------
    op : Operator
        One of those with this type among their ``onnx_nodes``.
    type : str
    inputs : sequence
        By position, None for one that is not given. Arrays where they are constants; anything else
        stands for an array and is handed on.
    attributes : mapping
    opset : int
    outputs : int
        How many of the node's outputs are used.

    Raises
    ------
    Unsupported
        If the operator does not do what an attribute or a missing input asks for.
    """
    known = onnx_nodes(op)[type]
    names = known.names(opset, len(inputs))
    node = Node(type, dict.fromkeys(names), dict(attributes), opset, outputs)
    if opset < known.since:
        raise node.refusal(f"read since opset {known.since}")
    if len(inputs) > len(names):
        raise node.refusal(f"has {len(inputs)} inputs, expected at most {len(names)}")
    node.inputs.update(zip(names, inputs, strict=False))
    arguments = dict(known.settled)
    for part in known.parts:
        arguments |= part.read(node)
    if node.attributes:
        name, value = next(iter(node.attributes.items()))
        raise node.refusal(f"{op.__name__} has no argument for {name} = {value!r}")
    if node.outputs > 1:
        raise node.refusal(f"{op.__name__} does not give output {node.outputs}")
    for name, value in node.inputs.items():
        if value is not None and name not in op.inputs:
            raise node.refusal(f"{op.__name__} has no argument for the input {name}")
        if name in op.inputs and name not in arguments:
            arguments[name] = value
    return {n: v for n, v in arguments.items() if v is not None or n not in op.inputs}


# -- parts ----------------------------------------------------------------------------------------


def attribute(
    argument: str,
    name: str,
    default: Any = REQUIRED,
    *,
    to: Callable[[Any], Any] = lambda value: value,
    back: Callable[[Any], Any] = lambda value: value,
    since: int = 1,
    before: Any = None,
) -> Part:
    """An argument that is an attribute: ``name = to(argument)`` and ``argument = back(name)``.

    ``default`` is ONNX's. Before opset ``since`` there is no such attribute; then it is as if its
    value were ``before``, by default the default.
    """
    fixed = default if before is None else before

    def write(arguments: Arguments, node: Node) -> None:
        value = _reworded(node, argument, to, arguments[argument])
        if node.opset >= since:
            node.attributes[name] = value
        elif _listed(value) != _listed(fixed):
            raise node.refusal(f"{argument} = {arguments[argument]!r} needs opset {since}")

    def read(node: Node) -> Arguments:
        value = node.take(name, default) if node.opset >= since else fixed
        return {argument: _reworded(node, name, back, value)}

    return Part((argument,), write, read)


def _reworded(node: Node, name: str, change: Callable[[Any], Any], value: Any) -> Any:
    try:
        return change(value)
    except (KeyError, TypeError, ValueError):
        raise node.refusal(f"{name} = {value!r}") from None


def flag(argument: str, name: str, default: int, since: int = 1) -> Part:
    """True and False, as 1 and 0."""
    return attribute(argument, name, default, to=int, back=bool, since=since)


def word(
    argument: str, name: str, words: Mapping[Any, str], default: str = REQUIRED, **how: Any
) -> Part:
    """Our words, and ONNX's for them."""
    ours = {theirs: mine for mine, theirs in words.items()}
    return attribute(argument, name, default, to=words.__getitem__, back=ours.__getitem__, **how)


def rows_columns(argument: str, name: str, default: Any = (1, 1), since: int = 1) -> Part:
    """One value for both axes, or two, as ONNX has it."""
    return attribute(argument, name, default, to=pair, back=_two, since=since)


def constant(name: str, value: Any, default: Any = None) -> Part:
    """An attribute that must have this value, which is ONNX's default unless that is stated. A real
    number is one of float32, as ONNX's attributes are."""
    usual = value if default is None else default
    known = np.float32(value) if isinstance(value, float) else value

    def write(arguments: Arguments, node: Node) -> None:
        if value != usual:
            node.attributes[name] = value

    def read(node: Node) -> Arguments:
        given = node.take(name, usual)
        if (np.float32(given) if isinstance(given, float) else _listed(given)) != known:
            raise node.refusal(f"{name} = {given!r}, expected {value!r}")
        return {}

    return Part((), write, read)


def ignored(*names: str) -> Part:
    """Attributes that mean nothing in the nodes that are read."""

    def read(node: Node) -> Arguments:
        for name in names:
            node.attributes.pop(name, None)
        return {}

    return Part((), lambda arguments, node: None, read)


def implied(name: str, value: Callable[[Arguments], Any], *needs: str, default: Any = None) -> Part:
    """An attribute that follows from the shapes of inputs, where these are known."""

    def write(arguments: Arguments, node: Node) -> None:
        node.attributes[name] = value(arguments)

    def read(node: Node) -> Arguments:
        given = node.take(name, default)
        known = {n: node.inputs.get(n) for n in needs}
        if given is not None and all(hasattr(a, "shape") for a in known.values()):
            wanted = value(known)
            if _listed(given) != _listed(wanted):
                raise node.refusal(f"{name} = {given!r}, expected {wanted!r}")
        return {}

    return Part((), write, read)


def filters() -> Part:
    """``kernel_shape`` of a convolution."""
    return implied("kernel_shape", lambda a: list(a["weight"].shape[2:]), "weight")


def windows() -> Part:
    """``kernel_shape`` and ``strides`` of a pooling: our stride is the kernel's size by default."""

    def write(arguments: Arguments, node: Node) -> None:
        kernel, stride = arguments["kernel_size"], arguments["stride"]
        node.attributes["kernel_shape"] = pair(kernel)
        node.attributes["strides"] = pair(kernel if stride is None else stride)

    def read(node: Node) -> Arguments:
        kernel, strides = node.take("kernel_shape", REQUIRED), node.take("strides", (1, 1))
        return {
            "kernel_size": _reworded(node, "kernel_shape", _two, kernel),
            "stride": _reworded(node, "strides", _two, strides),
        }

    return Part(("kernel_size", "stride"), write, read)


def padding() -> Part:
    """``pads`` and ``auto_pad``, in the words of the argument ``padding``."""
    words = {"SAME_UPPER": "same", "SAME_LOWER": "same_lower", "VALID": "valid"}

    def write(arguments: Arguments, node: Node) -> None:
        node.attributes |= pads(arguments["padding"])

    def read(node: Node) -> Arguments:
        auto, sides = node.take("auto_pad", "NOTSET"), node.take("pads", (0, 0, 0, 0))
        if auto != "NOTSET":
            if auto not in words:
                raise node.refusal(f"auto_pad = {auto!r}")
            return {"padding": words[auto]}
        if len(sides) != 4:
            raise node.refusal(f"pads = {list(sides)}, expected 4 numbers: the sides of an image")
        top, left, bottom, right = map(int, sides)
        return {"padding": (top, bottom, left, right)}

    return Part(("padding",), write, read)


def filled(**values: Callable[[Arguments], Array]) -> Part:
    """Inputs that ONNX requires, and their values where the argument is not given."""

    def write(arguments: Arguments, node: Node) -> None:
        for name, value in values.items():
            if arguments.get(name) is None:
                node.inputs[name] = value(arguments)

    return Part((), write, lambda node: {})


def elementwise(*parts: Part, since: int = 6, opset: int = 22) -> Onnx:
    """A node of x alone, and of attributes."""
    return Onnx("x", *parts, since=since, opset=opset)


def pair(value: Any) -> list[int]:
    """One integer for both axes, or two, as ONNX has it."""
    return list(value) if isinstance(value, (list, tuple)) else [value, value]


def pads(padding: Any) -> dict[str, Any]:
    """ONNX's attribute for our ``padding``."""
    if isinstance(padding, str):
        words = {"same": "SAME_UPPER", "same_lower": "SAME_LOWER", "valid": "VALID"}
        if padding not in words:
            raise Unsupported(f"ONNX has no padding {padding!r}")
        return {"auto_pad": words[padding]}
    top, bottom, left, right = geometry.sides("padding", padding, minimum=None)
    return {"pads": [top, left, bottom, right]}


def _two(value: Any) -> tuple[int, int]:
    rows, columns = value
    return int(rows), int(columns)


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple)) else value


# -- what operators state -------------------------------------------------------------------------


def onnx_nodes(op: Operator[..., Any]) -> dict[str, Onnx]:
    """The ONNX nodes that compute what the operator does."""
    return dict(stated(op, "ONNX"))


def same(a: Any, b: Any) -> bool:
    """1, 1.0 and True are three."""
    return type(a) is type(b) and bool(a == b)


def stated(op: Operator[..., Any], what: str) -> Mapping[str, Any]:
    """What the operator's ``conventions.py`` states of something."""
    name = f"{op.__module__}.conventions"
    try:
        return getattr(importlib.import_module(name), what, {})
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return {}
