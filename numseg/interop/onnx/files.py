"""ONNX files as data: read whole, checked before anything is made of them, nothing run."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from numseg.errors import FileError, shown
from numseg.files import optional, read_whole
from numseg.interop.onnx.arithmetic import DTYPES
from numseg.typing import Array

OLDEST = 7
"""The first opset that is read."""

DEEPEST = 16
"""How deep graphs may lie in each other."""

_OWN = ("", "ai.onnx")


def package(purpose: str = "ONNX models") -> Any:
    """The onnx package."""
    return optional("onnx", "onnx", "onnx", purpose)


@dataclasses.dataclass(frozen=True)
class Given:
    """A node as the file has it."""

    name: str
    type: str
    inputs: tuple[str, ...]
    """"" for one that is left out."""
    outputs: tuple[str, ...]
    attributes: dict[str, Any]
    domain: str = ""

    @property
    def reads(self) -> tuple[str, ...]:
        """Its inputs, and what its branches read of the values around them."""
        bodies = (body for body in self.attributes.values() if isinstance(body, Body))
        return (*filter(None, self.inputs), *(name for body in bodies for name in body.reads))

    @property
    def label(self) -> str:
        """What an error calls it."""
        return self.name or next(filter(None, self.outputs), "without outputs")


@dataclasses.dataclass(frozen=True)
class Body:
    """A graph within a graph, without inputs: a branch of an If."""

    outputs: tuple[str, ...]
    nodes: tuple[Given, ...]
    constants: dict[str, Array]

    @property
    def reads(self) -> tuple[str, ...]:
        """What it reads that it does not make."""
        own = {*self.constants, *(name for node in self.nodes for name in node.outputs)}
        read = [*(name for node in self.nodes for name in node.reads), *self.outputs]
        return tuple(name for name in dict.fromkeys(read) if name not in own)


@dataclasses.dataclass(frozen=True)
class Declared:
    """An input of the model."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...] | None
    """None in the place of sizes that each run may choose, or of all."""


@dataclasses.dataclass(frozen=True)
class Model:
    """What is in a file."""

    opset: int
    inputs: tuple[Declared, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Given, ...]
    constants: dict[str, Array]


def read(source: str | os.PathLike[str] | Any) -> Model:
    """A model of a file, or of a ``ModelProto``.

    Raises
    ------
    FileError
        In one line, for what is no model, cut off, contradicts itself, or keeps numbers outside of
        the file's folder.
    MissingExtra
        Without the onnx package.
    """
    onnx = package()
    if isinstance(source, onnx.ModelProto):
        return _Reader(onnx, None).model(source)
    path = Path(source)
    proto = onnx.ModelProto()
    content = read_whole(path)
    try:
        try:
            proto.ParseFromString(content)
        except Exception as error:  # protobuf's own, which has no stable place
            raise FileError(f"is no ONNX model, or cut off: {error}") from None
        return _Reader(onnx, path.resolve().parent).model(proto)
    except FileError as error:
        raise FileError(f"{path}: {error}") from None


