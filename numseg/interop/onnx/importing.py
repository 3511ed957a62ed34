"""From a model to a graph and its parameters."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from numseg.conventions import Unsupported
from numseg.errors import ArgumentError, FileError, shown
from numseg.graph import Graph, zeros
from numseg.graph.node import Derived, Value
from numseg.interop.onnx import arithmetic, files, rules
from numseg.interop.onnx.arithmetic import Program, Step, frozen
from numseg.interop.onnx.derived import Attribute, Source, Translation
from numseg.interop.onnx.files import Declared, Given, Model
from numseg.interop.onnx.rules import Live, Node
from numseg.plan import Spec
from numseg.typing import Array, Shape

SPECIMENS = (64, 224, 256, 512, 320, 572, 96, 32, 28, 7, 1)
"""Sizes that are tried for rows and columns that each run may choose."""

_FEW = 256
"""Numbers that a constant may have of which an attribute is made."""


@dataclasses.dataclass(eq=False)
class Later:
    """Numbers that follow from the shapes of a run: one result of a node, or a value's shape."""

    now: Array
    """What they are at the shapes that are tried."""
    type: str
    inputs: tuple[Any, ...] = ()
    """Later, arrays, None; the value itself, where the type is "shape"."""
    attributes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    output: int = 0


@dataclasses.dataclass(frozen=True)
class Computed:
    """An array that the graph computes."""

    value: Value
    spec: Spec
    """At the shapes that are tried."""
    truth: str = ""
    """Of truth values, how they are held (:class:`numseg.interop.onnx.rules.Live`)."""


Tensor: TypeAlias = "Array | Later | Computed"


@dataclasses.dataclass(frozen=True)
class Imported:
    """A graph, or what there is of it, and what the model's outputs are."""

    model: Model
    graph: Graph | None
    """None where nothing depends on an input."""
    params: dict[str, Array]
    outputs: dict[str, Tensor]
    values: dict[str, Tensor]
    """All that was made, by the model's names."""


class Refusal(Unsupported, FileError):
    """What no operator does, all of it."""


class _Missing(Exception):
    """What a branch gives could not be made; why has been said."""


def _read(nodes: Sequence[Given]) -> Iterator[str]:
    """All that nodes read, those of branches too."""
    for node in nodes:
        yield from node.reads
        for body in node.attributes.values():
            if isinstance(body, files.Body):
                yield from body.outputs
                yield from _read(body.nodes)


@dataclasses.dataclass(frozen=True)
class _Shape:
    """An input's dtype and shape are those that the model declares."""

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None

    def __call__(self, spec: Spec) -> None:
        if spec.dtype != np.dtype(self.dtype) and not {
            spec.dtype.kind,
            np.dtype(self.dtype).kind,
        } == {"f"}:
            raise ArgumentError(f"{self.name} has dtype {spec.dtype}, the model takes {self.dtype}")
        if self.shape is None:
            return
        if len(spec.shape) != len(self.shape) or any(
            size is not None and size != given
            for size, given in zip(self.shape, spec.shape, strict=True)
        ):
            shape = ", ".join("any" if size is None else str(size) for size in self.shape)
            raise ArgumentError(f"{self.name} has shape {spec.shape}, the model takes ({shape})")


def imported(
    source: str | os.PathLike[str] | Any,
    shapes: Mapping[str, Sequence[int]] | None = None,
    constants: Mapping[str, Array] | None = None,
    outputs: Sequence[str] | None = None,
) -> Imported:
    """What :func:`numseg.interop.onnx.load` makes a graph of."""
    model = source if isinstance(source, Model) else files.read(source)
    model = _with_constants(model, constants or {})
    if outputs is not None:
        model = dataclasses.replace(model, outputs=tuple(outputs))
    given = _declared(model, shapes or {})
    error: Exception | None = None
    for size in SPECIMENS:
        walk = _Walk(model, given, size)
        try:
            found = walk.imported()
            _check_doubtful(walk)
            return found
        except Refusal as refusal:
            error = error or refusal
            if refusal.args[1:] == ("final",) or all(_known(entry) for entry in given):
                break
    assert error is not None
    prefix = f"{source}: " if isinstance(source, (str, os.PathLike)) else ""
    raise Refusal(f"{prefix}{error.args[0]}") from None


