"""What calls of operators a node is.

A rule is written as if all shapes were known: it is given what stands for the node's inputs,
and says which calls it makes. Where the shapes differ from run to run, the rule is asked again, and
the attributes of the calls are what it says then (:mod:`numseg.interop.onnx.derived`). Which
operators it calls may depend on the node, on ranks and on constants, not on sizes.

A node that is one call has no rule here: operators say themselves how they are written in ONNX
(:mod:`numseg.conventions`). A rule stands for a type that needs several calls, or takes more than
what one call can do.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np

from numseg.conventions import Unsupported, onnx_nodes, to_call
from numseg.interop.onnx import arithmetic
from numseg.interop.onnx.arithmetic import DTYPES, axes_of
from numseg.interop.onnx.files import Body, Unread
from numseg.operator import Operator
from numseg.ops.registry import OPERATORS
from numseg.ops.selu import ALPHA, SCALE
from numseg.plan import Spec
from numseg.typing import Array, Shape


class _Asked(tuple[int, ...]):
    """A shape that tells when somebody looks at its sizes; how many there are is no secret."""

    tell: Callable[[], None]

    def __getitem__(self, place: Any) -> Any:
        self.tell()
        return super().__getitem__(place)

    def __iter__(self) -> Iterator[int]:
        self.tell()
        return super().__iter__()

    def __eq__(self, other: object) -> bool:
        self.tell()
        return super().__eq__(other)

    def __hash__(self) -> int:
        self.tell()
        return super().__hash__()


@dataclasses.dataclass(frozen=True)
class Live:
    """An array that the graph computes, as a rule sees it."""

    spec: Spec
    at: tuple[int, int]
    """Result of which call; or (-1, place) among the node's inputs."""
    tell: Callable[[], None]
    truth: str = ""
    """Of truth values, how they are held: "exact", 1 and 0; "nonzero", as all but 0."""

    @property
    def shape(self) -> Shape:
        shape = _Asked(self.spec.shape)
        shape.tell = self.tell
        return shape

    @property
    def rank(self) -> int:
        return len(self.spec.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.spec.dtype


Input: TypeAlias = "Live | Array | None"


@dataclasses.dataclass
class Call:
    """One call of an operator."""

    operator: Operator[..., Any]
    arrays: dict[str, Any]
    """Live, an array, None, or a list of such."""
    attributes: dict[str, Any]
    results: int


@dataclasses.dataclass
class Node:
    """A node, as a rule sees it, and the calls that the rule makes."""

    type: str
    opset: int
    attributes: dict[str, Any]
    inputs: list[Input]
    outputs: int
    calls: list[Call] = dataclasses.field(default_factory=list)
    made: list[tuple[Array, Array]] = dataclasses.field(default_factory=list)
    """Constants of truth values as numbers, and the model's own that they are made of."""
    asked: bool = False
    """Whether the rule has looked at the sizes of what the graph computes."""

    def live(self, spec: Spec, at: tuple[int, int], truth: str = "") -> Live:
        return Live(spec, at, self._tell, truth)

    def _tell(self) -> None:
        self.asked = True

    def input(self, place: int) -> Input:
        """None if it is not given."""
        return self.inputs[place] if place < len(self.inputs) else None

    @property
    def first(self) -> Live:
        """The first input, which the graph computes."""
        found = self.inputs[0]
        if not isinstance(found, Live):
            raise Unsupported("its first input is a constant, or holds no real numbers")
        return found

    def constant(self, place: int, name: str) -> Array | None:
        """The numbers of an input."""
        found = self.input(place)
        if isinstance(found, Live):
            raise Unsupported(f"its input {name} must be a constant")
        return found

    def take(self, name: str, default: Any) -> Any:
        return self.attributes.get(name, default)

    def call(self, operator: str, *args: Any, **arguments: Any) -> Any:
        """What a call gives; a tuple, if it gives several arrays."""
        if operator not in OPERATORS:
            raise Unsupported(f"there is no operator {operator}")
        op = OPERATORS[operator]
        arguments |= dict(zip(op.parameters.names, args, strict=False))
        arrays = {name: arguments.pop(name, None) for name in op.inputs}
        plan = op.plan(**{name: _spec(given) for name, given in arrays.items()}, **arguments)
        self.calls.append(Call(op, arrays, arguments, plan.results))
        at = len(self.calls) - 1
        found = [self.live(spec, (at, j)) for j, spec in enumerate(plan.outputs[: plan.results])]
        return found[0] if plan.results == 1 else tuple(found)

    def reshape(self, x: Any, shape: Sequence[int]) -> Any:
        """The numbers in another shape."""
        return self.call("reshape", x, shape=tuple(int(size) for size in shape))


def _spec(given: Any) -> Any:
    if isinstance(given, (list, tuple)):
        return [_spec(part) for part in given]
    if isinstance(given, Live):
        return given.spec
    return given


Rule = Callable[[Node], Any]
"""Gives what the node's outputs are: one, or a list."""


def calls(node: Node) -> list[Any]:
    """What the outputs of a node are: ``Live``, or a constant.

    Raises
    ------
    Unsupported
        If no operator does it.
    ArgumentError
        If an operator refuses the shapes.
    """
    for name, value in node.attributes.items():
        if isinstance(value, (Body, Unread)):
            kind = value.kind if isinstance(value, Unread) else "graph"
            raise Unsupported(f"its attribute {name} is a {kind}")
    truths = [x.truth for x in node.inputs if isinstance(x, Live) and x.truth]
    if truths and node.type not in LOGIC and node.type not in PLACES:
        raise Unsupported("computes with truth values")
    rule = RULES.get(node.type, by_convention)
    found = rule(node)
    found = list(found) if isinstance(found, (list, tuple)) else [found]
    if truths and node.type in PLACES:
        held = "nonzero" if "nonzero" in truths else "exact"
        found = [dataclasses.replace(y, truth=held) for y in found]
    if len(found) < node.outputs:
        raise Unsupported(f"output {len(found) + 1} is not computed")
    return found


def operators(type: str) -> list[Operator[..., Any]]:
    """Those that are written as nodes of a type."""
    return [op for op in OPERATORS.values() if type in onnx_nodes(op)]


def by_convention(node: Node) -> Any:
    """A node that is one call, as the operator says."""
    if not (found := operators(node.type)):
        raise Unsupported("there is no operator for it")
    reasons: list[str] = []
    for op in found:
        attempt = dataclasses.replace(node, calls=[*node.calls])
        try:
            made = to_call(
                op, node.type, node.inputs, dict(node.attributes), node.opset, node.outputs
            )
            result = attempt.call(op.__name__, **made)
        except Unsupported as refusal:
            reasons.append(str(refusal).removeprefix(f"{node.type}, opset {node.opset}: "))
            continue
        node.calls, node.asked = attempt.calls, node.asked or attempt.asked
        return result
    raise Unsupported("; ".join(dict.fromkeys(reasons)))


# -- what stays as it is --------------------------------------------------------------------------


def _same(node: Node) -> Any:
    return node.inputs[0]


def _dropout(node: Node) -> Any:
    training = node.constant(2, "training_mode")
    if training is not None and training.any():
        raise Unsupported("is in training")
    return node.inputs[0]


def _cast(node: Node) -> Any:
    wanted = DTYPES.get(node.attributes["to"])
    return _as(node, np.dtype(wanted).name if wanted else str(node.attributes["to"]))


def _cast_like(node: Node) -> Any:
    like = node.inputs[1]
    assert like is not None
    truths = isinstance(like, Live) and like.truth
    return _as(node, "bool" if truths else like.dtype.name)


def _as(node: Node, dtype: str) -> Any:
    """Truth values are numbers already, and numbers truth values, where somebody asks whether they
    are 0; otherwise arrays keep their dtype."""
    x = node.first
    if dtype == "bool":
        return x if x.truth else dataclasses.replace(x, truth="nonzero")
    if dtype != x.dtype.name:
        raise Unsupported(f"casts {'bool' if x.truth else x.dtype} to {dtype}")
    return _exact(node, x)


# -- truth values ---------------------------------------------------------------------------------


def _exact(node: Node, x: Any) -> Any:
    """Truth values as 1 and 0 in the dtype that the node computes in; other numbers as they are."""
    if isinstance(x, np.ndarray) and x.dtype == np.bool_:
        node.made.append((x.astype(_number(node, 0).dtype), x))
        return node.made[-1][0]
    if not isinstance(x, Live) or not x.truth:
        return x
    if x.truth == "nonzero":
        return _not(node, _not(node, x))
    return dataclasses.replace(x, truth="")


def _not(node: Node, x: Any) -> Any:
    return node.call("eq", x, _number(node, 0))


def _logic(do: Callable[[Node, Any, Any], Any]) -> Rule:
    """``do(node, x, other)`` of numbers gives truth values."""

    def rule(node: Node) -> Any:
        x, other = (_exact(node, given) for given in node.inputs)
        return dataclasses.replace(do(node, x, other), truth="exact")

    return rule


def _equal(node: Node, x: Any, other: Any) -> Any:
    """The array first, as in :func:`_commutative`."""
    if not isinstance(x, Live) or (isinstance(other, Live) and x.rank < other.rank):
        x, other = other, x
    return node.call("eq", x, other)


def _or_equal(operator: str) -> Rule:
    """NaN is neither."""
    return _logic(
        lambda node, x, other: node.call(
            "maximum", node.call(operator, x, other), node.call("eq", x, other)
        )
    )


def _truth(do: Callable[[Node, Live], Any]) -> Rule:
    """Of one array."""

    def rule(node: Node) -> Any:
        return dataclasses.replace(do(node, node.first), truth="exact")

    return rule


def _infinite(node: Node, x: Live) -> Any:
    positive, negative = (bool(node.take(f"detect_{n}", 1)) for n in ("positive", "negative"))
    if positive and negative:
        x = node.call("abs", x)
    elif not positive and not negative:
        raise Unsupported("detects no infinity")
    return node.call("eq", x, _number(node, np.inf if positive else -np.inf))


def _where(node: Node) -> Any:
    """Of truth values it gives truth values."""
    condition, x, other = node.inputs
    truths = any(isinstance(a, Live) and a.truth for a in (x, other))
    if not isinstance(condition, Live):
        condition = _exact(node, condition)
    if truths:
        x, other = _exact(node, x), _exact(node, other)
    y = node.call("where", condition, x, other)
    return dataclasses.replace(y, truth="exact") if truths else y


def _suppressing(node: Node) -> Any:
    raise Unsupported(
        "how many boxes it gives depends on numbers, which a graph does not know before: load the "
        "model with outputs= of what it reads, and call numseg.boxes.nms"
    )


def _beyond(node: Node) -> Any:
    """ThresholdedRelu: the numbers above alpha, 0 in the place of others."""
    x = node.first
    above = node.call("gt", x, _number(node, node.take("alpha", 1.0)))
    return node.call("where", above, x, _number(node, 0))


LOGIC = {"And", "Cast", "CastLike", "Equal", "Not", "Or", "Where", "Xor"}
"""Types that read truth values."""

PLACES = {
    "Concat", "Expand", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze",
    "Tile", "Transpose", "Unsqueeze",
}  # fmt: skip
"""Types that move what they read, whatever it is."""


# -- shapes ---------------------------------------------------------------------------------------


def _reshape(node: Node) -> Any:
    x, asked = node.inputs[0], node.constant(1, "shape")
    assert x is not None
    sizes = node.attributes["shape"] if asked is None else asked.reshape(-1).tolist()
    zero = bool(node.take("allowzero", 0))
    if 0 in sizes and not zero:
        sizes = arithmetic.reshaped(x.shape, sizes, zero)
    return node.reshape(x, sizes)


def _squeeze(node: Node) -> Any:
    x, axes = node.inputs[0], axes_of(node.constant(1, "axes"), node.attributes)
    if axes is None:
        raise Unsupported("has no axes: which have one number is not known before a run")
    assert x is not None
    return node.reshape(x, arithmetic.squeezed(tuple(x.shape), axes))


def _unsqueeze(node: Node) -> Any:
    x, axes = node.inputs[0], axes_of(node.constant(1, "axes"), node.attributes)
    assert x is not None
    return node.reshape(x, arithmetic.unsqueezed(tuple(x.shape), axes or []))


def _flatten(node: Node) -> Any:
    x = node.first
    axis = node.take("axis", 1)
    if axis == 1 and x.rank > 1:
        return node.call("flatten", x)
    axis = axis + x.rank if axis < 0 else axis
    shape = tuple(x.shape)
    return node.reshape(x, (math.prod(shape[:axis]), math.prod(shape[axis:])))


def _by_rows(node: Node, x: Live, axis: int, do: Callable[[Any], Any]) -> Any:
    """What is done to the rows of an image is done to another axis: the axes before it are one,
    those after it are one."""
    if x.rank == 4 and axis == 2:
        return do(x)
    shape = tuple(x.shape)
    before, after = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
    y = do(node.reshape(x, (1, before, shape[axis], after)))
    return node.reshape(y, (*shape[:axis], y.spec.shape[2], *shape[axis + 1 :]))


def _part(node: Node, x: Live, axis: int, start: int, count: int, step: int = 1) -> Any:
    """``count`` numbers of an axis, from ``start`` on, ``step`` apart."""

    def rows(image: Live) -> Any:
        columns = image.spec.shape[3]
        long = max((count - 1) * step + 1, 0)
        image = node.call("crop", image, size=(long, columns), offset=(start, 0))
        if step == 1:
            return image
        return node.call("max_pool2d", image, kernel_size=1, stride=(step, 1))

    node.asked = True
    return _by_rows(node, x, axis, rows)


def _slice(node: Node) -> Any:
    x = node.first
    how = [node.constant(j, name) for j, name in enumerate(("starts", "ends", "axes", "steps"), 1)]
    asked_of = {
        axis: asked
        for axis, asked in sorted(arithmetic.slices(x.rank, node.attributes, *how).items())
        if asked != slice(0, asked.stop, 1) or asked.stop < 2**31 - 1  # all, whatever its size
    }
    for asked in asked_of.values():
        if asked.step < 0:
            raise Unsupported(f"has a step of {asked.step}")
    if x.rank == 4 and {*asked_of} == {2, 3} and all(a.step == 1 for a in asked_of.values()):
        ranges = [range(*asked_of[axis].indices(x.shape[axis])) for axis in (2, 3)]
        size, offset = [len(r) for r in ranges], [r.start if r else 0 for r in ranges]
        return node.call("crop", x, size=tuple(size), offset=tuple(offset))
    for axis, asked in asked_of.items():
        start, stop, step = asked.indices(x.shape[axis])
        x = _part(node, x, axis, start, len(range(start, stop, step)), step)
    return x


def _split(node: Node) -> Any:
    x, split = node.first, node.constant(1, "split")
    axis = node.take("axis", 0) % x.rank
    start, parts = 0, []
    outputs = node.take("num_outputs", node.outputs)
    for size in arithmetic.split_sizes(x.shape[axis], node.attributes, split, outputs):
        parts.append(_part(node, x, axis, start, size))
        start += size
    return parts


def _gather(node: Node) -> Any:
    x, index = node.first, node.constant(1, "indices")
    assert index is not None
    axis = node.take("axis", 0) % x.rank
    if not 0 < index.size <= 256:
        raise Unsupported(f"has {index.size} indices, expected 1 to 256")
    node.asked = True
    size = x.shape[axis]
    places = [int(i) + size if i < 0 else int(i) for i in index.reshape(-1)]
    if index.ndim == 0 or list(range(places[0], places[0] + len(places))) == places:
        y = _part(node, x, axis, places[0], len(places))
    else:
        y = node.call("concat", [_part(node, x, axis, i, 1) for i in places], dim=axis)
    if index.ndim == 1:
        return y
    shape = tuple(y.shape)
    return node.reshape(y, (*shape[:axis], *index.shape, *shape[axis + 1 :]))


def _expand(node: Node) -> Any:
    x, asked = node.first, node.constant(1, "shape")
    assert asked is not None
    rank = max(x.rank, asked.size)
    if rank > x.rank:
        x = node.reshape(x, (*[1] * (rank - x.rank), *x.shape))
    target = [1] * (rank - asked.size) + asked.tolist()
    node.asked = True
    for axis, size in enumerate(target):
        if size != 1 and x.shape[axis] == 1:
            x = _by_rows(node, x, axis, functools.partial(_repeated, node, size))
    return x


def _repeated(node: Node, rows: int, image: Live) -> Any:
    size = (rows, image.spec.shape[3])
    return node.call("upsample_nearest2d", image, size=size)


def _tile(node: Node) -> Any:
    x, repeats = node.inputs[0], node.constant(1, "repeats")
    assert repeats is not None
    for axis, count in enumerate(repeats.tolist()):
        if not 0 < count <= 256:
            raise Unsupported(f"repeats an axis {count} times")
        if count > 1:
            x = node.call("concat", [x] * count, dim=axis)
    return x


def _pad(node: Node) -> Any:
    x = node.first
    pads, value = node.take("pads", node.take("paddings", None)), node.take("value", 0.0)
    axes = None
    if node.opset >= 11:
        given, fill, named = (
            node.constant(j, n) for j, n in ((1, "pads"), (2, "value"), (3, "axes"))
        )
        assert given is not None
        pads, value = given.tolist(), 0.0 if fill is None or not fill.size else fill.item()
        axes = None if named is None else axes_of(named, {})
    axes = [axis % x.rank for axis in axes or range(x.rank)]
    modes = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}
    mode = modes[node.take("mode", "constant")]
    sides = {axis: (pads[j], pads[len(axes) + j]) for j, axis in enumerate(axes)}
    if x.rank == 4:
        (top, bottom), (left, right) = sides.pop(2, (0, 0)), sides.pop(3, (0, 0))
        if any((top, bottom, left, right)) or not any(map(any, sides.values())):
            padding: dict[str, Any] = {"padding": (top, bottom, left, right)}
            x = node.call("pad", x, **padding, value=float(value), mode=mode)
    for axis, (before, after) in sorted(sides.items()):
        if before or after:
            padding = {"padding": (before, after, 0, 0), "value": float(value), "mode": mode}
            x = _by_rows(node, x, axis, functools.partial(node.call, "pad", **padding))
    return x