class _Reader:
    def __init__(self, onnx: Any, folder: Path | None) -> None:
        self.onnx, self.folder, self.depth = onnx, folder, 0

    def model(self, proto: Any) -> Model:
        if not proto.HasField("graph") or not proto.opset_import:
            raise FileError("is no ONNX model: has no graph, or names no opset")
        opset = self._opset(proto)
        if proto.functions:
            proto = self._inlined(proto)
        graph = proto.graph
        constants = self._constants(graph)
        inputs = tuple(self._declared(i) for i in graph.input if i.name not in constants)
        nodes = tuple(self._node(node) for node in graph.node)
        outputs = tuple(output.name for output in graph.output)
        found = Model(opset, inputs, outputs, nodes, constants)
        _check_names(found)
        return found

    def _constants(self, graph: Any) -> dict[str, Array]:
        found: dict[str, Array] = {}
        for tensor in graph.initializer:
            if tensor.name in found:
                raise FileError(f"two constants have the name {shown(tensor.name)}")
            found[tensor.name] = self._array(tensor)
        if graph.sparse_initializer:
            raise FileError("has sparse constants, which are not supported")
        return found

    def _opset(self, proto: Any) -> int:
        newest = self.onnx.defs.onnx_opset_version()
        versions = [each.version for each in proto.opset_import if each.domain in _OWN]
        if len(versions) != 1:
            raise FileError(f"names {len(versions)} opsets of ONNX's own, expected one")
        if not OLDEST <= versions[0] <= newest:
            raise FileError(f"is of opset {versions[0]}, expected {OLDEST} to {newest}")
        return versions[0]

    def _inlined(self, proto: Any) -> Any:
        """Without functions of its own."""
        try:
            return self.onnx.inliner.inline_local_functions(proto)
        except Exception as error:
            raise FileError(f"its functions cannot be put in place: {_line(error)}") from None

    def _declared(self, info: Any) -> Declared:
        kind = info.type.WhichOneof("value")
        if kind != "tensor_type":
            raise FileError(f"input {shown(info.name)} is a {kind}, expected a tensor")
        tensor = info.type.tensor_type
        if tensor.elem_type not in DTYPES:
            raise FileError(f"input {shown(info.name)} has ONNX's dtype {tensor.elem_type}")
        shape = None
        if tensor.HasField("shape"):
            shape = tuple(
                d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim
            )
            if any(size is not None and size < 0 for size in shape):
                shape = tuple(None if size is None or size < 0 else size for size in shape)
        return Declared(info.name, np.dtype(DTYPES[tensor.elem_type]), shape)

    def _node(self, node: Any) -> Given:
        attributes = {a.name: self._attribute(node, a) for a in node.attribute}
        domain = "" if node.domain in _OWN else node.domain
        return Given(
            node.name, node.op_type, tuple(node.input), tuple(node.output), attributes, domain
        )

    def _attribute(self, node: Any, attribute: Any) -> Any:
        kinds = self.onnx.AttributeProto
        if attribute.type == kinds.TENSOR:
            return self._array(attribute.t)
        if attribute.type == kinds.GRAPH and not attribute.g.input:
            return self._body(attribute.g)
        if attribute.type in (kinds.INT, kinds.FLOAT, kinds.STRING, kinds.INTS, kinds.FLOATS,
                              kinds.STRINGS):  # fmt: skip
            value = self.onnx.helper.get_attribute_value(attribute)
            if attribute.type == kinds.STRINGS:
                return [part.decode("utf-8", "replace") for part in value]
            if attribute.type == kinds.STRING:
                return value.decode("utf-8", "replace")
            return list(value) if attribute.type in (kinds.INTS, kinds.FLOATS) else value
        return Unread(kinds.AttributeType.Name(attribute.type).lower())

    def _body(self, graph: Any) -> Body:
        self.depth += 1
        if self.depth > DEEPEST:
            raise FileError(f"its graphs lie in each other, {self.depth} deep, at most {DEEPEST}")
        nodes = tuple(self._node(node) for node in graph.node)
        self.depth -= 1
        return Body(tuple(output.name for output in graph.output), nodes, self._constants(graph))

    def _array(self, tensor: Any) -> Array:
        """The numbers of a tensor, of which there are as many as it says."""
        name = shown(tensor.name) if tensor.name else "a node's constant"
        if tensor.data_type not in DTYPES:
            raise FileError(f"{name} has ONNX's dtype {tensor.data_type}, which is not supported")
        dtype, dims = np.dtype(DTYPES[tensor.data_type]), tuple(tensor.dims)
        if min(dims, default=0) < 0:
            raise FileError(f"{name} has shape {dims}")
        count = math.prod(dims)
        if tensor.data_location == self.onnx.TensorProto.EXTERNAL:
            raw = self._outside(name, tensor, count * dtype.itemsize)
        elif tensor.HasField("raw_data"):
            raw = tensor.raw_data
        else:
            fields = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data")
            numbers = next((f for f in (getattr(tensor, n) for n in fields) if len(f)), ())
            if len(numbers) != count:
                raise FileError(
                    f"{name} has shape {dims}, {count} numbers, but holds {len(numbers)}"
                )
            if dtype == np.float16:  # held as the bits of integers
                return np.array(numbers, np.uint16).view(dtype).reshape(dims)
            try:
                return np.array(numbers).astype(dtype).reshape(dims)
            except (ValueError, OverflowError) as error:
                raise FileError(f"{name}: {error}") from None
        if len(raw) != count * dtype.itemsize:
            raise FileError(
                f"{name} has shape {dims}, {count * dtype.itemsize} bytes, but holds {len(raw)}"
            )
        found = np.frombuffer(raw, dtype.newbyteorder("<")).astype(dtype)
        return found.reshape(dims)

    def _outside(self, name: str, tensor: Any, size: int) -> bytes:
        """Numbers of another file in the model's folder."""
        said = {entry.key: entry.value for entry in tensor.external_data}
        location = said.get("location", "")
        if self.folder is None:
            raise FileError(f"{name} lies in another file, {shown(location)}: load it by its path")
        place = self.folder / location
        inside = place.resolve().is_relative_to(self.folder)
        if not location or Path(location).is_absolute() or ".." in Path(location).parts:
            inside = False
        if not inside or place.is_symlink():
            raise FileError(f"{name} lies in {shown(location)}, outside of the model's folder")
        try:
            offset, length = int(said.get("offset", 0)), int(said.get("length", size))
        except ValueError:
            raise FileError(f"{name}: offset and length of its numbers are no integers") from None
        if length != size or offset < 0:
            raise FileError(f"{name} needs {size} bytes, but says {length} from byte {offset} on")
        if not place.is_file():
            raise FileError(f"{name} lies in {shown(location)}, and there is no such file")
        there = place.stat().st_size
        if offset + size > there:
            raise FileError(f"{name} ends at byte {offset + size} of {location}, which has {there}")
        with open(place, "rb") as file:
            file.seek(offset)
            return file.read(size)


