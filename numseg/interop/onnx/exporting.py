"""From a graph and its parameters to a model."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from numseg.conventions import Unsupported, onnx_nodes, to_node
from numseg.errors import ArgumentError, FileError
from numseg.graph import Graph, Node, Value
from numseg.graph.node import Derived, Late, Measured, flat
from numseg.interop.onnx import files
from numseg.interop.onnx.arithmetic import thawed
from numseg.interop.onnx.derived import Attribute, Translation
from numseg.ops.registry import OPERATORS
from numseg.plan import Plan, Spec
from numseg.typing import Array, ArrayLike

OPSET = 22
"""The opset that is written unless told otherwise."""

SPECIMEN = 64


class Unknown(np.ndarray[Any, Any]):
    """Stands for an array that the graph computes: it has a shape and a dtype, and no numbers that
    anything may be made of."""


def unknown(spec: Spec) -> Unknown:
    """One that stands for an array like this."""
    return np.broadcast_to(np.zeros((), spec.dtype), spec.shape).view(Unknown)


@dataclasses.dataclass
class Writer:
    """The nodes and constants of the model that is written."""

    onnx: Any
    opset: int
    nodes: list[Any] = dataclasses.field(default_factory=list)
    constants: dict[str, Array] = dataclasses.field(default_factory=dict)
    taken: set[str] = dataclasses.field(default_factory=set)
    of: dict[int, str] = dataclasses.field(default_factory=dict)
    """The names of arrays, by identity: parameters, and what stands for values."""
    name: str = ""
    """Of the graph's node that is written."""

    def fresh(self, what: str) -> str:
        """A name that nobody has."""
        name = f"{self.name}/{what}"
        numbered = (f"{name}.{j}" for j in itertools.count(2))
        while name in self.taken:
            name = next(numbered)
        self.taken.add(name)
        return name

    def input(self, given: Any, what: str) -> str:
        """The name of a node's input; what is no parameter and no value becomes a constant."""
        if given is None:
            return ""
        if isinstance(given, str):
            return given
        if id(given) in self.of:
            return self.of[id(given)]
        if isinstance(given, Unknown):
            raise Unsupported(f"{what} is made of numbers that the graph computes")
        name = self.fresh(what)
        self.constants[name] = np.asarray(given)
        return name

    def add(self, type: str, *inputs: Any, to: str | None = None, **attributes: Any) -> str:
        """A node of one output; its name."""
        output = self.fresh(type.lower()) if to is None else to
        self.put(type, inputs, [output], attributes)
        return output

    def put(
        self,
        type: str,
        inputs: Sequence[Any],
        outputs: Sequence[str],
        attributes: Mapping[str, Any],
    ) -> None:
        """A node."""
        names = [self.input(given, f"{type.lower()}.{j}") for j, given in enumerate(inputs)]
        while names and not names[-1]:
            names.pop()
        kept = {n: _attribute(v) for n, v in attributes.items()}
        made = self.onnx.helper.make_node(
            type, names, list(outputs), **{n: v for n, v in kept.items() if v is not None}
        )
        made.name = outputs[0]
        self.nodes.append(made)