# -- pools and convolutions -----------------------------------------------------------------------


def _image(node: Node) -> Any:
    """Of rows and columns as the operator says; of columns alone as an image of one row."""
    x = node.first
    if x.rank != 3:
        if x.rank > 4:
            raise Unsupported(f"its images have {x.rank - 2} axes")
        return by_convention(node)
    wide = dataclasses.replace(node, attributes=_of_rows(node.attributes))
    wide.inputs = [
        node.reshape(a, (*a.shape[:2], 1, *a.shape[2:])) if isinstance(a, Live) and a.rank == 3
        else a[:, :, None] if isinstance(a, np.ndarray) and a.ndim == 3 else a
        for a in node.inputs
    ]  # fmt: skip
    y = by_convention(wide)
    node.calls, node.asked = wide.calls, node.asked or wide.asked
    if isinstance(y, tuple):
        raise Unsupported("gives indices of an image of one axis")
    n, c, _, w = y.spec.shape
    node.asked = True
    return node.reshape(y, (n, c, w))


def _of_rows(attributes: dict[str, Any]) -> dict[str, Any]:
    """Attributes of an image of columns, for one of one row."""
    neutral = {"kernel_shape": 1, "strides": 1, "dilations": 1, "output_padding": 0}
    wide = dict(attributes)
    for name, one in neutral.items():
        if name in wide:
            wide[name] = [one, *wide[name]]
    if "pads" in wide:
        before, after = wide["pads"]
        wide["pads"] = [0, before, 0, after]
    return wide