def _check_doubtful(walk: _Walk) -> None:
    """Numbers that follow from sizes are parameters, if they are the same at others: the number of
    channels is, that of pixels is not."""
    for size in SPECIMENS if walk.doubtful else ():
        if size != walk.size:
            other = _Walk(walk.model, walk.declared, size)
            try:
                other.imported()
            except Refusal:
                continue
            for name, node in walk.doubtful.items():
                if not np.array_equal(walk.params[name], other.params.get(name, np.nan)):
                    walk.refuse(node, "computes with numbers that follow from sizes: give shapes")
            if walk.problems:
                raise walk.refusal()
            return


def _known(entry: Declared) -> bool:
    return entry.shape is not None and None not in entry.shape


def _with_constants(model: Model, constants: Mapping[str, Array]) -> Model:
    """The model, some of whose inputs always are these arrays."""
    names = [entry.name for entry in model.inputs]
    for name in constants:
        if name not in names:
            raise ArgumentError(f"the model has no input {shown(name)}: {', '.join(names)}")
    rest = tuple(entry for entry in model.inputs if entry.name not in constants)
    arrays = {name: np.asarray(array) for name, array in constants.items()}
    return dataclasses.replace(model, inputs=rest, constants=model.constants | arrays)


def _declared(model: Model, shapes: Mapping[str, Sequence[int]]) -> list[Declared]:
    """The inputs, with the shapes that the caller knows better."""
    names = [entry.name for entry in model.inputs]
    for name in shapes:
        if name not in names:
            raise ArgumentError(f"the model has no input {shown(name)}: {', '.join(names)}")
    found = []
    for entry in model.inputs:
        if (shape := shapes.get(entry.name)) is not None:
            old = entry.shape or (None,) * len(shape)
            fits = len(old) == len(shape) and all(
                o in (None, n) for o, n in zip(old, shape, strict=True)
            )
            if not fits:
                raise ArgumentError(f"{entry.name} has shape {entry.shape}, not {tuple(shape)}")
            entry = dataclasses.replace(entry, shape=tuple(shape))
        found.append(entry)
    return found


