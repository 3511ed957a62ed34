"""Graph: an immutable network of operators, and the builder that makes one."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from numseg import checks, device, faces
from numseg.errors import ArgumentError, ArgumentTypeError, shown
from numseg.forks import cached_property
from numseg.graph import (
    choose,
    convolutional,
    drawing,
    execute,
    fold,
    fuse,
    placing,
    planning,
    profile,
    receptive,
    summary,
)
from numseg.graph.choose import Deviation
from numseg.graph.execute import Mode, Tape
from numseg.graph.mismatch import mismatch
from numseg.graph.network import Network
from numseg.graph.node import (
    Entry,
    Init,
    Input,
    Late,
    Measured,
    Node,
    Param,
    Value,
    flat,
    seed_from,
)
from numseg.graph.prepared import Prepared
from numseg.graph.sizes import Sizes
from numseg.operator import Operator, Plan, Spec
from numseg.typing import Array, ArrayLike, Shape

T = TypeVar("T")

_MOST = 256
"""Shapes of inputs that are remembered, and that nothing was wrong with their plans."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Graph(Network):
    """A network: operators as named nodes, in the order in which they run.

    A graph holds no arrays. Its parameters are a flat dict of arrays, which :meth:`init` makes and
    the caller keeps. Every operator that keeps the contract can be a node; the graph knows none by
    name. Make one with :meth:`build`::

        net = Graph.build()
        x = net.input("x")
        weight = net.param("conv.weight", (8, 3, 3, 3), he_normal)
        h = net.add(ns.conv2d, x, weight, padding=1, name="conv")
        graph = net.output(net.add(ns.relu, h))

        params = graph.init(seed=0)
        y = graph.run(params, image)
        y, tape = graph.forward(params, image)
        grads = graph.backward(tape, grad_y)    # {"conv.weight": ..., "x": ...}
    """

    @staticmethod
    def build() -> Builder:
        """A builder, which collects inputs, parameters and nodes and makes the graph."""
        return Builder()

    def __repr__(self) -> str:
        inputs = ", ".join(entry.name for entry in self.inputs)
        return f"<numseg graph of {len(self.nodes)} nodes and {len(self.params)} params ({inputs})>"

    # -- what it is made of -------------------------------------------------------------------

    @cached_property
    def fused(self) -> Graph:
        """As an inference runs it: a node may stand for several, with the last one's name."""
        return fuse.fused(self)

    def at(self, *names: str) -> Graph:
        """The part of this graph that computes the named nodes, with those as its outputs."""
        for name in names:
            checks.choice("name", name, [node.name for node in self.nodes])
        return _pruned(self.inputs, self.params, self.nodes, tuple(map(Value, names)))

    # -- parameters ---------------------------------------------------------------------------

    def init(self, seed: int = 0, dtype: Any = np.float32) -> dict[str, Array]:
        """Start values of all parameters.

        Each depends on the seed and its own name only: not on the order in which a network is
        built, nor on what else is in it.
        """
        seed = checks.integer("seed", seed)
        generators = {p: np.random.default_rng(seed_from(seed, p.name)) for p in self.params}
        return {p.name: np.asarray(p.init(p.shape, rng), dtype) for p, rng in generators.items()}

    def check(self, params: Mapping[str, ArrayLike]) -> None:
        """Raise MismatchError unless ``params`` are this graph's: the same names and shapes.

        It lists all names that differ, with those that they may have been meant to be.
        """
        expected = {param.name: param.shape for param in self.params}
        seen = {name: device.seen(name, array) for name, array in params.items()}
        given = {
            name: tuple(array.shape if hasattr(array, "shape") else np.shape(array))
            for name, array in seen.items()
        }
        if given != expected:
            raise mismatch(expected, given)

    def folded(self, params: Mapping[str, ArrayLike]) -> tuple[Graph, dict[str, Any]]:
        """A graph for inference and its parameters, in which batch normalisation is part of the
        weights before it, and so are products and sums with a constant for each channel.

        Where a convolution's result goes through a batch_norm and nowhere else, one convolution
        stands for both. It has the norm's name, ``norm1``, and new parameters
        ``norm1.folded_weight`` and ``norm1.folded_bias``, which are computed in float64 and rounded
        once. ``x * clip(x + 3, 0, 6) / 6``, as exporters write it, is a hard_swish. The result is
        that of :meth:`run` but for roundings, which the weights now have instead of what lay
        between: each term of a sum is off by half an ulp of its own more. Training needs the graph
        as it was.
        """
        self.check(params)
        graph, arrays = fold.folded(self, params)
        graph = _pruned(graph.inputs, graph.params, graph.nodes, graph.outputs)
        return graph, {param.name: arrays[param.name] for param in graph.params}

    def convolutional(
        self, params: Mapping[str, ArrayLike], *inputs: Any
    ) -> tuple[Graph, dict[str, Any]]:
        """A classifier as a network that slides over larger images, and its parameters.

        A vector that was an image of h x w pixels becomes a window of h x w pixels that slides over
        the image: the first linear layer is a convolution of that kernel with the same weights, a
        view of them, and those after it have kernels of 1 x 1. A pooling to a fixed number of
        pixels between (adaptive, global) is one by windows of the size that it has here.

        Parameters
        ----------
        params : mapping of str to array
        *inputs : shape, Spec or array for each input
            At the size for which the classifier was made, at which the result has one pixel.

        Returns
        -------
        graph, params
            Names are the same; poolings that do nothing, and what makes vectors, are gone. Inputs
            have no check any more.

        Raises
        ------
        ArgumentError
            Where no image becomes a vector, where bins are not all of one size, and for an operator
            on vectors that is no convolution.

        Notes
        -----
        Pixel (p, q) of the result is the classifier applied to the image from row ``p * stride``
        and column ``q * stride`` on, up to roundings (sums are in another order), as long as the
        layers before the vector have no padding. With padding, a window on a larger image sees its
        surroundings where it saw zeros, and a sum over the whole image (squeeze-and-excitation) is
        over the larger one.

        Source: Long, Shelhamer and Darrell 2015, "Fully convolutional networks", section 3.1;
        Sermanet et al. 2014, "OverFeat".
        """
        self.check(params)
        graph, shapes = convolutional.convolutional(self, self._specs(inputs))
        graph = _pruned(graph.inputs, graph.params, graph.nodes, graph.outputs)
        seen = {param.name: device.seen(param.name, params[param.name]) for param in graph.params}
        moved = {name: seen[name].reshape(shape) for name, shape in shapes.items()}
        return graph, seen | moved

    def using(self, operator: Operator[..., Any], *inputs: Any, **arguments: Any) -> Graph:
        """The graph in which every node of an operator has these arguments, as far as it takes
        them: ``graph.using(ns.conv2d, algorithm="winograd4")``.

        What the operator's plan refuses is left as it is; :meth:`refusals` says which nodes, and
        why. It is an error if no node takes them. ``inputs``: shapes as for :meth:`plans`, for a
        graph that takes none of its :meth:`smallest_input`.
        """
        shapes = self._small(inputs)
        graph = choose.using(self, self.plans(*shapes), operator, arguments)
        graph.plans(*shapes)
        return graph

    def refusals(
        self, operator: Operator[..., Any], *inputs: Any, **arguments: Any
    ) -> dict[str, str]:
        """The nodes of an operator that do not take these arguments, and why: those that
        :meth:`using` leaves as they are."""
        return choose.refusals(self, self.plans(*self._small(inputs)), operator, arguments)

    def _small(self, inputs: Sequence[Any]) -> Sequence[Any]:
        """The shapes, or those of the smallest image."""
        if inputs:
            return inputs
        found = self.smallest_input()
        return (found,) if len(self.inputs) == 1 else found

    # -- runs ---------------------------------------------------------------------------------

    def run(self, params: Mapping[str, ArrayLike], *inputs: ArrayLike) -> Any:
        """The output (a tuple, if there are several) for inference.

        Activations are freed as soon as the last node that reads them is done. What kernels can
        apply in the store of another node, they do; the bits are those of one node after the other.
        """
        return _single(self._runner(params, inputs)(None))

    def profile(
        self, params: Mapping[str, ArrayLike], *inputs: ArrayLike, runs: int = 5
    ) -> profile.Profile:
        """A table of the time each node takes in inference, the median of ``runs``; print it.

        With floating-point operations a second, and how near each node comes to the limits of this
        machine, which are measured in the same call.
        """
        run = self._runner(params, inputs)
        runs = checks.integer("runs", runs, 1)
        return profile.profile(self.fused, self.plans(*inputs), runs, run)

    def deviation(
        self,
        params: Mapping[str, ArrayLike],
        other: Graph,
        other_params: Mapping[str, ArrayLike],
        *inputs: ArrayLike,
    ) -> Deviation:
        """By how much the outputs of another graph differ from this one's, at most, in inference:
        what a faster way of computing costs. Both run on the same inputs."""
        if len(other.outputs) != len(self.outputs):
            counts = [_count(len(graph.outputs), "output") for graph in (self, other)]
            raise ArgumentError(f"the graph has {counts[0]}, the other {counts[1]}")

        def outputs(graph: Graph, arrays: Mapping[str, ArrayLike]) -> list[Array]:
            found = graph.run(arrays, *inputs)
            found = found if isinstance(found, tuple) else (found,)
            return [device.of([array]).to_host(array) for array in found]

        return choose.deviation(outputs(self, params), outputs(other, other_params))

    def forward(
        self,
        params: Mapping[str, ArrayLike],
        *inputs: ArrayLike,
        training: bool = True,
        seed: int = 0,
        step: int = 0,
    ) -> tuple[Any, Tape]:
        """The output, and the tape that :meth:`backward` needs.

        ``tape.updates`` holds the new values of parameters that are state; a training step puts
        them in the place of the old ones. What is random depends on ``seed``, ``step`` and the
        node's name, and on nothing else.
        """
        mode = Mode(
            checks.flag("training", training),
            checks.integer("seed", seed),
            checks.integer("step", step),
        )
        values = self._values(params, inputs, mode.training)
        outputs, tape = execute.record(self, values, mode)
        return _single(outputs), tape

    def backward(
        self,
        tape: Tape,
        grad_y: ArrayLike | Sequence[ArrayLike | None],
        *,
        needs: Collection[str] | None = None,
    ) -> dict[str, Array]:
        """The vector-Jacobian product: gradients of parameters and inputs, by name.

        Parameters
        ----------
        tape : Tape
            From :meth:`forward`. It stays as it is: another ``grad_y`` may follow.
        grad_y : array, or tuple of arrays for several outputs
            Gradient of a scalar with respect to the output. None, and only None, for an output
            that has none because it is not a node's first result, or holds places (argmax).
        needs : collection of str, optional
            Names of the parameters and inputs whose gradient is wanted; all that have one by
            default. Training wants ``graph.trainable``: the image's gradient costs a convolution.
        """
        if tape.graph is not self:
            raise ArgumentError("tape is from another graph")
        needs = self.differentiable if needs is None else tuple(needs)
        for name in needs:
            checks.choice("needs", name, self.differentiable)
        grads_y = grad_y if isinstance(grad_y, (tuple, list)) else (grad_y,)
        if len(grads_y) != len(self.outputs):
            outputs = _count(len(self.outputs), "output")
            raise ArgumentError(f"grad_y has {len(grads_y)} arrays, the graph has {outputs}")
        without = {node.name for node in self.nodes if not node.operator.differentiable}
        for j, (value, grad) in enumerate(zip(self.outputs, grads_y, strict=True)):
            if (value.result > 0 or value.source in without) != (grad is None):
                rule = "has no gradient: give None" if grad is not None else "needs a gradient"
                raise ArgumentError(f"grad_y[{j}]: output {j} {rule}")
        return execute.backward(self, tape, grads_y, needs)

    def _values(
        self, params: Mapping[str, ArrayLike], inputs: Sequence[ArrayLike], training: bool = False
    ) -> dict[Value, Any]:
        """What a run begins with; all shapes are checked, down to the last node's."""
        self.check(params)
        named = self._named(inputs)
        for name, array in named.items():
            if not hasattr(array, "shape") or not hasattr(array, "dtype"):
                kind = type(array).__name__
                raise ArgumentTypeError(f"{name} must be an array, got {kind}")
        specs = [Spec(tuple(array.shape), array.dtype) for array in named.values()]
        self._planned(specs, training)
        values = {Value(name): device.seen(name, array) for name, array in params.items()}
        return values | {Value(name): array for name, array in named.items()}

    def _runner(
        self, params: Mapping[str, ArrayLike], inputs: Sequence[ArrayLike]
    ) -> Callable[[Callable[[Node], None] | None], tuple[Any, ...]]:
        """What runs an inference, and tells of each node that has run."""
        if (arrays := self._plain_arrays(params, inputs)) is not None:
            prepared = self._prepared([Spec(a.shape, a.dtype) for a in arrays[len(self.params) :]])
            return functools.partial(prepared.run, arrays)
        values = self._values(params, inputs)

        def run(done: Callable[[Node], None] | None) -> tuple[Any, ...]:
            def call(node: Node, arguments: dict[str, Any]) -> Any:
                results = node.operator(**arguments)
                if done is not None:
                    done(node)
                return results

            return execute.walk(self.fused, dict(values), Mode(), call)

        return run

    def _plain_arrays(
        self, params: Mapping[str, ArrayLike], inputs: Sequence[ArrayLike]
    ) -> list[Array] | None:
        """All arrays of a run by kernels on the CPU, if they are as planned: NumPy's, of the shapes
        that parameters have and of one dtype."""
        if faces.chosen() != "fast" or len(params) != len(self.params) or self._own_calls:
            return None
        arrays = [params.get(param.name) for param in self.params]
        if len(inputs) != len(self.inputs) or any(type(a) is not np.ndarray for a in inputs):
            return None
        dtype = planning.real_dtype([a.dtype for a in inputs])
        for param, array in zip(self.params, arrays, strict=True):
            if type(array) is not np.ndarray or array.shape != param.shape or array.dtype != dtype:
                return None
        return [*arrays, *inputs]  # type: ignore[list-item]

    @cached_property
    def _own_calls(self) -> bool:
        """Whether an operator is called in a way of its own."""
        return any(type(node.operator) is not Operator for node in self.nodes)

    def _prepared(self, specs: Sequence[Spec]) -> Prepared:
        """An inference of inputs like these."""
        return self._remembered(self._inferences, tuple(specs), lambda: self._new(specs))

    def _new(self, specs: Sequence[Spec]) -> Prepared:
        plans = self._planned(specs, False)
        names = [*(param.name for param in self.params), *(entry.name for entry in self.inputs)]
        return Prepared(self.fused, plans, placing.layout(self.fused, plans), names)

    def _planned(self, specs: Sequence[Spec], training: bool) -> Mapping[str, Plan[Any]]:
        """The plans of all nodes, if there is nothing wrong with any."""
        make = functools.partial(planning.planned, self, specs, training)
        return self._remembered(self._plans, (*specs, training), make)

    @staticmethod
    def _remembered(known: dict[Any, T], key: Any, make: Callable[[], T]) -> T:
        found = known.get(key)
        if found is None:
            found = make()
            if len(known) >= _MOST:
                known.clear()
            known[key] = found
        return found

    @cached_property
    def _inferences(self) -> dict[Any, Prepared]:
        """By what inputs of runs were like."""
        return {}

    @cached_property
    def _plans(self) -> dict[Any, Mapping[str, Plan[Any]]]:
        """The same of plans, and of training."""
        return {}

    def _named(self, inputs: Sequence[Any]) -> dict[str, Any]:
        if len(inputs) != len(self.inputs):
            names = ", ".join(entry.name for entry in self.inputs)
            expected = _count(len(self.inputs), "input")
            raise ArgumentError(f"the graph takes {expected} ({names}), got {len(inputs)}")
        given = zip(self.inputs, inputs, strict=True)
        return {entry.name: device.seen(entry.name, array) for entry, array in given}

    # -- what is known without values ---------------------------------------------------------

    def _specs(self, inputs: Sequence[Any]) -> list[Spec]:
        integers = {
            value.source
            for node in self.nodes
            for entry in node.entries(node.operator.facts.integers).values()
            for value in flat(entry)
        }
        return [
            _spec(name, given, np.int64 if name in integers else np.float32)
            for name, given in self._named(inputs).items()
        ]

    def plans(self, *inputs: Any, training: bool = False) -> dict[str, Plan[Any]]:
        """Each node's plan, given a shape, Spec or array for each input.

        A shape is taken as float32, or as int64 where an operator that reads it wants integers.
        """
        return planning.planned(self, self._specs(inputs), training)

    def shapes(self, *inputs: Any) -> dict[str, Shape]:
        """Each node's output shape (of its first result), given the shape of each input."""
        return {name: plan.outputs[0].shape for name, plan in self.plans(*inputs).items()}

    def legal_inputs(self, *inputs: Any) -> Sizes:
        """Which rows and columns of the image this network takes: ``sizes.rows.up_to(512)``.

        Parameters
        ----------
        *inputs : shape for each input
            With None for the rows and columns that are asked for: ``(1, 3, None, None)``. By
            default an image, of as many channels as the first node with parameters takes.

        Returns
        -------
        Sizes
            ``(rows, columns) in sizes``, ``sizes.smallest``, and for each axis, ``sizes.rows`` and
            ``sizes.columns``, the smallest sizes of each kind (``firsts``) and the ``step`` to the
            next. It prints as a rule: ``rows and columns: 16 k + 188``.

        Raises
        ------
        ArgumentError
            If there are none, whose reason then is another than size.

        Notes
        -----
        A size is legal if all nodes can be planned, and if, where the input was declared
        ``centred``, their pixels lie centred on the image. The rule is found by planning some sizes
        (about twice as many as the network's largest stride), on the understanding that what fits
        depends on the remainder by that stride, and on a size being large enough.
        """
        opened = self._opened(inputs)
        found = planning.known_sizes(self, opened)
        if found is None:
            planning.planned(self, planning.closed(opened, 1, 1))  # the error that is no size's
            raise ArgumentError(f"the network takes no size of {self.inputs[0].name}")
        return found

    def smallest_input(self, *inputs: Any) -> Any:
        """The shape of the smallest image that this network takes (a tuple of shapes, if it has
        several inputs); arguments as in :meth:`legal_inputs`."""
        rows, columns = self.legal_inputs(*inputs).smallest
        return _single(tuple(s.shape for s in planning.closed(self._opened(inputs), rows, columns)))

    def _opened(self, inputs: Sequence[Any]) -> tuple[Spec, ...]:
        """Specs, in which rows and columns may be None."""
        given = inputs or ((1, planning.image_channels(self), None, None),)
        shapes = {}
        for name, shape in self._named(given).items():
            shape = getattr(shape, "shape", shape)
            if not isinstance(shape, (list, tuple)):
                raise ArgumentTypeError(f"{name} must be a shape, got {shown(shape)}")
            if None in shape[:-2] or (None in shape and len(shape) < 3):
                rule = "None stands for rows and columns, the last two"
                raise ArgumentError(f"{name} has shape {tuple(shape)}: {rule}")
            shapes[name] = tuple(shape)
        closed = [[1 if size is None else size for size in shape] for shape in shapes.values()]
        dtypes = [spec.dtype for spec in self._specs(closed)]
        return tuple(map(Spec, shapes.values(), dtypes))

    def receptive_field(self, name: str, *inputs: Any) -> receptive.Field | None:
        """Which pixels of the (first) input each output pixel of a node reads.

        None where an operator on the way reads the whole image, or where there is no image.
        """
        checks.choice("name", name, [node.name for node in self.nodes])
        return receptive.field(self, self.plans(*inputs), name)

    def receptive_fields(self, *inputs: Any) -> summary.Extents:
        """A table of the receptive field of every node: size, stride and offset; print it, or ask
        for a node's, ``fields["pool5"].size``.

        For images of one size, given the inputs' shapes; with None for rows and columns (or without
        arguments, see :meth:`legal_inputs`) for all of them: None stands where they differ.
        """
        opened = self._opened(inputs)
        if any(None in spec.shape for spec in opened):
            several = planning.representative(self, opened, self.legal_inputs(*inputs))
        else:
            several = [planning.planned(self, opened)]
        return summary.extents(self, several)

    def crop_offset(self, name: str, like: str, *inputs: Any) -> tuple[int, int]:
        """Where :func:`numseg.crop` must begin in a node, so that its pixels lie on those of
        another node or input: FCN's offsets, derived from every layer's geometry.

        An error if their pixels differ in size, if none lies on the first pixel of ``like``, or if
        what a node on the way adds up does not lie together.
        """
        known = [self.inputs[0].name, *(node.name for node in self.nodes)]
        for argument, value in (("name", name), ("like", like)):
            checks.choice(argument, value, known)
        plans = self.plans(*inputs)
        (y, x), (like_y, like_x) = (receptive.centres(self, plans, n) for n in (name, like))
        return receptive.offset(y, like_y), receptive.offset(x, like_x)

    def summary(self, *inputs: Any) -> summary.Summary:
        """A table of the nodes, given the shape of each input; print it."""
        shapes = [spec.shape for spec in self._specs(inputs)]
        return summary.summarise(self, shapes, self.plans(*inputs))

    def to_svg(self, *inputs: Any) -> str:
        """A drawing of the nodes with their shapes and receptive fields, given the shape of each
        input; ``numseg draw`` writes it to a file."""
        specs = self._specs(inputs)
        return drawing.svg(self, [spec.shape for spec in specs], self.plans(*specs))

    def to_dot(self, *inputs: Any) -> str:
        """The graph in Graphviz's language; with output shapes, given the shape of each input."""
        return summary.dot(self, self.shapes(*inputs) if inputs else {})


