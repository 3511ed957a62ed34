"""Shape arithmetic: the nodes by which a model computes with sizes, in NumPy.

What depends on constants alone is computed when a model is read. What depends on the sizes of
inputs is kept as a :class:`Program`, which the graph runs when shapes are known: it is made of
shapes alone, never of an array's numbers.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from numseg.boxes import nms
from numseg.conventions import Unsupported
from numseg.errors import ArgumentError
from numseg.typing import Array, Shape

MOST = 2**24
"""Numbers that an array may have which is computed when a model is read."""

Attributes = Mapping[str, Any]

DTYPES: dict[int, Any] = {
    1: np.float32, 2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16, 6: np.int32, 7: np.int64,
    9: np.bool_, 10: np.float16, 11: np.float64, 12: np.uint32, 13: np.uint64,
}  # fmt: skip
"""Of TensorProto's numbers, those that NumPy has."""


def number_of(dtype: Any) -> int:
    """TensorProto's number of a dtype."""
    return next(number for number, known in DTYPES.items() if np.dtype(known) == dtype)


def bounded(shape: Any) -> Shape:
    """The shape, if an array of it is small."""
    sizes = tuple(int(size) for size in shape)
    if min(sizes, default=0) < 0:
        raise Unsupported(f"makes an array of shape {sizes}")
    if math.prod(sizes) > MOST:
        raise Unsupported(f"makes {math.prod(sizes)} numbers of shape {sizes}, at most {MOST}")
    return sizes


def axes_of(given: Any, attributes: Attributes) -> list[int] | None:
    """Axes, which are an input since some opset and were an attribute before."""
    found = attributes.get("axes") if given is None else np.reshape(given, -1).tolist()
    return None if found is None else [int(axis) for axis in found]


def squeezed(shape: Shape, axes: Sequence[int] | None) -> Shape:
    """Without those axes, which have one number each; by default all such."""
    if axes is None:
        return tuple(size for size in shape if size != 1)
    gone = {axis % len(shape) for axis in axes}
    if any(shape[axis] != 1 for axis in gone):
        raise ArgumentError(f"squeezes axes {sorted(gone)} of shape {shape}, expected sizes of 1")
    return tuple(size for axis, size in enumerate(shape) if axis not in gone)


def unsqueezed(shape: Shape, axes: Sequence[int]) -> Shape:
    """With new axes of one number, counted in the result."""
    rank = len(shape) + len(axes)
    new, old = {axis % rank for axis in axes}, iter(shape)
    return tuple(1 if axis in new else next(old) for axis in range(rank))


def reshaped(shape: Shape, asked: Sequence[int], zero: bool) -> Shape:
    """Of Reshape: 0 is the size in its place unless ``zero``, -1 is what is left."""
    if not zero and any(n == 0 and at >= len(shape) for at, n in enumerate(asked)):
        raise ArgumentError(f"shape is {list(asked)}, but x has {len(shape)} axes: {shape}")
    return tuple(shape[at] if n == 0 and not zero else int(n) for at, n in enumerate(asked))


def slices(
    rank: int, attributes: Attributes, starts: Any, ends: Any, axes: Any, steps: Any
) -> dict[int, slice]:
    """Of Slice: by axis; attributes before opset 10."""
    starts = attributes.get("starts") if starts is None else starts
    ends = attributes.get("ends") if ends is None else ends
    if starts is None or ends is None:
        raise Unsupported("has no starts or no ends")
    named = axes_of(axes, attributes) or range(len(starts))
    by = [1] * len(starts) if steps is None else np.reshape(steps, -1).tolist()
    found = {}
    for axis, start, end, step in zip(named, starts, ends, by, strict=True):
        if step == 0:
            raise Unsupported("has a step of 0")
        found[axis % rank] = slice(int(start), int(end), int(step))
    return found


def _shape_part(shape: Array, attributes: Attributes) -> Array:
    return shape[attributes.get("start", 0) : attributes.get("end", None)]


def _reshape(a: Attributes, x: Array, shape: Any = None) -> Array:
    asked = a["shape"] if shape is None else shape.tolist()
    return x.reshape(reshaped(x.shape, asked, bool(a.get("allowzero", 0))))


def _slice(a: Attributes, x: Array, *how: Any) -> Array:
    found = slices(x.ndim, a, *how, *[None] * (4 - len(how)))
    return x[tuple(found.get(axis, slice(None)) for axis in range(x.ndim))]