def _max_pool(node: Node) -> Any:
    """Which of equal numbers, and where in memory they lie, is asked only of indices."""
    if node.outputs < 2:
        node.attributes.pop("storage_order", None)
    return _image(node)


def _global_pool(over: str) -> Rule:
    def rule(node: Node) -> Any:
        x = node.first
        if x.rank == 4:
            return by_convention(node)
        return node.call(over, x, dim=tuple(range(2, x.rank)), keepdim=True)

    return rule


def _resize(node: Node) -> Any:
    """Before opset 11 positions were those of an output pixel divided by the factor."""
    x = node.first
    if node.type == "Resize" and node.opset >= 11:
        return by_convention(node) if x.rank == 4 else _resize_columns(node, x)
    given = node.constant(1, "scales")
    scales = node.attributes["scales"] if given is None else given.tolist()
    if x.rank != 4 or list(scales[:2]) != [1, 1]:
        raise Unsupported(f"has scales {list(scales)}, expected those of rows and columns")
    mode, factors = node.take("mode", "nearest"), tuple(scales[2:])
    how = {"scale_factor": factors, "coordinates": "asymmetric"}
    if mode == "nearest":
        return node.call("upsample_nearest2d", x, rounding="floor", **how)
    if mode not in ("linear", "bilinear"):
        raise Unsupported(f"mode = {mode!r}")
    return node.call("upsample_bilinear2d", x, **how)


