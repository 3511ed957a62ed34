"""Checkpoints: all that a run needs to go on, in one safetensors file."""

from __future__ import annotations

import decimal
import inspect
import numbers
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from numseg import names
from numseg.errors import ArgumentError, FileError, one_line
from numseg.files import check_writable
from numseg.graph import Graph, digest
from numseg.interop import safetensors
from numseg.nets.inputs import normalised
from numseg.training.devices import to_host
from numseg.typing import Array

_STATE = "optimiser."
"""Put in front of the names of the optimiser's arrays; the parameters keep theirs."""

_AVERAGE = "moving_average."
"""The same for the moving averages of the parameters."""

FORMAT = 1

DETECTION = "detection"
"""What the checkpoint of a detector says of its task; that of a segmentation says nothing."""


class Checkpoint(NamedTuple):
    """A run after some epochs."""

    params: dict[str, Array]
    """Named as in the graph, and so in the file."""
    state: dict[str, Array]
    """The optimiser's."""
    epoch: int
    """How many are finished."""
    history: list[dict[str, Any]]
    """What each of them gave."""
    about: dict[str, Any]
    """The network, the names of the classes, the recipe: what makes another run the same.

    ``about["net"]`` is what :func:`make_network` takes; or, of a graph that was handed over without
    that, ``{"graph": its digest}``.
    """
    average: Mapping[str, Array] = {}
    """Moving averages of the parameters, if the recipe asks for them."""


def save_checkpoint(path: str | os.PathLike[str], checkpoint: Checkpoint) -> None:
    """Write a checkpoint whole or not at all.

    Raises
    ------
    FileError
        If it cannot be written (a full disk); the earlier checkpoint stays as it is.
    """
    state = {_STATE + name: array for name, array in checkpoint.state.items()}
    average = {_AVERAGE + name: array for name, array in checkpoint.average.items()}
    every = {**checkpoint.params, **state, **average}
    arrays = {name: to_host(array) for name, array in every.items()}
    about = {"format": FORMAT, "epoch": checkpoint.epoch, "history": checkpoint.history}
    safetensors.save(path, arrays, about | checkpoint.about)


def check_saving(path: str | os.PathLike[str]) -> None:
    """A checkpoint can be written there: asked before the work that it would hold.

    Raises
    ------
    FileError, MissingExtra
        If it cannot.
    """
    safetensors.check_package("writing checkpoints")
    check_writable(path)


def load_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint.

    Raises
    ------
    FileError
        If the file is missing, damaged, or not a checkpoint of numseg.
    """
    arrays, about = safetensors.load(path)
    try:
        version, epoch = int(about.pop("format")), int(about.pop("epoch"))
        history = list(about.pop("history"))
    except (KeyError, TypeError, ValueError):
        raise FileError(f"{path}: is not a checkpoint that numseg wrote") from None
    if version != FORMAT:
        raise FileError(f"{path}: has format {version}, this numseg reads {FORMAT}")

    def cut(prefix: str) -> dict[str, Array]:
        return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}

    return Checkpoint(parameters(arrays), cut(_STATE), epoch, history, about, cut(_AVERAGE))


def parameters(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Of all arrays in a checkpoint, or in any other file, those that are parameters."""
    return {n: a for n, a in arrays.items() if not n.startswith((_STATE, _AVERAGE))}


def load_network(
    path: str | os.PathLike[str],
    graph: Graph | Callable[..., Graph] | None = None,
    average: bool = False,
) -> tuple[Graph, Checkpoint]:
    """The network a checkpoint was made with, and the checkpoint.

    Parameters
    ----------
    path
        The checkpoint.
    graph : Graph or function, optional
        The network, where the file cannot say how to make it: one that is not of
        :mod:`numseg.nets`. A function is called with the arguments that the file holds, if any. No
        module is ever imported because a file names it.
    average : bool
        The moving averages of the parameters in the place of the parameters.

    Raises
    ------
    FileError
        If the file is missing or damaged, its arrays are not those of the network, the graph is
        not the one that was trained, or there is none.
    """
    checkpoint = chosen(path, average)
    if checkpoint.about.get("task") == DETECTION:
        raise FileError(f"{path}: is of a detector, not of a network that segments")
    try:
        net, classes = checkpoint.about["net"], checkpoint.about["classes"]
        graph = _graph(net, graph)
        graph.check(checkpoint.params)
        if len(classes) != net.get("classes", len(classes)):
            raise ArgumentError(f"it names {len(classes)} classes, the network {net['classes']}")
    except (AttributeError, KeyError, TypeError, ArgumentError) as error:
        raise FileError(f"{path}: does not fit its network: {one_line(error)}") from None
    return graph, checkpoint