def _attribute(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        from onnx import numpy_helper

        return numpy_helper.from_array(value)
    if isinstance(value, np.generic):
        return value.item()
    return list(map(_attribute, value)) if isinstance(value, (list, tuple)) else value


def exported(
    graph: Graph, params: Mapping[str, ArrayLike], shapes: Sequence[Any], opset: int | None = None
) -> Any:
    """The ``ModelProto`` that :func:`numseg.interop.onnx.save` writes."""
    onnx = files.package("writing ONNX models")
    graph.check(params)
    opset = opset or _opset_of(graph) or OPSET
    newest = onnx.defs.onnx_opset_version()
    if not files.OLDEST <= opset <= newest:
        raise ArgumentError(f"opset is {opset}, expected {files.OLDEST} to {newest}")
    opened, specs = _specs(graph, shapes)
    plans = graph.plans(*specs)
    made = _Export(Writer(onnx, opset), graph, plans, any(None in shape for shape in opened))
    made.run(params, specs)
    return made.model(opened, specs)


def _specs(graph: Graph, shapes: Sequence[Any]) -> tuple[list[tuple[Any, ...]], list[Spec]]:
    """The inputs' shapes, with None where it may be any; and those that are tried."""
    if not shapes:
        shape = graph.smallest_input()
        shapes = (shape,) if len(graph.inputs) == 1 else shape
    if len(shapes) != len(graph.inputs):
        raise ArgumentError(f"the graph has {len(graph.inputs)} inputs, got {len(shapes)} shapes")
    opened = [tuple(getattr(given, "shape", given)) for given in shapes]
    closed = [tuple(SPECIMEN if n is None else n for n in shape) for shape in opened]
    if any(None in shape for shape in opened) and len(graph.inputs) == 1:
        found = graph.legal_inputs(*opened)
        rows, columns = (
            axis.from_on(max(SPECIMEN, axis.smallest)) for axis in (found.rows, found.columns)
        )
        sizes = iter([rows, columns][-sum(n is None for n in opened[0]) :])
        closed = [tuple(next(sizes) if n is None else n for n in opened[0])]
    given = [
        Spec(shape, old.dtype) if isinstance(old, Spec) or hasattr(old, "dtype") else shape
        for shape, old in zip(closed, shapes, strict=True)
    ]
    return opened, graph._specs(given)


def _opset_of(graph: Graph) -> int | None:
    """Of a model that was read, as far as its nodes are asked for again at each run."""
    found = {rule.of.opset for node in graph.nodes for rule in _rules(node)}
    return max(found, default=None)


def _rules(node: Node) -> list[Attribute]:
    return [
        given.rule
        for _, given in node.attributes
        if isinstance(given, Derived) and isinstance(given.rule, Attribute)
    ]


class _Export:
    def __init__(
        self, writer: Writer, graph: Graph, plans: Mapping[str, Plan[Any]], dynamic: bool
    ) -> None:
        self.writer, self.graph, self.plans, self.dynamic = writer, graph, plans, dynamic
        self.arrays: dict[Value, Array] = {}
        self.problems: list[str] = []
        self.written: set[tuple[Any, ...]] = set()

    def run(self, params: Mapping[str, ArrayLike], specs: Sequence[Spec]) -> None:
        writer = self.writer
        writer.taken |= {*self.graph.names}
        for entry, spec in zip(self.graph.inputs, specs, strict=True):
            self._know(Value(entry.name), unknown(spec))
        for param in self.graph.params:
            array = np.asarray(params[param.name])
            self._know(Value(param.name), array.view())
            condition = self._is_condition(Value(param.name))
            writer.constants[param.name] = array != 0 if condition else array
        for node in self.graph.nodes:
            outputs = self.plans[node.name].outputs
            for value in node.values:
                self._know(value, unknown(outputs[value.result]))
        for node in self.graph.nodes:
            writer.name = node.name
            try:
                self._write(node)
            except Unsupported as refusal:
                self.problems.append(f"{node.name} ({node.operator.__name__}): {refusal}")
        if self.problems:
            count = f"{len(self.problems)} nodes have" if len(self.problems) > 1 else "1 node has"
            raise FileError(f"{count} no counterpart in ONNX: {'; '.join(self.problems)}")

    def _is_condition(self, value: Value) -> bool:
        """Nobody asks more of its numbers than whether they are 0."""
        readers = [n for n in self.graph.nodes if value in n.reads()]
        return bool(readers) and all(
            n.operator.__name__ == "where"
            and [name for name, entry in n.entries(n.operator.inputs).items() if entry == value]
            == ["condition"]
            for n in readers
        )

    def _know(self, value: Value, array: Array) -> None:
        self.arrays[value] = array
        self.writer.of[id(array)] = name_of(value)

    def _write(self, node: Node) -> None:
        if self.dynamic and (found := _rules(node)):
            self._write_again(node, found[0].of)
            return
        arguments = dict(node.operator.parameters.defaults) | self._attributes(node)
        for name, entry in node.entries(node.operator.inputs).items():
            arrays = [self.arrays[value] for value in flat(entry)]
            arguments[name] = arrays if isinstance(entry, tuple) else arrays[0] if arrays else None
        outputs = [name_of(value) for value in node.values]
        name = node.operator.__name__
        arguments = self._as_written(node, arguments)
        if name in COMPOSED:
            renamed = COMPOSED[name](self.writer, arguments, outputs[0])
            if renamed is not None:
                self.writer.of[id(self.arrays[node.values[0]])] = renamed
            return
        self._by_convention(node, arguments, outputs)

    def _by_convention(self, node: Node, arguments: dict[str, Any], outputs: list[str]) -> None:
        reasons = []
        for type in onnx_nodes(node.operator):
            try:
                made = to_node(node.operator, type, arguments, self.writer.opset)
                results = outputs[: max(made.outputs, 1)]
                results += [""] * (made.outputs - len(results))
                self.writer.put(type, [*made.inputs.values()], results, made.attributes)
                return
            except Unsupported as refusal:
                reasons.append(str(refusal))
        raise Unsupported("; ".join(reasons) or "no node does what it does")

    def _attributes(self, node: Node) -> dict[str, Any]:
        """As they are in an inference of images like these."""
        found = {}
        for name, given in node.attributes:
            if given is Late.TRAINING:
                given = False
            elif given is Late.SEED:
                given = 0
            elif isinstance(given, Measured):
                if self.dynamic:
                    raise Unsupported(f"its {name} depends on sizes: give the shapes of all inputs")
                given = given.of(*(self.arrays[value].shape for value in given.values))
            found[name] = given
        return found

    def _as_written(self, node: Node, arguments: dict[str, Any]) -> dict[str, Any]:
        """With arguments in the place of others that mean the same here."""
        name = node.operator.__name__
        if arguments.get("index_layout") == "hw" and self._indices_are_for_unpooling(node):
            arguments = arguments | {"index_layout": "nchw"}
        if arguments.get("ceil_rule") not in (None, "torch"):
            usual = node.operator.parameters.defaults["ceil_rule"]
            attempt = arguments | {"ceil_rule": usual}
            if node.operator.plan(**attempt).outputs[0] == self.plans[node.name].outputs[0]:
                arguments = attempt
        if name.startswith("upsample_"):
            return _in_onnx_s_words(arguments, self.plans[node.name])
        return arguments

    def _indices_are_for_unpooling(self, node: Node) -> bool:
        """Then the pair may number pixels as ONNX does."""
        if node.operator.__name__ == "max_unpool2d":
            indices = node.entries(["indices"])["indices"]
            assert isinstance(indices, Value)
            makers = [n for n in self.graph.nodes if n.name == indices.source]
            return bool(makers) and self._indices_are_for_unpooling(makers[0])
        if node.operator.__name__ != "max_pool2d":
            return False
        indices = Value(node.name, 1)
        if indices in self.graph.outputs:
            return False
        readers = [n for n in self.graph.nodes if indices in n.reads()]
        return all(n.operator.__name__ == "max_unpool2d" for n in readers)

    # -- nodes that were read, whose attributes depend on sizes ----------------------------------

    def _write_again(self, node: Node, made: Translation) -> None:
        """The node as it was read, of which several nodes of the graph may be made."""
        (derived, *_) = (g for _, g in node.attributes if isinstance(g, Derived))
        if made.opset != self.writer.opset:
            raise Unsupported(f"was read as of opset {made.opset}, written as {self.writer.opset}")
        calls = {
            rule.call: other.name
            for other in self.graph.nodes
            for rule, values in ((r, _values(other)) for r in _rules(other)[:1])
            if rule.of is made or (rule.of == made and values == derived.values)
        }
        key = made, derived.values, tuple(sorted(calls.items()))
        if key in self.written:
            return
        self.written.add(key)
        names = [self.writer.of[id(self.arrays[value])] for value in derived.values]
        steps: list[str] = []
        for j, step in enumerate(made.program.steps):
            attributes = thawed(step.attributes)
            if step.type == "constant":
                steps.append(self.writer.input(attributes["value"], f"constant{j}"))
                continue
            if step.type == "ShapePart":  # of the step that is the shape
                step = dataclasses.replace(
                    step, inputs=made.program.steps[step.inputs[0] or 0].inputs
                )
            known = names if step.type in ("shape", "ShapePart") else steps
            inputs = ["" if at is None else known[at] for at in step.inputs]
            kind = "Shape" if step.type in ("shape", "ShapePart") else step.type
            outputs = [self.writer.fresh(f"size{j}")]
            if kind == "Split":
                outputs = [self.writer.fresh(f"size{j}") for _ in range(attributes.pop("outputs"))]
            self.writer.put(kind, inputs, outputs, attributes)
            steps.append(outputs[step.output])
        inputs = []
        for source in made.inputs:
            if source is not None and source.kind == "array":
                raise Unsupported("its weights were changed when it was read: give all shapes")
            inputs.append(
                "" if source is None else names[source.at] if source.kind == "value"
                else steps[source.at]
            )  # fmt: skip
        if any(call not in calls for call, _ in made.results[: made.outputs]):
            raise Unsupported("not all of its results are in the graph: give all shapes")
        outputs = [name_of(Value(calls[call], r)) for call, r in made.results[: made.outputs]]
        self.writer.put(made.type, inputs, outputs, thawed(made.attributes))

    # -- the model --------------------------------------------------------------------------------

    def model(self, opened: Sequence[Sequence[Any]], specs: Sequence[Spec]) -> Any:
        from numseg import __version__

        onnx, writer = self.writer.onnx, self.writer
        info, kind = onnx.helper.make_tensor_value_info, onnx.helper.np_dtype_to_tensor_dtype

        def declared(name: str, dtype: Any, shape: Sequence[Any]) -> Any:
            words = [f"{name}_{axis}" if n is None else n for axis, n in enumerate(shape)]
            return info(name, kind(np.dtype(dtype)), words)

        inputs = [
            declared(entry.name, spec.dtype, shape)
            for entry, spec, shape in zip(self.graph.inputs, specs, opened, strict=True)
        ]
        outputs = []
        for value in self.graph.outputs:
            array = self.arrays[value]
            shape = [None] * array.ndim if self.dynamic else array.shape
            outputs.append(declared(writer.of[id(array)], array.dtype, shape))
        read = {name for node in writer.nodes for name in node.input} | {o.name for o in outputs}
        constants = [
            onnx.numpy_helper.from_array(np.asarray(array, order="C"), name)
            for name, array in writer.constants.items()
            if name in read
        ]
        graph = onnx.helper.make_graph(writer.nodes, "numseg", inputs, outputs, constants)
        opsets = [onnx.helper.make_opsetid("", writer.opset)]
        model = onnx.helper.make_model(graph, opset_imports=opsets, producer_name="numseg",
                                       producer_version=__version__)  # fmt: skip
        model.ir_version = min(model.ir_version, 10)
        onnx.checker.check_model(model)
        return model


def _values(node: Node) -> tuple[Value, ...]:
    return next(given.values for _, given in node.attributes if isinstance(given, Derived))


def name_of(value: Value) -> str:
    """What a value is called in a model."""
    return value.source if value.result == 0 else f"{value.source}.{value.result}"


def _in_onnx_s_words(arguments: dict[str, Any], plan: Plan[Any]) -> dict[str, Any]:
    """An upsampling whose positions go by PyTorch's names or none, by those of ONNX."""
    coordinates, given = arguments["coordinates"], plan.inputs[0].shape[2:]
    by_size = arguments["size"] is not None or arguments["recompute_scale_factor"]
    size = tuple(plan.outputs[0].shape[2:])
    if arguments.get("align_corners"):
        found = {"coordinates": "align_corners", "align_corners": False}
        by_size = True  # of which the factor is no part
    elif coordinates is None:
        found = {"coordinates": "half_pixel"}
        by_size = by_size or size == given
    elif coordinates == "nearest":
        found = {"coordinates": "asymmetric"}
        by_size = by_size or size in (given, tuple(2 * n for n in given))
    elif coordinates == "nearest-exact":
        found = {"coordinates": "tf_half_pixel_for_nn"}
    else:
        return arguments
    if by_size:
        found |= {"size": size, "scale_factor": None, "recompute_scale_factor": False}
    return arguments | found


# -- operators that are several nodes -------------------------------------------------------------

Arguments = dict[str, Any]


def _same(w: Writer, a: Arguments, y: str) -> None:
    w.add("Identity", a["x"], to=y)


def _silu(w: Writer, a: Arguments, y: str) -> None:
    w.add("Mul", a["x"], w.add("Sigmoid", a["x"]), to=y)


def _truth(type: str) -> Callable[[Writer, Arguments, str], str]:
    """A node of truth values, which has the operator's name, and the numbers that they are."""

    def write(w: Writer, a: Arguments, y: str) -> str:
        w.add(type, a["x"], a["other"], to=y)
        cast, kind = w.fresh("cast"), w.onnx.helper.np_dtype_to_tensor_dtype
        w.put("Cast", [y], [cast], {"to": int(kind(a["x"].dtype))})
        return cast

    return write


def _where(w: Writer, a: Arguments, y: str) -> None:
    condition = w.input(a["condition"], "condition")
    known = w.constants.get(condition)
    if known is None or known.dtype != np.bool_:
        cast = w.fresh("cast")
        w.put("Cast", [condition], [cast], {"to": w.onnx.TensorProto.BOOL})
        condition = cast
    w.add("Where", condition, a["x"], a["other"], to=y)


def _plan(name: str, arguments: Arguments) -> Any:
    return OPERATORS[name].plan(**arguments)


def _crop(operator: str) -> Callable[[Writer, Arguments, str], None]:
    def write(w: Writer, a: Arguments, y: str) -> None:
        plan = _plan(operator, a)
        place, size = plan.geometry, plan.outputs[0].shape[2:]
        starts = [-place.pt, -place.pl]
        ends = [first + n for first, n in zip(starts, size, strict=True)]
        if min(starts) < 0:
            raise Unsupported("pads what is smaller than the crop")
        if w.opset < 10:
            w.add("Slice", a["x"], to=y, starts=starts, ends=ends, axes=[2, 3])
        else:
            w.add("Slice", a["x"], *map(np.array, (starts, ends, [2, 3])), to=y)

    return write


def _means(size: int, count: int) -> Array:
    """The matrix of an adaptive average over one axis."""
    m = np.zeros((count, size), np.float32)
    for k in range(count):
        first, last = k * size // count, -(-(k + 1) * size // count)
        m[k, first:last] = 1 / (last - first)
    return m


def _adaptive_avg(w: Writer, a: Arguments, y: str) -> None:
    x = a["x"]
    h, ww = x.shape[2:]
    rows, columns = _plan("adaptive_avg_pool2d", a).outputs[0].shape[2:]
    if (rows, columns) == (1, 1):
        w.add("GlobalAveragePool", x, to=y)
    elif h % rows == 0 and ww % columns == 0:
        size = [h // rows, ww // columns]
        w.add("AveragePool", x, to=y, kernel_shape=size, strides=size)
    else:
        across = w.add("MatMul", x, _means(ww, columns).T)
        turned = w.add("Transpose", across, perm=[0, 1, 3, 2])
        both = w.add("MatMul", turned, _means(h, rows).T)
        w.add("Transpose", both, to=y, perm=[0, 1, 3, 2])


def _adaptive_max(w: Writer, a: Arguments, y: str) -> None:
    x = a["x"]
    h, ww = x.shape[2:]
    rows, columns = _plan("adaptive_max_pool2d", a).outputs[0].shape[2:]
    if a["return_indices"] or h % rows or ww % columns:
        raise Unsupported(f"{h} x {ww} pixels into {rows} x {columns} bins of several sizes")
    size = [h // rows, ww // columns]
    w.add("MaxPool", x, to=y, kernel_shape=size, strides=size)


def _linear(w: Writer, a: Arguments, y: str) -> None:
    if a["x"].ndim == 2:
        made = to_node(OPERATORS["linear"], "Gemm", a, w.opset)
        w.put("Gemm", [*made.inputs.values()], [y], made.attributes)
        return
    if isinstance(a["weight"], Unknown):
        raise Unsupported("its weight is computed")
    if a["bias"] is None:
        w.add("MatMul", a["x"], a["weight"].T, to=y)
    else:
        w.add("Add", w.add("MatMul", a["x"], a["weight"].T), a["bias"], to=y)


def _max_unpool(w: Writer, a: Arguments, y: str) -> None:
    """ONNX Runtime refuses sizes below those that MaxUnpool infers, which a pooling that rounds up
    has: there the numbers are scattered."""
    plan = _plan("max_unpool2d", a)
    shape = plan.outputs[0].shape
    usual = _plan("max_unpool2d", a | {"output_size": None}).outputs[0].shape
    if all(n >= m for n, m in zip(shape, usual, strict=True)):
        made = to_node(OPERATORS["max_unpool2d"], "MaxUnpool", a, w.opset)
        w.put("MaxUnpool", [*made.inputs.values()], [y], made.attributes)
        return
    if a["index_layout"] != "nchw":
        raise Unsupported(f"has indices of layout 'nchw', not {a['index_layout']!r}")
    flat = np.array([-1])
    zeros = w.add("ConstantOfShape", np.array([math.prod(shape)]))
    indices, x = w.add("Reshape", a["indices"], flat), w.add("Reshape", a["x"], flat)
    put = w.add("ScatterElements", zeros, indices, x, axis=0)
    w.add("Reshape", put, np.array(shape), to=y)


COMPOSED: dict[str, Callable[[Writer, Arguments, str], str | None]] = {
    "adaptive_avg_pool2d": _adaptive_avg,
    "adaptive_max_pool2d": _adaptive_max,
    "center_crop": _crop("center_crop"),
    "crop": _crop("crop"),
    "dropout": _same,
    "eq": _truth("Equal"),
    "gt": _truth("Greater"),
    "linear": _linear,
    "lt": _truth("Less"),
    "max_unpool2d": _max_unpool,
    "silu": _silu,
    "where": _where,
}
"""By operator; y is the name of the result, unless another one is returned."""
