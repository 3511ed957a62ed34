"""What training minimises: a weighted sum of operators of scores and labels."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from numseg import checks, device, names
from numseg.errors import ArgumentError
from numseg.graph import Graph
from numseg.operator import Operator, Spec
from numseg.ops.add import add
from numseg.training import targets
from numseg.training.checkpoints import plain
from numseg.training.devices import labels_moved, moved, to_host
from numseg.typing import Array, Shape


class Loss(NamedTuple):
    """One term of what is minimised: ``weight * operator(scores, labels, **arguments)``.

    The first array argument of the operator is the network's output (N, C, ...). The second is the
    labels (N, ...), if the operator wants integers there, and else a mask of zeros and ones for
    each class, in the output's shape and dtype. ``ignore_index``, if it has one, is the dataset's.
    """

    operator: str | Operator[..., Any]
    """Of numseg by name, ``"dice_loss"``; any other as ``"module:name"``, or itself."""
    weight: float = 1.0
    arguments: Mapping[str, Any] = {}
    """By name. Arrays, such as the weights of classes, may be lists of numbers."""
    output: int = 0
    """Which of the graph's outputs it scores."""


def terms(loss: Any, arguments: Mapping[str, Any]) -> tuple[Loss, ...]:
    """What a recipe's ``loss`` and ``loss_arguments`` say, checked as far as that goes without a
    network, and in the form in which it can be written down, where there is one."""
    if isinstance(loss, (list, tuple)) and not isinstance(loss, Loss):
        if arguments:
            raise ArgumentError("loss_arguments are for a single loss: write them into its term")
        named = {f"loss[{i}]": _term(f"loss[{i}]", given) for i, given in enumerate(loss)}
        if not named:
            raise ArgumentError("loss names no operator")
        return tuple(_checked(what, what, term) for what, term in named.items())
    if isinstance(loss, Loss):
        if arguments:
            raise ArgumentError("loss_arguments are for a loss by name: write them into its term")
        return (_checked("loss", "loss", loss),)
    return (_checked("loss", "loss_arguments", Loss(loss, 1.0, arguments)),)


def _term(what: str, given: Any) -> Loss:
    if not isinstance(given, (list, tuple)):
        return Loss(given)
    if not 1 <= len(given) <= len(Loss._fields):
        form = ", ".join(Loss._fields)
        raise ArgumentError(f"{what} must be ({form}), got {len(given)} values")
    return Loss(*given)


def _checked(what: str, where: str, term: Loss) -> Loss:
    """The operator takes these arguments, and gives one number. ``where`` holds the arguments."""
    op = names.operator(what, term.operator)
    if len(op.inputs) < 2 or op.inputs[0] not in op.differentiable:
        takes = " and ".join(op.inputs)
        raise ArgumentError(
            f"{what}: {op.__name__} takes {takes}, a loss scores and labels, with a gradient for "
            "the scores"
        )
    if not isinstance(term.arguments, Mapping):
        raise ArgumentError(f"{where} must be a dict of arguments, got {term.arguments!r}")
    for name in (*op.inputs[:2], "ignore_index"):
        if name in term.arguments:
            raise ArgumentError(f"{where} has {name}, which the data gives")
    if not term.arguments.keys() & set(op.inputs):  # whose shapes may be those of the classes
        _check_number(op, (1, 2, 2, 2), term.arguments)
    return Loss(
        names.operator_name(op) or op,
        checks.real("a loss's weight", term.weight),
        plain(term.arguments),
        checks.integer("a loss's output", term.output, minimum=0),
    )


def _check_number(op: Operator[..., Any], shape: Shape, given: Mapping[str, Any]) -> None:
    """It takes scores of this shape, and gives one number."""
    scores = Spec(shape)
    target = Spec((shape[0], *shape[2:]), np.dtype(np.int64)) if _labels(op) else scores
    specs = {
        n: Spec(np.shape(v), _dtype(op, n, scores.dtype))
        for n, v in given.items()
        if n in op.inputs
    }
    result = op.output_shape(scores, target, **{**given, **specs})
    if result != ():
        raise ArgumentError(
            f"{op.__name__} is left without a reduction to one number: it gives {result}"
        )


def _labels(op: Operator[..., Any]) -> bool:
    """Whether it wants labels, not a mask for each class."""
    return op.inputs[1] in op.facts.integers


def _ignores(op: Operator[..., Any]) -> bool:
    """Whether it leaves out pixels with a label that it is told."""
    return "ignore_index" in inspect.signature(op).parameters