class _Walk:
    """One attempt: the nodes in order, with sizes in the place of those that runs may choose."""

    def __init__(self, model: Model, inputs: Sequence[Declared], size: int) -> None:
        self.model, self.declared, self.size = model, inputs, size
        self.fixed = all(map(_known, inputs))
        self.builder = Graph.build()
        self.tensors: dict[str, Tensor] = {}
        self.name_of: dict[int, str] = {}
        self.made: list[Array] = []
        """Kept, as ``name_of`` goes by identity."""
        self.params: dict[str, Array] = {}
        self.param_of: dict[int, tuple[Array, Value]] = {}
        self.taken = set(files.names(model))
        self.used: set[str] = set()
        self.problems: list[tuple[Given, str]] = []
        self.missing: set[str] = set()
        self.doubtful: dict[str, Given] = {}
        """Parameters that may follow from sizes, and the nodes that read them."""
        self.by_size = False
        needed = self._needed()
        for name, array in model.constants.items():
            self._know(name, array)
        for entry in inputs:
            if entry.name in needed:
                shape = _specimen(entry, size)
                value = self.builder.input(
                    entry.name, _Shape(entry.name, entry.dtype.name, entry.shape)
                )
                self.tensors[entry.name] = Computed(value, Spec(shape, entry.dtype))
        self.nodes = [node for node in model.nodes if needed.intersection(node.outputs)]
        self.read = {*model.outputs, *_read(self.nodes)}

    def _know(self, name: str, tensor: Tensor) -> None:
        self.tensors[name] = tensor
        self.name_of.setdefault(id(tensor), name)

    def _needed(self) -> set[str]:
        """The values that outputs depend on."""
        needed = set(self.model.outputs)
        for node in reversed(self.model.nodes):
            if needed.intersection(node.outputs):
                needed.update(node.reads)
        return needed

    def imported(self) -> Imported:
        self._walk(self.nodes)
        if self.problems:
            raise self.refusal()
        outputs = {name: self.tensors[name] for name in self.model.outputs}
        live = [t.value for t in outputs.values() if isinstance(t, Computed)]
        graph = self.builder.output(*live, prune=True) if live else None
        params = {} if graph is None else {p.name: self.params[p.name] for p in graph.params}
        return Imported(self.model, graph, params, outputs, self.tensors)

    def _walk(self, nodes: Sequence[Given]) -> None:
        for node in nodes:
            if self.missing.intersection(node.inputs):
                self.missing.update(node.outputs)
                continue
            try:
                found = self._results(node)
            except _Missing:
                self.missing.update(node.outputs)
            except Unsupported as refusal:
                self.refuse(node, str(refusal))
            except ArgumentError as error:
                self.by_size = True
                self.refuse(node, str(error))
            else:
                for name, tensor in zip(node.outputs, found, strict=False):
                    if name in self.model.outputs and getattr(tensor, "truth", "") == "nonzero":
                        self.refuse(node, f"{name} is an output, and holds numbers")
                    if name:
                        self._know(name, tensor)

    def refuse(self, node: Given, reason: str) -> None:
        reason = reason.removeprefix(f"{node.type}, opset {self.model.opset}: ")
        self.problems.append((node, reason))
        self.missing.update(filter(None, node.outputs))

    def refusal(self) -> Refusal:
        lines = [f"{n.label} ({n.type}): {reason}" for n, reason in self.problems]
        count = f"{len(lines)} nodes are" if len(lines) > 1 else "1 node is"
        final = () if self.by_size else ("final",)
        tried = "" if self.fixed or not self.by_size else f" (at {self._tried()}: or give shapes)"
        return Refusal(f"{count} not supported: {'; '.join(lines)}{tried}", *final)

    def _tried(self) -> str:
        """The shapes of this attempt."""
        return ", ".join(f"{e.name} of shape {_specimen(e, self.size)}" for e in self.declared)

    # -- one node -----------------------------------------------------------------------------

    def _results(self, node: Given) -> list[Tensor]:
        if node.domain:
            raise Unsupported(f"is of the domain {node.domain}")
        if node.type == "Constant":
            return [_constant(node)]
        inputs = [self.tensors[name] if name else None for name in node.inputs]
        if node.type == "If":
            return self._branch(node, inputs[0])
        if node.type in ("Shape", "Size") and isinstance(inputs[0], Computed):
            return self._shape(node, inputs[0])
        if node.type == "Shape" and inputs[0] is not None:
            shape = np.array(_numbers(inputs[0]).shape, np.int64)
            return [*arithmetic.compute("ShapePart", node.attributes, [shape])]
        if node.type == "CastLike" and not isinstance(inputs[0], Computed):
            like = inputs[1]
            assert like is not None
            dtype = like.spec.dtype if isinstance(like, Computed) else _numbers(like).dtype
            return self._made("Cast", {"to": arithmetic.number_of(dtype)}, inputs[:1], 1)
        if node.type in arithmetic.FUNCTIONS and not any(isinstance(t, Computed) for t in inputs):
            return self._arithmetic(node, inputs)
        return self._calls(node, inputs)

    def _branch(self, node: Given, condition: Tensor | None) -> list[Tensor]:
        """What a branch gives; the other one is not looked at."""
        if not isinstance(condition, np.ndarray):
            why = "depends on sizes: give shapes" if isinstance(condition, Later) else "is computed"
            raise Unsupported(f"its condition {why}")
        body = node.attributes.get("then_branch" if condition.any() else "else_branch")
        if not isinstance(body, files.Body):
            raise Unsupported("has no such branch")
        for name, array in body.constants.items():
            self._know(name, array)
        self._walk(body.nodes)
        if self.missing.intersection(body.outputs):
            raise _Missing
        return [self.tensors[name] for name in body.outputs]

    def _shape(self, node: Given, x: Computed) -> list[Tensor]:
        shape = np.array(x.spec.shape, np.int64)
        later: Tensor = shape if self.fixed else Later(shape, "shape", (x.value,))
        if node.type == "Size":
            return self._made("ReduceProd", {"keepdims": 0}, [later], 1)
        if not node.attributes:
            return [later]
        return self._made("ShapePart", node.attributes, [later], 1)

    def _arithmetic(self, node: Given, inputs: Sequence[Any]) -> list[Tensor]:
        attributes = node.attributes
        if node.type == "Split":
            attributes = attributes | {"outputs": len(node.outputs)}
        return self._made(node.type, attributes, inputs, len(node.outputs))

    def _made(self, kind: str, attributes: Any, inputs: Sequence[Any], count: int) -> list[Tensor]:
        now = arithmetic.compute(
            kind, attributes, [None if t is None else _numbers(t) for t in inputs]
        )
        if not any(isinstance(t, Later) for t in inputs):
            return [*now]
        return [Later(a, kind, tuple(inputs), attributes, j) for j, a in enumerate(now[:count])]

    def _calls(self, given: Given, inputs: Sequence[Tensor | None]) -> list[Tensor]:
        outputs = len(given.outputs)
        while outputs > 1 and not self._is_read(given.outputs[outputs - 1]):
            outputs -= 1
        node = Node(given.type, self.model.opset, dict(given.attributes), [], outputs)
        for place, tensor in enumerate(inputs):
            if isinstance(tensor, Computed):
                node.inputs.append(node.live(tensor.spec, (-1, place), tensor.truth))
            else:
                node.inputs.append(None if tensor is None else _numbers(tensor))
        found = rules.calls(node)
        self._check_dtypes(node)
        for array, own in node.made:
            self.made.append(array)
            if id(own) in self.name_of:
                self.name_of[id(array)] = self.name_of[id(own)]
        late = not self.fixed and (node.asked or any(isinstance(t, Later) for t in inputs))
        results = tuple(r.at if isinstance(r, Live) else (-1, -1) for r in found)
        translate = functools.partial(self._translation, node, given, inputs, results)
        places, translation = translate() if late else ((), None)
        values: list[Any] = []
        known = len(self.params)
        for number, call in enumerate(node.calls):
            name = self._name(found, number, given)
            arrays = {
                argument: self._entry(entry, name, argument, values, inputs)
                for argument, entry in call.arrays.items()
            }
            attributes = {
                n: Derived(places, Attribute(translation, number, call.operator.__name__, n))
                if translation is not None
                else v
                for n, v in call.attributes.items()
            }
            made = self.builder.add(
                call.operator, name=name, results=call.results, **arrays, **attributes
            )
            values.append(made if call.results > 1 else (made,))
        if any(isinstance(t, Later) for t in inputs):
            self.doubtful |= dict.fromkeys([*self.params][known:], given)
        return [self._tensor(result, values, inputs) for result in found]

    def _is_read(self, name: str) -> bool:
        return name in self.read

    def _check_dtypes(self, node: Node) -> None:
        for call in node.calls:
            for argument, entry in call.arrays.items():
                dtype = getattr(entry, "dtype", None)
                if isinstance(entry, np.ndarray) and dtype is not None and dtype.kind != "f":
                    raise Unsupported(
                        f"{argument} holds {dtype}, which the graph does not compute with"
                    )

    def _translation(
        self,
        node: Node,
        given: Given,
        inputs: Sequence[Tensor | None],
        results: tuple[tuple[int, int], ...],
    ) -> tuple[tuple[Value, ...], Translation]:
        values: list[Value] = []
        steps: list[Step] = []
        known: dict[int, int] = {}

        def place(value: Value) -> int:
            if value not in values:
                values.append(value)
            return values.index(value)

        def step(tensor: Any) -> int:
            if id(tensor) not in known:
                if isinstance(tensor, Later) and tensor.type == "shape":
                    made = Step("shape", (place(tensor.inputs[0]),))
                elif isinstance(tensor, Later):
                    read = tuple(None if t is None else step(t) for t in tensor.inputs)
                    made = Step(tensor.type, read, frozen(tensor.attributes), tensor.output)
                else:
                    made = Step("constant", (), frozen({"value": tensor}))
                steps.append(made)
                known[id(tensor)] = len(steps) - 1
            return known[id(tensor)]

        def source(tensor: Tensor | None) -> Source | None:
            if tensor is None:
                return None
            if isinstance(tensor, Computed):
                return Source("value", place(tensor.value), (), tensor.spec.dtype.str)
            if isinstance(tensor, np.ndarray) and tensor.size > _FEW:
                return Source("array", 0, tensor.shape, tensor.dtype.str)
            return Source("step", step(tensor))

        sources = tuple(map(source, inputs))
        return tuple(values), Translation(
            node.type, node.opset, frozen(given.attributes), sources, node.outputs,
            Program(tuple(steps)), results,
        )  # fmt: skip

    def _name(self, found: Sequence[Any], call: int, given: Given) -> str:
        """Of the node that a call becomes: the output that it is, or one made of it."""
        for output, result in zip(given.outputs, found, strict=False):
            if output and isinstance(result, Live) and result.at == (call, 0):
                if output in self.used:  # branches of several nodes may have names in common
                    return self._new(output)
                self.used.add(output)
                return output
        return self._new(f"{next(filter(None, given.outputs))}/{call + 1}")

    def _new(self, name: str) -> str:
        fresh, number = name, 2
        while fresh in self.taken:
            fresh, number = f"{name}.{number}", number + 1
        self.taken.add(fresh)
        return fresh

    def _entry(
        self, entry: Any, node: str, argument: str, values: Sequence[Any], inputs: Sequence[Any]
    ) -> Any:
        if entry is None:
            return None
        if isinstance(entry, (list, tuple)):
            return [
                self._entry(part, node, f"{argument}{j}", values, inputs)
                for j, part in enumerate(entry)
            ]
        if isinstance(entry, Live):
            tensor = self._tensor(entry, values, inputs)
            assert isinstance(tensor, Computed)
            return tensor.value
        return self._param(entry, f"{node}.{argument}")

    def _param(self, array: Array, name: str) -> Value:
        """The parameter that a constant is: by the model's name for it, where it is as it was."""
        if id(array) in self.param_of:
            return self.param_of[id(array)][1]
        own = self.name_of.get(id(array))
        name = own if own is not None and own not in self.params else self._new(name)
        value = self.builder.param(name, array.shape, zeros, array.ndim > 0)
        self.params[name] = array
        self.param_of[id(array)] = array, value
        return value

    def _tensor(self, result: Any, values: Sequence[Any], inputs: Sequence[Any]) -> Tensor:
        if not isinstance(result, Live):
            return result
        call, which = result.at
        if call >= 0:
            return Computed(values[call][which], result.spec, result.truth)
        given = inputs[which]
        return (
            dataclasses.replace(given, truth=result.truth) if isinstance(given, Computed) else given
        )


def _numbers(tensor: Tensor) -> Array:
    """The numbers of a constant, or of shape arithmetic at the shapes that are tried."""
    if isinstance(tensor, Computed):
        raise Unsupported("needs the numbers of an array that the graph computes")
    return tensor.now if isinstance(tensor, Later) else tensor


def _constant(node: Given) -> Array:
    """The array of a Constant node, of whatever attribute."""
    ((name, value),) = node.attributes.items() if len(node.attributes) == 1 else (("", None),)
    dtypes = {"value_int": np.int64, "value_ints": np.int64, "value_float": np.float32,
              "value_floats": np.float32}  # fmt: skip
    if name == "value" and isinstance(value, np.ndarray):
        return value
    if name in dtypes:
        return np.array(value, dtypes[name])
    raise Unsupported(f"its attributes are {sorted(node.attributes)}")


def _specimen(entry: Declared, size: int) -> Shape:
    """A shape to try."""
    if entry.shape is None:
        raise FileError(f"input {shown(entry.name)} has no rank: give its shape")
    images = max(len(entry.shape) - 2, 0)
    return tuple(
        (size if axis >= images else 1) if n is None else n for axis, n in enumerate(entry.shape)
    )