def _resize_columns(node: Node, x: Live) -> Any:
    if x.rank != 3 or "axes" in node.attributes:
        raise Unsupported(f"x has {x.rank} axes, expected 4")
    wide = dataclasses.replace(node, inputs=[*node.inputs])
    wide.inputs[0] = node.reshape(x, (*x.shape[:2], 1, x.shape[2]))
    for place in (2, 3):
        given = node.constant(place, "scales and sizes") if place < len(node.inputs) else None
        if given is not None and given.size:
            wide.inputs[place] = np.insert(given, 2, 1)
    y = by_convention(wide)
    node.calls = wide.calls
    node.asked = True
    n, c, _, w = y.spec.shape
    return node.reshape(y, (n, c, w))


def _softmax(node: Node) -> Any:
    """Before opset 13 all axes from ``axis`` on were one."""
    x = node.first
    name = {"Softmax": "softmax", "LogSoftmax": "log_softmax"}[node.type]
    axis = node.take("axis", -1 if node.opset >= 13 else 1)
    axis = axis + x.rank if axis < 0 else axis
    if node.opset >= 13 or axis == x.rank - 1:
        return node.call(name, x, dim=node.take("axis", -1) if node.opset >= 13 else axis)
    shape = tuple(x.shape)
    flat = node.reshape(x, (math.prod(shape[:axis]), math.prod(shape[axis:])))
    return node.reshape(node.call(name, flat, dim=-1), shape)


