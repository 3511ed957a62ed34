"""Classifiers that slide: what comes after an image was flattened becomes convolutions.

A vector that was an image of h x w pixels is, on a larger image, each of its windows of h x w
pixels. What operators do to such windows they say themselves, in a module ``sliding`` of their
folder: ``convolution``, of one that reads whole vectors (linear), and ``pooling``, of one whose
result has a fixed number of pixels (adaptive_avg_pool2d).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from numseg.errors import ArgumentError
from numseg.faces import optional
from numseg.geometry import POINTWISE
from numseg.graph.fuse import readers
from numseg.graph.network import Network
from numseg.graph.node import Entry, Input, Measured, Node, Value
from numseg.graph.planning import Plans, planned
from numseg.operator import Spec
from numseg.typing import Shape

N = TypeVar("N", bound=Network)


class Window(NamedTuple):
    """What a vector is of an image: its channels, on these rows and columns."""

    size: tuple[int, int]
    spacing: tuple[int, int] = (1, 1)
    """From one pixel of the window to the next."""


PIXEL = Window((1, 1))


def convolutional(network: N, specs: Sequence[Spec]) -> tuple[N, dict[str, Shape]]:
    """The network with images in the place of vectors, and parameters' new shapes. At the size of
    ``specs`` these images have one pixel."""
    plans = planned(network, specs)
    slides = _Slides(network, plans)
    nodes = tuple(node for old in network.nodes for node in slides.through(old))
    if not slides.windows:
        raise ArgumentError("no node of the graph makes a vector of an image")
    made = dataclasses.replace(
        network,
        inputs=tuple(Input(entry.name) for entry in network.inputs),
        params=tuple(
            dataclasses.replace(param, shape=slides.shapes.get(param.name, param.shape))
            for param in network.params
        ),
        nodes=nodes,
        outputs=tuple(map(slides.value, network.outputs)),
    )
    slides.check(planned(made, specs))
    return made, slides.shapes


class _Slides:
    """How far a network is turned into one that slides."""

    def __init__(self, network: Network, plans: Plans) -> None:
        self.plans = plans
        self.params = {param.name for param in network.params}
        self.shapes: dict[str, Shape] = {}
        """New ones, of parameters."""
        self.windows: dict[Value, Window] = {}
        """What a vector was of an image, by value of the old network."""
        self._pooled: dict[Value, Window] = {}
        """The same of what is not flattened yet."""
        self._instead: dict[Value, Value] = {}
        self._kept: list[str] = []
        """Nodes that read vectors and are as they were, but for what they read."""
        self._pools = self._flattened_pools(network)

    def value(self, old: Value) -> Value:
        """What stands for it."""
        return self._instead.get(old, old)

    def through(self, node: Node) -> list[Node]:
        """One more node: what stands for it, one node or none."""
        value, reads = Value(node.name), list(node.reads())
        if node.name in self._pools:
            return self._pooling(node)
        if image := self._flattens(node):
            _, _, rows, columns = self.plans[node.name].inputs[0].shape
            self.windows[value] = self._pooled.get(image, Window((rows, columns)))
            self._instead[value] = self.value(image)
            return []
        if any(read in self.windows for read in reads):
            return [self._on_windows(node)]
        if reads and reads[0] in self._pooled:  # it lies between a pooling and a vector
            self._pooled[value] = self._pooled[reads[0]]
        return [self._moved(node)]

    def check(self, plans: Plans) -> None:
        """Given the plans in which each vector is an image of one pixel: the nodes that are as they
        were do to the channels of a pixel what they did to the numbers of a vector."""
        for name in self._kept:
            vector, plan = self.plans[name].outputs[0].shape, plans[name]
            if plan.reach != POINTWISE or plan.outputs[0].shape != (*vector, 1, 1):
                raise ArgumentError(
                    f"{name}: on an image of vectors {vector}, which are channels, it gives "
                    f"{plan.outputs[0].shape}, or reads other pixels: an axis counted from the end?"
                )

    def _pooling(self, node: Node) -> list[Node]:
        """A pooling to a fixed number of pixels as one by windows of a fixed size."""
        (value,), plan = node.reads(), self.plans[node.name]
        (_, _, h, w), (_, _, rows, columns) = plan.inputs[0].shape, plan.outputs[0].shape
        spacing = h // rows, w // columns
        if (h, w) != (spacing[0] * rows, spacing[1] * columns):
            raise ArgumentError(
                f"{node.name}: {rows} x {columns} bins of an image of {h} x {w} pixels are not all "
                "of one size, as windows are"
            )
        self._pooled[Value(node.name)] = Window((rows, columns), spacing)
        if spacing == (1, 1):  # it does nothing
            self._instead[Value(node.name)] = self.value(value)
            return []
        pooling = optional(node.operator, "sliding", "pooling")
        assert pooling is not None
        operator, attributes = pooling(spacing)
        return [Node(node.name, operator, (self.value(value),), tuple(attributes.items()))]

    def _on_windows(self, node: Node) -> Node:
        """A node that reads vectors."""
        found = {self.windows[value] for value in node.reads() if value in self.windows}
        convolution = optional(node.operator, "sliding", "convolution")
        kept = found == {PIXEL} or (len(found) == 1 and self._elementwise(node))
        if not (kept or (convolution and len(found) == 1)):
            sizes = " and ".join(f"{w.size[0]} x {w.size[1]}" for w in sorted(found))
            raise ArgumentError(
                f"{node.name}: {node.operator.__name__} is no convolution of windows of {sizes}"
            )
        (window,) = found
        self.windows[Value(node.name)] = PIXEL if convolution else window
        if convolution:
            return self._convolution(node, window, convolution)
        self._kept += [node.name] if window == PIXEL else []
        return self._moved(node)

    def _convolution(self, node: Node, window: Window, convolution: Callable[..., Any]) -> Node:
        specs = dict(zip(node.operator.inputs, self.plans[node.name].inputs, strict=True))
        operator, shapes, attributes = convolution(*window, **specs)
        entries = node.entries(operator.inputs)
        for name, shape in shapes.items():
            source = getattr(entries[name], "source", None)
            if source not in self.params or self.shapes.setdefault(source, shape) != shape:
                raise ArgumentError(
                    f"{node.name}: {name} is no parameter, or one that is used in two ways"
                )
        return self._moved(
            Node(node.name, operator, tuple(entries.values()), tuple(attributes.items()))
        )

    def _moved(self, node: Node) -> Node:
        """The node, reading what stands for what it read."""

        def entry(old: Entry) -> Entry:
            if isinstance(old, tuple):
                return tuple(map(self.value, old))
            return old and self.value(old)

        attributes = tuple(
            (
                name,
                given.on(tuple(map(self.value, given.values)))
                if isinstance(given, Measured)
                else given,
            )
            for name, given in node.attributes
        )
        return dataclasses.replace(
            node, inputs=tuple(map(entry, node.inputs)), attributes=attributes
        )

    def _flattens(self, node: Node) -> Value | None:
        """The image of which the node makes a vector, its numbers in the same order."""
        plan = self.plans[node.name]
        if not node.operator.facts.view or len(plan.inputs[0].shape) != 4:
            return None
        (value,) = node.reads()
        n, *others = plan.inputs[0].shape
        return value if plan.outputs[0].shape == (n, math.prod(others)) else None

    def _flattened_pools(self, network: Network) -> set[str]:
        """The poolings to a fixed number of pixels of whose results vectors are made, and nothing
        else: that numbers are changed one by one in between is no matter."""
        nodes, read = {node.name: node for node in network.nodes}, readers(network)
        found = set()
        for node in network.nodes:
            value = self._flattens(node)
            while value is not None and read[value] == 1 and value.source in nodes:
                before = nodes[value.source]
                if optional(before.operator, "sliding", "pooling"):
                    found.add(before.name)
                value = next(before.reads()) if self._elementwise(before) else None
        return found

    def _elementwise(self, node: Node) -> bool:
        """Whether each number of the result is made of one number. Such an operator takes an array
        that is nothing but a number."""
        plan, arrays = self.plans[node.name], list(node.reads())
        if len(arrays) != 1 or plan.inputs[0].shape != plan.outputs[0].shape:
            return False
        number = Spec((), plan.inputs[0].dtype)
        try:
            found = node.operator.plan(number, **plan.parameters)
        except ArgumentError:
            return False
        return found.outputs[0].shape == ()