class Builder:
    """Collects inputs, parameters and nodes; :meth:`output` makes the graph of them.

    A node reads only values that exist already, so there are no cycles.
    """

    training = Late.TRAINING
    """As an attribute of a node: True in a training step, else False."""
    seed = Late.SEED
    """As an attribute of a node: a seed of its own in each training step."""

    def __init__(self) -> None:
        self._inputs: list[Input] = []
        self._params: list[Param] = []
        self._nodes: list[Node] = []
        self._names: set[str] = set()
        self._given: dict[int, Value] = {}

    def input(
        self, name: str, check: Callable[[Spec], None] | None = None, *, centred: bool = False
    ) -> Value:
        """An array that each run is given.

        ``check(spec)`` may raise ArgumentError for a shape that the network does not take.
        ``centred``, of the first input: it takes only sizes at which the pixels of every node lie
        centred on the image, so that no window of a stride leaves something out on one side.
        """
        if checks.flag("centred", centred) and self._inputs:
            raise ArgumentError(f"{name}: centred is for the first input, {self._inputs[0].name}")
        self._inputs.append(Input(self._new_name(name), check, centred))
        return self._give(Value(name))

    def param(self, name: str, shape: Sequence[int], init: Init, trainable: bool = True) -> Value:
        """An array that is learned, or kept as state; ``init(shape, rng)`` is its start value.

        ``trainable=False`` makes it a constant: a parameter like others, of which training knows
        nothing. It has a gradient, for those who ask :meth:`Graph.backward` for it by name.
        """
        sizes = tuple(checks.integer(f"{name}'s shape", size, 0) for size in shape)
        trainable = checks.flag("trainable", trainable)
        self._params.append(Param(self._new_name(name), sizes, init, trainable))
        return self._give(Value(name))

    def add(
        self,
        operator: Operator[..., Any],
        *args: Any,
        name: str | None = None,
        results: int = 1,
        **kwargs: Any,
    ) -> Any:
        """A node: ``operator(*args, **kwargs)``, with values in the place of arrays.

        Returns its value; a tuple of values if ``results``, the number of them, is not 1. The name
        defaults to the operator's and a number.
        """
        if not isinstance(operator, Operator):
            raise ArgumentTypeError(f"operator must be a numseg operator, got {shown(operator)}")
        if name is None:
            same = sum(node.operator.__name__ == operator.__name__ for node in self._nodes)
            name = f"{operator.__name__}{same + 1}"
        node = self._node(name, operator, args, kwargs, checks.integer("results", results, 1))
        self._new_name(name)
        self._nodes.append(node)
        values = tuple(map(self._give, node.values))
        return values if results > 1 else values[0]

    def output(self, *values: Value, prune: bool = False) -> Graph:
        """The graph that computes these values.

        It is an error if there is anything that no output depends on; with ``prune`` it is left
        out.
        """
        if not values:
            raise ArgumentError("a graph needs an output")
        for value in values:
            self._own("output", value)
        graph = _pruned(self._inputs, self._params, self._nodes, values)
        unread = self._names - set(graph.names)
        if unread and not prune:
            raise ArgumentError(f"no output depends on {', '.join(sorted(unread))}")
        _check_state(graph)
        return graph

    def _new_name(self, name: str) -> str:
        if not isinstance(name, str) or not name:
            raise ArgumentTypeError(f"name must be a word, got {shown(name)}")
        if name in self._names:
            raise ArgumentError(f"the name {shown(name)} is taken")
        self._names.add(name)
        return name

    def _give(self, value: Value) -> Value:
        self._given[id(value)] = value
        return value

    def _own(self, name: str, value: Any) -> Value:
        own = self._given.get(id(value))
        if own is not value or own is None:
            raise ArgumentTypeError(f"{name} must be a value of this builder, got {shown(value)}")
        return own

    def _node(
        self,
        name: str,
        operator: Operator[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        results: int,
    ) -> Node:
        def entry(argument: str, given: Any) -> Entry:
            if given is None:
                return None
            if isinstance(given, (list, tuple)):
                return tuple(self._own(f"{argument}[{j}]", v) for j, v in enumerate(given))
            return self._own(argument, given)

        def attribute(argument: str, given: Any) -> Any:
            if isinstance(given, Value):
                raise ArgumentTypeError(f"{argument} is not an array argument, got {shown(given)}")
            if isinstance(given, Measured):
                for value in given.values:
                    self._own(argument, value)
            return _frozen(given)

        try:
            bound = inspect.signature(operator).bind(*args, **kwargs)
            inputs = {n: entry(n, bound.arguments.pop(n, None)) for n in operator.inputs}
            rest = {n: attribute(n, given) for n, given in bound.arguments.items()}
        except TypeError as error:  # ArgumentTypeError too
            raise ArgumentTypeError(f"{name}: {operator.__name__}: {error}") from None
        return Node(name, operator, tuple(inputs.values()), tuple(rest.items()), results)


def _frozen(given: Any) -> Any:
    """An attribute that nobody can change later."""
    return tuple(map(_frozen, given)) if isinstance(given, (list, tuple)) else given


def _pruned(
    inputs: Iterable[Input],
    params: Iterable[Param],
    nodes: Sequence[Node],
    outputs: tuple[Value, ...],
) -> Graph:
    """A graph of what the outputs depend on."""
    needed = {value.source for value in outputs}
    for node in reversed(nodes):
        if node.name in needed:
            needed.update(value.source for value in node.reads())
            for _, given in node.attributes:
                if isinstance(given, Measured):
                    needed.update(value.source for value in given.values)
    return Graph(
        tuple(entry for entry in inputs if entry.name in needed),
        tuple(param for param in params if param.name in needed),
        tuple(node for node in nodes if node.name in needed),
        outputs,
    )


def _check_state(graph: Graph) -> None:
    """State that a training step replaces has one node that replaces it."""
    owners: dict[str, str] = {}
    for node in graph.nodes:
        for name in node.updates():
            if name in owners:
                raise ArgumentError(f"{owners[name]} and {node.name} both update {name}")
            owners[name] = node.name


def _spec(name: str, given: Any, dtype: Any) -> Spec:
    """A Spec from a Spec, an array or a shape."""
    if isinstance(given, Spec):
        return given
    if hasattr(given, "shape") and hasattr(given, "dtype"):
        return Spec(tuple(given.shape), given.dtype)
    if not isinstance(given, (list, tuple)):
        raise ArgumentTypeError(f"{name} must be a shape, got {shown(given)}")
    sizes = tuple(checks.integer(f"{name}'s shape", size, 0) for size in given)
    return Spec(sizes, np.dtype(dtype))


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _single(outputs: tuple[Any, ...]) -> Any:
    return outputs[0] if len(outputs) == 1 else outputs