def _dtype(op: Operator[..., Any], name: str, real: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(np.int64) if name in op.facts.integers else real


def takes_weights(term: Loss) -> bool:
    """Whether it takes a weight for each class, and is given none."""
    op = names.operator("loss", term.operator)
    return _labels(op) and "weight" in op.inputs and "weight" not in term.arguments


class Criterion:
    """The sum of a recipe's losses, for the outputs of a network and the labels of a dataset."""

    def __init__(self, terms: Sequence[Loss], classes: int, ignored: int) -> None:
        self.terms = [(names.operator("loss", term.operator), term) for term in terms]
        self.classes = classes
        self.ignored = ignored
        self.targets: list[targets.Target] = []
        """By output, where its labels are; known once it is checked."""

    def weigh(self, weights: Sequence[float]) -> None:
        """Give these weights of classes to the losses that take them and have none."""
        self.terms = [
            (op, term._replace(arguments={**term.arguments, "weight": list(weights)}))
            if takes_weights(term)
            else (op, term)
            for op, term in self.terms
        ]

    def check(self, graph: Graph, image: Shape) -> None:
        """Every output is scored, and has a number for each class; the first for each pixel of the
        image, but for those at its borders."""
        shapes = graph.shapes(image)
        self.targets = []
        for _, term in self.terms:
            if term.output >= len(graph.outputs):
                last = len(graph.outputs) - 1
                raise ArgumentError(
                    f"a loss scores output {term.output}, the graph's last is {last}"
                )
        for j, value in enumerate(graph.outputs):
            mine = [(op, term) for op, term in self.terms if term.output == j]
            if value.result > 0 and (mine or j == 0):
                raise ArgumentError(f"output {j} is a result of {value.source} without a gradient")
            if value.result > 0:
                self.targets.append(targets.Target())
                continue
            if not mine:
                raise ArgumentError(f"no loss scores output {j} of the graph, {value.source}")
            self._check_output(value.source, shapes[value.source])
            self.targets.append(targets.target(graph, value.source, image, first=j == 0))
            for op, term in mine:
                if self.targets[j].beyond and not _ignores(op):
                    raise ArgumentError(
                        f"{value.source} has pixels beyond the image, but {op.__name__} has no "
                        "ignore_index to leave them out"
                    )
                _check_number(op, shapes[value.source], term.arguments)

    def _check_output(self, name: str, shape: Shape) -> None:
        if len(shape) != 4:
            raise ArgumentError(f"{name} has shape {shape}, expected scores (N, classes, H, W)")
        if shape[1] != self.classes:
            raise ArgumentError(
                f"the network gives {shape[1]} classes, the data has {self.classes}"
            )

    def forward(self, outputs: Sequence[Any], labels: Array) -> tuple[float, list[Any]]:
        """The sum, and what :meth:`backward` needs."""
        total, tape = 0.0, []
        for op, term in self.terms:
            value, saved = self._forward(op, term, outputs[term.output], labels)
            total += term.weight * to_host(value).item()
            tape.append((value, saved))
        return total, tape

    def backward(self, tape: Sequence[Any], outputs: int, share: float = 1.0) -> list[Any]:
        """The gradient of ``share`` times the sum, for each output; None for one without."""
        grads: list[Any] = [None] * outputs
        for (op, term), (value, saved) in zip(self.terms, tape, strict=True):
            one = np.full(value.shape, term.weight * share, value.dtype)
            grad, *_ = op.backward(saved, moved(one, device.of([value])), needs=[op.inputs[0]])
            had = grads[term.output]
            grads[term.output] = grad if had is None else add(had, grad)
        return grads

    def _forward(self, op: Operator[..., Any], term: Loss, scores: Any, labels: Array) -> Any:
        """One term, on the device of the scores."""
        where = device.of([scores])
        given = dict(term.arguments)
        for name in given.keys() & set(op.inputs):
            given[name] = moved(np.asarray(given[name], _dtype(op, name, scores.dtype)), where)
        labels = self.targets[term.output].of(labels, self.ignored)
        if _ignores(op):
            given["ignore_index"] = self.ignored
        elif np.any(labels == self.ignored):
            raise ArgumentError(
                f"{op.__name__} has no ignore_index, but some labels are {self.ignored}"
            )
        if not _labels(op):
            checks.labels("target", labels, self.classes)
            classes = np.arange(self.classes).reshape(-1, 1, 1)
            labels = (labels[:, None] == classes).astype(scores.dtype)
        return op.forward(scores, labels_moved(labels, where), **given)