def chosen(path: str | os.PathLike[str], average: bool) -> Checkpoint:
    """The checkpoint, with its moving averages in the place of the parameters if they are asked
    for."""
    checkpoint = load_checkpoint(path)
    if not average:
        return checkpoint
    if not checkpoint.average:
        raise FileError(f"{path}: has no moving averages: its recipe had no average")
    return checkpoint._replace(params=dict(checkpoint.average))


def _graph(net: Mapping[str, Any], given: Graph | Callable[..., Graph] | None) -> Graph:
    """The network of a checkpoint."""
    arguments = dict(net)
    trained, name = arguments.pop("graph", None), arguments.pop("name", None)
    if given is None and trained is not None:
        raise ArgumentError(f"a graph without a name was trained ({trained}): give it to load it")
    if given is None and ":" in str(net["name"]):
        raise ArgumentError(
            f"{name} was trained, which no file makes us import: give it to load it"
        )
    if given is None:
        return make_network(net)
    graph = given if isinstance(given, Graph) else _prepared("graph", given, arguments)
    if trained is not None and (found := digest(graph)) != trained:
        raise ArgumentError(f"the graph that was trained is {trained}, the one given {found}")
    return graph


def make_network(about: Mapping[str, Any]) -> Graph:
    """A network from ``{"name": "unet", ...its arguments}``.

    The name is one of :mod:`numseg.nets`, or ``"module:function"`` of any function that makes a
    :class:`~numseg.Graph`, which is imported. ``"normalise"`` is no argument of it, but says what
    it expects of colours: :func:`numseg.nets.inputs.normalised`.
    """
    from numseg import nets

    arguments = dict(about)
    given = arguments.pop("name", None)
    known = {name: getattr(nets, name) for name in nets.__all__}
    return _prepared(str(given), names.find("net", given, known), arguments)


def _prepared(name: str, make: Any, arguments: Mapping[str, Any]) -> Graph:
    """What a function makes of the arguments, behind a normalisation if they say so."""
    others = dict(arguments)
    normalisation = others.pop("normalise", None)
    graph = _made(name, make, others)
    return graph if normalisation is None else normalised(graph, normalisation)


def _made(name: str, make: Any, arguments: Mapping[str, Any]) -> Graph:
    """What a function makes of the arguments."""
    if not isinstance(make, Graph):
        if not callable(make):
            raise ArgumentError(f"net must be a graph, or the name of a function, got {make!r}")
        make = called(name, make, arguments)
    elif arguments:
        raise ArgumentError(f"{name} is a graph, which takes no {', '.join(arguments)}")
    if not isinstance(make, Graph):
        raise ArgumentError(f"{name} makes {type(make).__name__}, not a graph")
    return make


def called(name: str, make: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """What a function makes of arguments; an error with its name, if it takes others."""
    try:
        bound = inspect.signature(make).bind(**arguments)
    except (TypeError, ValueError) as error:  # some of C's have no signature
        raise ArgumentError(f"{name}: {error}") from None
    return make(*bound.args, **bound.kwargs)


def plain(value: Any) -> Any:
    """What equals a plain number, word, list or dict as just that; anything else as it is.

    NumPy's scalars and arrays, read-only mappings, fractions, enumerations: what a file gives back
    is then equal to what was written, and found to be writable before the work.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Mapping):
        return {plain(name): plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, (numbers.Real, decimal.Decimal)):
        return float(value)
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return plain(to_host(value).tolist())
    return value


def written(what: str, value: Any) -> Any:
    """The value as a file gives it back: numbers, words, lists and dicts.

    Raises
    ------
    ArgumentError
        That names what cannot be written.
    """
    value = plain(value)
    if isinstance(value, dict):
        for name in value:
            if not isinstance(name, str):
                raise ArgumentError(
                    f"{what} has the key {name!r}, which no checkpoint can hold: it is no word"
                )
        return {name: written(f"{what}.{name}", part) for name, part in value.items()}
    if isinstance(value, list):
        return [written(f"{what}[{i}]", part) for i, part in enumerate(value)]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise ArgumentError(
        f"{what} is {value!r}, which no checkpoint can hold: it is neither a number nor a word, "
        "nor can a module be asked for it by name"
    )