# -- numbers --------------------------------------------------------------------------------------


def _chain(operator: str, mean: bool = False) -> Rule:
    """Of two or more arrays, one after the other."""

    def rule(node: Node) -> Any:
        y, *rest = node.inputs
        for x in rest:
            y = node.call(operator, y, x)
        if mean and rest:
            y = node.call("divide", y, _number(node, len(node.inputs)))
        return y

    return rule


def _number(node: Node, value: float) -> Array:
    """A constant of the dtype that the node computes in."""
    dtype = next(x.dtype for x in node.inputs if isinstance(x, Live))
    return np.array(value, dtype)


def _commutative(node: Node) -> Any:
    """The array goes first, and what is repeated all over it second: then it is known where its
    pixels lie."""
    x, other = node.inputs
    if not isinstance(x, Live) or (isinstance(other, Live) and x.rank < other.rank):
        node.inputs = [other, x]
    return by_convention(node)


def _gemm(node: Node) -> Any:
    a, b, c = node.inputs[0], node.inputs[1], node.input(2)
    alpha, beta = node.take("alpha", 1.0), node.take("beta", 1.0)
    a = _turned(node, a) if node.take("transA", 0) else a
    weight = b if node.take("transB", 0) else _turned(node, b)
    if alpha != 1:
        weight = _scaled(node, weight, alpha)
    if c is not None and beta != 1:
        c = _scaled(node, c, beta)
    if c is None or (len(_spec(c).shape) == 1 and _spec(c).shape == _spec(weight).shape[:1]):
        return node.call("linear", a, weight, c)
    return node.call("add", node.call("linear", a, weight), c)