def _cast(a: Attributes, x: Array) -> Array:
    if a["to"] not in DTYPES:
        raise Unsupported(f"casts to ONNX's dtype {a['to']}")
    return x.astype(DTYPES[a["to"]])


def _range(a: Attributes, start: Array, limit: Array, delta: Array) -> Array:
    if delta == 0:
        raise Unsupported("has a delta of 0")
    count = max(math.ceil((limit.item() - start.item()) / delta.item()), 0)
    return (start + np.arange(*bounded((count,))) * delta).astype(start.dtype).reshape(-1)


def _filled(a: Attributes, shape: Array) -> Array:
    value = a.get("value")
    value = np.zeros(1, np.float32) if value is None else value
    return np.full(bounded(shape), value.reshape(-1)[0])


def _expand(a: Attributes, x: Array, shape: Array) -> Array:
    target = np.broadcast_shapes(x.shape, bounded(shape))
    bounded(target)
    return np.broadcast_to(x, target)


def _tile(a: Attributes, x: Array, repeats: Array) -> Array:
    bounded([n * int(r) for n, r in zip(x.shape, repeats, strict=True)])
    return np.tile(x, repeats.tolist())


def _divide(a: Attributes, x: Array, y: Array) -> Array:
    if x.dtype.kind == "f":
        return np.divide(x, y)
    if not np.all(y):
        raise Unsupported("divides integers by 0")
    return np.sign(x) * np.sign(y) * (np.abs(x) // np.abs(y))  # towards zero


def _reduce(function: Callable[..., Any]) -> Callable[..., Array]:
    def reduced(a: Attributes, x: Array, axes: Any = None) -> Array:
        named = axes_of(axes, a)
        if named is None and a.get("noop_with_empty_axes", 0):
            return x
        along = tuple(named) if named else None
        return np.asarray(function(x, axis=along, keepdims=bool(a.get("keepdims", 1))), x.dtype)

    return reduced


def _mod(a: Attributes, x: Array, y: Array) -> Array:
    if not np.all(y):
        raise Unsupported("divides by 0")
    return np.fmod(x, y) if a.get("fmod", 0) else np.mod(x, y)


def _split(a: Attributes, x: Array, split: Any = None) -> list[Array]:
    axis = a.get("axis", 0)
    sizes = split_sizes(x.shape[axis], a, split, a["outputs"])
    return np.split(x, np.cumsum(sizes)[:-1].tolist(), axis)


def split_sizes(size: int, attributes: Attributes, split: Any, outputs: int) -> list[int]:
    """Of Split: of the axis with so many numbers."""
    given = attributes.get("split") if split is None else np.reshape(split, -1).tolist()
    if given is not None:
        return [int(n) for n in given]
    each = -(-size // attributes.get("num_outputs", outputs))
    return [max(min(each, size - j * each), 0) for j in range(outputs)]


def _suppressed(
    a: Attributes, boxes: Array, scores: Array, most: Any = None, iou: Any = None, least: Any = None
) -> Array:
    """(image, class, box) of the boxes that stay, class by class of each image."""
    most, iou = (0 if given is None else given.item() for given in (most, iou))
    how: dict[str, Any] = {
        "max_output": int(most),
        "score_threshold": None if least is None else least.item(),
        "fmt": "cxcywh" if a.get("center_point_box", 0) else "yxyx",
    }
    found = [
        (image, kind, box)
        for image, of_image in enumerate(scores)
        for kind, of_class in enumerate(of_image)
        for box in nms(boxes[image], of_class, float(iou), zero_area="zero", corners="any", **how)
    ]
    return np.array(found, np.int64).reshape(-1, 3)


def _folded(function: Callable[[Any, Any], Any]) -> Callable[..., Array]:
    def every(a: Attributes, *xs: Array) -> Array:
        result = xs[0]
        for x in xs[1:]:
            result = function(result, x)
        return np.asarray(result)

    return every


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "Abs": lambda a, x: np.abs(x),
    "Add": lambda a, x, y: x + y,
    "And": lambda a, x, y: np.logical_and(x, y),
    "Cast": _cast,
    "Ceil": lambda a, x: np.ceil(x),
    "Concat": lambda a, *xs: np.concatenate(xs, a["axis"]),
    "ConstantOfShape": _filled,
    "Div": _divide,
    "Equal": lambda a, x, y: np.equal(x, y),
    "Expand": _expand,
    "Floor": lambda a, x: np.floor(x),
    "Gather": lambda a, x, at: np.take(x, at, a.get("axis", 0)),
    "Greater": lambda a, x, y: np.greater(x, y),
    "GreaterOrEqual": lambda a, x, y: np.greater_equal(x, y),
    "Identity": lambda a, x: x,
    "Less": lambda a, x, y: np.less(x, y),
    "LessOrEqual": lambda a, x, y: np.less_equal(x, y),
    "Max": _folded(np.maximum),
    "Min": _folded(np.minimum),
    "Mod": _mod,
    "Mul": lambda a, x, y: x * y,
    "Neg": lambda a, x: -x,
    "NonMaxSuppression": _suppressed,
    "Not": lambda a, x: np.logical_not(x),
    "Or": lambda a, x, y: np.logical_or(x, y),
    "Pow": lambda a, x, y: np.power(x, y).astype(x.dtype),
    "Range": _range,
    "ReduceMax": _reduce(np.max),
    "ReduceMin": _reduce(np.min),
    "ReduceProd": _reduce(np.prod),
    "ReduceSum": _reduce(np.sum),
    "Reshape": _reshape,
    "Round": lambda a, x: np.rint(x),
    "ShapePart": lambda a, shape: _shape_part(shape, a),
    "Size": lambda a, x: np.array(x.size, np.int64),
    "Slice": _slice,
    "Split": _split,
    "Sqrt": lambda a, x: np.sqrt(x),
    "Squeeze": lambda a, x, axes=None: x.reshape(squeezed(x.shape, axes_of(axes, a))),
    "Sub": lambda a, x, y: x - y,
    "Tile": _tile,
    "Transpose": lambda a, x: np.transpose(x, a.get("perm")),
    "Unsqueeze": lambda a, x, axes=None: x.reshape(unsqueezed(x.shape, axes_of(axes, a) or [])),
    "Where": lambda a, c, x, y: np.where(c, x, y),
    "Xor": lambda a, x, y: np.logical_xor(x, y),
}
"""What nodes compute: of their attributes, and of arrays."""


def compute(type: str, attributes: Attributes, inputs: Sequence[Array | None]) -> list[Array]:
    """The results of a node."""
    given = list(inputs)
    while given and given[-1] is None:
        given.pop()
    try:
        with np.errstate(all="ignore"):
            found = FUNCTIONS[type](attributes, *given)
        results = [np.asarray(r) for r in found] if type == "Split" else [np.asarray(found)]
        for result in results:
            bounded(result.shape)
    except (ValueError, IndexError, TypeError, KeyError, OverflowError) as error:
        raise Unsupported(f"cannot be computed: {error}") from None
    return results


@dataclasses.dataclass(frozen=True)
class Step:
    """One node of a program, or a constant, or a value's shape."""

    type: str
    """Or "constant", whose numbers are in the attributes, or "shape", of value ``inputs[0]``."""
    inputs: tuple[int | None, ...]
    """Of earlier steps."""
    attributes: tuple[tuple[str, Any], ...] = ()
    output: int = 0


@dataclasses.dataclass(frozen=True)
class Program:
    """Shape arithmetic, step by step."""

    steps: tuple[Step, ...]

    def run(self, shapes: Sequence[Shape]) -> list[Array]:
        """What every step gives."""
        found: list[Array] = []
        for step in self.steps:
            attributes = thawed(step.attributes)
            if step.type == "constant":
                found.append(attributes["value"])
            elif step.type == "shape":
                (value,) = step.inputs
                assert value is not None
                found.append(np.array(shapes[value], np.int64).reshape(-1))
            else:
                inputs = [None if at is None else found[at] for at in step.inputs]
                found.append(compute(step.type, attributes, inputs)[step.output])
        return found


def frozen(attributes: Attributes) -> tuple[tuple[str, Any], ...]:
    """Attributes that can be compared and hashed."""

    def plain(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return "array", value.dtype.str, value.shape, tuple(value.reshape(-1).tolist())
        return tuple(map(plain, value)) if isinstance(value, (list, tuple)) else value

    return tuple(sorted((name, plain(value)) for name, value in attributes.items()))


def thawed(attributes: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    """The attributes that were frozen."""

    def back(value: Any) -> Any:
        if isinstance(value, tuple):
            if value[:1] == ("array",):
                _, dtype, shape, numbers = value
                return np.array(numbers, np.dtype(dtype)).reshape(shape)
            return [back(part) for part in value]
        return value

    return {name: back(value) for name, value in attributes}