@dataclasses.dataclass(frozen=True)
class Unread:
    """An attribute that is neither numbers nor words, such as a graph."""

    kind: str


def _check_names(model: Model) -> None:
    """Each value is made once, and before it is read."""
    known = {entry.name for entry in model.inputs} | model.constants.keys()
    if len(model.inputs) + len(model.constants) != len(known):
        raise FileError("two inputs have one name")
    _check_order(model.nodes, known)
    for name in model.outputs:
        if name not in known:
            raise FileError(f"the output {shown(name)} is made by no node")
    if not model.outputs:
        raise FileError("has no outputs")


def _check_order(nodes: Sequence[Given], known: set[str]) -> None:
    """Adds to ``known`` what the nodes make."""
    makers = {name: node for node in nodes for name in node.outputs if name}
    for node in nodes:
        for name in filter(None, node.inputs):
            if name not in known:
                raise FileError(
                    f"node {shown(node.label)} reads {shown(name)}, {_why(makers, name)}"
                )
        for body in node.attributes.values():
            if isinstance(body, Body):
                _check_body(node, body, known)
        for name in filter(None, node.outputs):
            if name in known:
                raise FileError(
                    f"node {shown(node.label)} makes {shown(name)}, which exists already"
                )
            known.add(name)


def _check_body(node: Given, body: Body, known: set[str]) -> None:
    """Of its own values nobody else knows; names from around it are not given anew."""
    for name in body.constants:
        if name in known:
            raise FileError(f"a branch of node {shown(node.label)} has a constant {shown(name)}, "
                            "which exists already")  # fmt: skip
    inner = known | body.constants.keys()
    _check_order(body.nodes, inner)
    for name in body.outputs:
        if name not in inner:
            raise FileError(f"a branch of node {shown(node.label)} gives {shown(name)}, "
                            "which nothing makes")  # fmt: skip


def _why(makers: dict[str, Given], name: str) -> str:
    if name not in makers:
        return "which nothing makes"
    return f"which node {shown(makers[name].label)} makes, itself or later: a cycle, or disorder"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def names(model: Model) -> Iterator[str]:
    """Of all values of a model."""
    yield from (entry.name for entry in model.inputs)
    yield from model.constants
    yield from _made(model.nodes)


def _made(nodes: Sequence[Given]) -> Iterator[str]:
    for node in nodes:
        yield from filter(None, node.outputs)
        for body in node.attributes.values():
            if isinstance(body, Body):
                yield from body.constants
                yield from _made(body.nodes)