def _scaled(node: Node, x: Any, factor: float) -> Any:
    if isinstance(x, np.ndarray):
        return (x * factor).astype(x.dtype)
    return node.call("multiply", x, _number(node, factor))


def _turned(node: Node, x: Any) -> Any:
    return (
        np.ascontiguousarray(x.T)
        if isinstance(x, np.ndarray)
        else node.call("permute", x, dims=(1, 0))
    )


def _matmul(node: Node) -> Any:
    a, b = node.inputs
    if len(_spec(b).shape) == 2 and len(_spec(a).shape) > 0:
        return node.call("linear", a, _turned(node, b))
    return by_convention(node)


def _pow(node: Node) -> Any:
    x, power = node.inputs
    if isinstance(power, np.ndarray) and isinstance(x, Live) and power.dtype != x.dtype:
        power = power.astype(x.dtype)
        node.inputs = [x, power]
    if isinstance(power, np.ndarray) and power.size == 1:
        exponent = float(power.reshape(()))
        if exponent == 2:
            return node.call("multiply", x, x)
        if exponent == 0.5:
            return node.call("sqrt", x)
        if exponent == 1:
            return x
    return by_convention(node)


def _negated(node: Node) -> Any:
    return node.call("multiply", node.inputs[0], _number(node, -1))


def _reciprocal(node: Node) -> Any:
    return node.call("divide", _number(node, 1), node.inputs[0])


def _swish(node: Node) -> Any:
    x, alpha = node.inputs[0], node.take("alpha", 1.0)
    if alpha == 1:
        return node.call("silu", x)
    return node.call("multiply", x, node.call("sigmoid", _scaled(node, x, alpha)))


def _selu(node: Node) -> Any:
    """Of other numbers than those of the paper it is an elu."""
    try:
        return by_convention(node)
    except Unsupported:
        alpha, gamma = (node.attributes.get(n, d) for n, d in (("alpha", ALPHA), ("gamma", SCALE)))
        return _scaled(node, node.call("elu", node.inputs[0], alpha=alpha), gamma)


