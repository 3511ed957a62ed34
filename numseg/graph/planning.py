"""What is known of a network without values: every node's plan, and which inputs have any."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from numseg.errors import ArgumentError, ArgumentTypeError
from numseg.geometry import Reach
from numseg.graph import execute, receptive, sizes
from numseg.graph.execute import Mode
from numseg.graph.network import Network
from numseg.graph.node import Input, Node, Value
from numseg.graph.sizes import Sizes, Trial
from numseg.operator import Plan, Spec
from numseg.typing import Shape

Plans = dict[str, Plan[Any]]


def planned(network: Network, specs: Sequence[Spec], training: bool = False) -> Plans:
    """Each node's plan, given the inputs'. Where it is the size of the image that does not fit, the
    error names the nearest that do."""
    try:
        return _fill({}, network, specs, training)
    except ArgumentTypeError:
        raise
    except ArgumentError as error:
        image = specs[0].shape if specs else ()
        if len(image) != 4:
            raise
        found = known_sizes(network, tuple(_opened(spec, image[2:]) for spec in specs))
        if found and found.rows.largest is not None and len(specs) > 1:
            raise  # what is fixed may be another input, to which the image does not fit
        why = found and found.why_not(network.inputs[0].name, (image[2], image[3]))
        if not why or str(error).startswith(why):  # the network said it itself
            raise
        raise ArgumentError(f"{why} ({error})") from None


def _fill(
    plans: Plans,
    network: Network,
    specs: Sequence[Spec],
    training: bool = False,
    known: dict[Any, Plan[Any]] | None = None,
    *,
    checked: bool = True,
) -> Plans:
    """Put in the plans of the nodes, one by one, as far as there is no error. Those that are
    ``known``, by node and arguments, are taken from there, and others added."""
    for entry, spec in zip(network.inputs, specs, strict=True):
        if entry.check is not None and checked:
            entry.check(spec)
    dtype = real_dtype([spec.dtype for spec in specs])
    values: dict[Value, Any] = {Value(p.name): Spec(p.shape, dtype) for p in network.params}
    values |= {Value(e.name): spec for e, spec in zip(network.inputs, specs, strict=True)}

    def call(node: Node, arguments: dict[str, Any]) -> tuple[Spec, ...]:
        key = (node.name, *arguments.values())
        plan = None if known is None else known.get(key)
        if plan is None:
            plan = node.operator.plan(**arguments)
            if known is not None:
                known[key] = plan
        plans[node.name] = plan
        return plan.outputs[: plan.results]

    execute.walk(network, values, Mode(training), call)
    if network.inputs and network.inputs[0].centred:
        _check_centred(network, plans, specs[0].shape[2:])
    return plans


def real_dtype(inputs: Sequence[np.dtype[Any]]) -> np.dtype[Any]:
    """The dtype that parameters have, beside inputs of these."""
    return next((dtype for dtype in inputs if dtype.kind == "f"), np.dtype(np.float32))


def _check_centred(network: Network, plans: Plans, image: Sequence[int]) -> None:
    for name, place in receptive.places(network, plans).items():
        if name in plans and not isinstance(place, str):
            counts = plans[name].outputs[0].shape[2:]
            if not all(map(_is_centred, place, counts, image)):
                raise ArgumentError(f"the pixels of {name} would not lie centred on the image")


def _is_centred(at: Reach, count: int, size: int) -> bool:
    """As far before the first pixel's centre as behind the last one's."""
    return 2 * at.first + at.stride * (count - 1) == size - 1


@functools.lru_cache(maxsize=64)
def known_sizes(network: Network, opened: tuple[Spec, ...]) -> Sizes | None:
    """The sizes that the network takes, if there are any. The inputs' shapes have None in the place
    of rows and columns."""

    known: dict[Any, Plan[Any]] = {}  # two images in one map of a level have all that follows

    def attempt(rows: int, columns: int, checked: bool = True) -> Trial:
        plans: Plans = {}
        try:
            _fill(plans, network, closed(opened, rows, columns), known=known, checked=checked)
        except ArgumentError:
            return Trial(False, len(plans), lambda: _places(network, plans), _square(plans))
        return Trial(True, len(plans), lambda: _places(network, plans), _square(plans))

    return sizes.search(attempt)


def _places(network: Network, plans: Plans) -> dict[str, receptive.Place]:
    part = dataclasses.replace(network, nodes=network.nodes[: len(plans)])
    return {n: p for n, p in receptive.places(part, plans).items() if not isinstance(p, str)}


def _square(plans: Plans) -> bool:
    """Rows and columns are treated alike, and have as many pixels where the image has."""
    return all(
        (plan.reach is None or plan.reach[0] == plan.reach[1])
        and len(set(plan.outputs[0].shape[2:])) < 2
        for plan in plans.values()
    )


def _opened(spec: Spec, image: Shape) -> Spec:
    """With None in the place of rows and columns that are those of the image."""
    if len(spec.shape) != 4 or spec.shape[2:] != image:
        return spec
    return Spec((*spec.shape[:2], None, None), spec.dtype)  # type: ignore[arg-type]


def closed(opened: Sequence[Spec], rows: int, columns: int) -> list[Spec]:
    """With rows and columns in the place of None."""

    def filled(spec: Spec) -> Spec:
        *lead, h, w = spec.shape
        sides = rows if h is None else h, columns if w is None else w
        return Spec((*lead, *sides), spec.dtype)

    return [filled(spec) if None in spec.shape else spec for spec in opened]


def representative(network: Network, opened: tuple[Spec, ...], taken: Sizes) -> list[Plans]:
    """The plans for images of several sizes, which show what depends on the size: on whether the
    map of a level is even or odd, say. All are large enough to have every kind of pixel, if there
    is no largest."""
    found = []
    doublings = (2**j for j in range(taken.stride.bit_length()))
    for distance in (0, *doublings, taken.stride, 8 * taken.stride):
        larger = 2 * taken.stride + distance
        rows, columns = (axis.beyond_smallest(larger) for axis in (taken.rows, taken.columns))
        found.append(_fill({}, network, closed(opened, rows, columns)))
    return found


_CHANNELS = 1024
"""How many channels of an image are tried."""
_LARGE = 2048
"""An image on which nothing is too small."""


@functools.lru_cache(maxsize=64)
def image_channels(network: Network) -> int:
    """How many channels the network's image has: as many as the first node with parameters takes
    that reads it, or what was made of it."""
    if len(network.inputs) != 1:
        named = ", ".join(entry.name for entry in network.inputs)
        raise ArgumentError(f"the graph takes {named}, but pictures are all that it is given")
    params = {param.name for param in network.params}
    made = {network.inputs[0].name}
    for at, node in enumerate(network.nodes):
        read = {value.source for value in node.reads()}
        if read & made:
            made.add(node.name)
            if read & params:
                return _channels(network, at)
    raise ArgumentError("the network has no parameters that tell how many channels its image has")


def _channels(network: Network, at: int) -> int:
    """How many channels the image must have for the nodes up to this one to run, whatever sizes the
    whole network takes."""
    (image,), node = network.inputs, network.nodes[at]
    stem = dataclasses.replace(
        network,
        inputs=(Input(image.name),),
        nodes=network.nodes[: at + 1],
        outputs=(Value(node.name),),
    )
    error = None
    for channels in range(1, _CHANNELS + 1):
        try:
            _fill({}, stem, [Spec((1, channels, _LARGE, _LARGE))])
        except ArgumentError as found:
            error = found
        else:
            return channels
    raise ArgumentError(f"no image of up to {_CHANNELS} channels goes into {node.name}: {error}")