def _prelu(node: Node) -> Any:
    """With slopes that are none of channels it is a sum of two parts."""
    try:
        return by_convention(node)
    except Unsupported:
        x, slope = node.inputs
        zero = _number(node, 0)
        below = node.call("multiply", node.call("minimum", x, zero), slope)
        return node.call("add", node.call("maximum", x, zero), below)


def _layer_norm(node: Node) -> Any:
    """The mean and the inverse deviation, if they are wanted, are computed apart."""
    alone = dataclasses.replace(node, outputs=1)
    y = by_convention(alone)
    node.calls, node.asked = alone.calls, alone.asked
    if node.outputs == 1:
        return y
    x = node.first
    mean = node.call("mean", x, dim=_from(node, x), keepdim=True)
    if node.outputs == 2:
        return [y, mean]
    return [y, mean, _inverse_root(node, node.call("subtract", x, mean))]


def _rms_norm(node: Node) -> Any:
    x, scale = node.first, node.inputs[1]
    if node.take("stash_type", 1) != 1:
        raise Unsupported(f"stash_type = {node.attributes['stash_type']}, expected 1")
    return node.call("multiply", node.call("multiply", x, _inverse_root(node, x)), scale)


def _inverse_root(node: Node, x: Live) -> Any:
    """One over the root of the mean square, to which epsilon is added."""
    square = node.call("mean", node.call("multiply", x, x), dim=_from(node, x), keepdim=True)
    more = node.call("add", square, _number(node, node.take("epsilon", 1e-5)))
    return node.call("divide", _number(node, 1), node.call("sqrt", more))


def _from(node: Node, x: Live) -> tuple[int, ...]:
    """The axes from the node's axis on."""
    return tuple(range(node.take("axis", -1) % x.rank, x.rank))


def _reduction(do: Callable[[Node, Any, Any], Any]) -> Rule:
    """``do(node, x, over)``: ``over(operator, x)`` reduces by the node's axes."""

    def rule(node: Node) -> Any:
        x = node.first
        axes = axes_of(node.constant(1, "axes"), node.attributes)
        keep = bool(node.take("keepdims", 1))
        if not axes:
            if axes is not None and not node.take("noop_with_empty_axes", 0):
                axes = None
            if node.take("noop_with_empty_axes", 0):
                return do(node, x, lambda operator, array, keepdim=True: array)
        dim = tuple(axis % x.rank for axis in axes) if axes else None

        def over(operator: str, array: Any, keepdim: bool = keep) -> Any:
            if operator == "multiply":
                return _multiplied(node, array, dim or tuple(range(array.rank)), keepdim)
            return node.call(operator, array, dim=dim, keepdim=keepdim)

        return do(node, x, over)

    return rule


def _multiplied(node: Node, x: Any, dims: Sequence[int], keep: bool) -> Any:
    """The product of the numbers along each axis, one after the other."""
    for dim in dims:
        count = x.shape[dim]
        if not 0 < count <= _FACTORS:
            raise Unsupported(f"multiplies {count} numbers of an axis, expected 1 to {_FACTORS}")
        parts = [_part(node, x, dim, i, 1) for i in range(count)]
        x = functools.reduce(functools.partial(node.call, "multiply"), parts)
    return x if keep else node.reshape(x, [n for d, n in enumerate(x.shape) if d not in dims])


_FACTORS = 64


def _log_sum_exp(node: Node, x: Live, over: Callable[..., Any]) -> Any:
    """The largest is taken out of the sum, or else the largest finite number."""
    if 0 in x.spec.shape:  # there may be no largest
        return node.call("log", over("sum", node.call("exp", x)))
    most = float(np.finfo(x.dtype).max)
    largest = node.call("clip", over("amax", x, True), min=-most, max=most)
    y = node.call("log", over("sum", node.call("exp", node.call("subtract", x, largest))))
    if y.rank < largest.rank:
        largest = node.reshape(largest, y.shape)
    return node.call("add", y, largest)


def _clip(node: Node) -> Any:
    """Bounds that are computed are a maximum and a minimum."""
    bounds = node.input(1), node.input(2)
    if not any(isinstance(bound, Live) for bound in bounds):
        return by_convention(node)
    y: Any = node.inputs[0]
    for operator, bound in zip(("maximum", "minimum"), bounds, strict=True):
        y = y if bound is None else node.call(operator, y, bound)
    return y


def _cross_entropy(node: Node) -> Any:
    """The second output, if it is wanted, is log_softmax."""
    loss = dataclasses.replace(node, outputs=1)
    y = by_convention(loss)
    node.calls, node.asked = loss.calls, loss.asked
    return (y, node.call("log_softmax", node.first, dim=1)) if node.outputs > 1 else y


def _roi_align(node: Node) -> Any:
    """Boxes may be computed; of which image they are is then a constant."""
    x, rois, _ = node.inputs
    if not isinstance(rois, Live):
        return by_convention(node)
    number = node.constant(2, "batch_indices")
    assert number is not None
    column = number.reshape(-1, 1).astype(rois.dtype)
    boxes = node.call("concat", [column, rois], dim=1)
    known = [x, np.zeros((column.size, 4), rois.dtype), number]
    made = to_call(
        OPERATORS["roi_align"], node.type, known, dict(node.attributes), node.opset, node.outputs
    )
    return node.call("roi_align", **(made | {"boxes": boxes}))


RULES: dict[str, Rule] = {
    "Add": _commutative,
    "And": _logic(lambda node, x, other: node.call("minimum", x, other)),
    "AveragePool": _image,
    "Cast": _cast,
    "CastLike": _cast_like,
    "Clip": _clip,
    "Conv": _image,
    "ConvTranspose": _image,
    "Dropout": _dropout,
    "Equal": _logic(_equal),
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_pool("mean"),
    "GlobalMaxPool": _global_pool("amax"),
    "Greater": _logic(lambda node, x, other: node.call("gt", x, other)),
    "GreaterOrEqual": _or_equal("gt"),
    "Identity": _same,
    "IsInf": _truth(_infinite),
    "IsNaN": _truth(lambda node, x: _not(node, node.call("eq", x, x))),
    "LayerNormalization": _layer_norm,
    "Less": _logic(lambda node, x, other: node.call("lt", x, other)),
    "LessOrEqual": _or_equal("lt"),
    "LogSoftmax": _softmax,
    "LpPool": _image,
    "MatMul": _matmul,
    "Max": _chain("maximum"),
    "MaxPool": _max_pool,
    "Mean": _chain("add", mean=True),
    "Min": _chain("minimum"),
    "Mul": _commutative,
    "Neg": _negated,
    "NonMaxSuppression": _suppressing,
    "Not": _truth(_not),
    "Or": _logic(lambda node, x, other: node.call("maximum", x, other)),
    "Pad": _pad,
    "Pow": _pow,
    "PRelu": _prelu,
    "RMSNormalization": _rms_norm,
    "Reciprocal": _reciprocal,
    "ReduceL1": _reduction(lambda node, x, over: over("sum", node.call("abs", x))),
    "ReduceL2": _reduction(
        lambda node, x, over: node.call("sqrt", over("sum", node.call("multiply", x, x)))
    ),
    "ReduceLogSumExp": _reduction(_log_sum_exp),
    "ReduceLogSum": _reduction(lambda node, x, over: node.call("log", over("sum", x))),
    "ReduceMax": _reduction(lambda node, x, over: over("amax", x)),
    "ReduceMean": _reduction(lambda node, x, over: over("mean", x)),
    "ReduceMin": _reduction(lambda node, x, over: over("amin", x)),
    "ReduceProd": _reduction(lambda node, x, over: over("multiply", x)),
    "ReduceSum": _reduction(lambda node, x, over: over("sum", x)),
    "ReduceSumSquare": _reduction(lambda node, x, over: over("sum", node.call("multiply", x, x))),
    "Reshape": _reshape,
    "Resize": _resize,
    "RoiAlign": _roi_align,
    "Selu": _selu,
    "Slice": _slice,
    "Softmax": _softmax,
    "SoftmaxCrossEntropyLoss": _cross_entropy,
    "Split": _split,
    "Squeeze": _squeeze,
    "Sum": _chain("add"),
    "Swish": _swish,
    "ThresholdedRelu": _beyond,
    "Tile": _tile,
    "Unsqueeze": _unsqueeze,
    "Upsample": _resize,
    "Where": _where,
    "Xor": _logic(lambda node, x, other: _not(node, _equal(node, x, other))),
}
"""By type; those that are not here are one call, as an operator says."""


def supported() -> list[str]:
    """The types of nodes that are read, as far as their attributes allow."""
    known = {type for op in OPERATORS.values() for type in onnx_nodes(op)}
    shapes = {"Constant", "If", "Shape", *arithmetic.FUNCTIONS} - {"ShapePart"}
    return sorted((known | RULES.keys() | shapes) - {"NonMaxSuppression"})
