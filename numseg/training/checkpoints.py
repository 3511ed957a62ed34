"""Checkpoints: all that a run needs to go on, in one safetensors file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from numseg.errors import ArgumentError, FileError
from numseg.graph import Graph
from numseg.interop import safetensors
from numseg.typing import Array

_STATE = "optimiser."
"""Put in front of the names of the optimiser's arrays; the parameters keep theirs."""

FORMAT = 1


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
    """The network, the names of the classes, the recipe: what makes another run the same."""


def save_checkpoint(path: str | os.PathLike[str], checkpoint: Checkpoint) -> None:
    """Write a checkpoint whole or not at all.

    Raises
    ------
    FileError
        If it cannot be written (a full disk); the earlier checkpoint stays as it is.
    """
    arrays = checkpoint.params | {_STATE + name: a for name, a in checkpoint.state.items()}
    about = {"format": FORMAT, "epoch": checkpoint.epoch, "history": checkpoint.history}
    safetensors.save(path, arrays, about | checkpoint.about)


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
    state = {n.removeprefix(_STATE): a for n, a in arrays.items() if n.startswith(_STATE)}
    params = {n: a for n, a in arrays.items() if not n.startswith(_STATE)}
    return Checkpoint(params, state, epoch, history, about)


def load_network(path: str | os.PathLike[str]) -> tuple[Graph, Checkpoint]:
    """The network a checkpoint was made with, and the checkpoint.

    Raises
    ------
    FileError
        If the file is missing, damaged, or its arrays are not those of the network it names.
    """
    checkpoint = load_checkpoint(path)
    try:
        net, classes = checkpoint.about["net"], checkpoint.about["classes"]
        graph = make_network(net)
        graph.check(checkpoint.params)
        if len(classes) != net["classes"]:
            raise ArgumentError(f"it names {len(classes)} classes, the network {net['classes']}")
    except (KeyError, TypeError, ArgumentError) as error:
        raise FileError(f"{path}: does not fit its network: {error}") from None
    return graph, checkpoint


def make_network(about: Mapping[str, Any]) -> Graph:
    """A network from ``{"name": "unet", ...its arguments}``."""
    from numseg import nets

    arguments = dict(about)
    name = arguments.pop("name")
    if name not in nets.__all__:
        raise ArgumentError(f"net must be one of {', '.join(nets.__all__)}, got {name!r}")
    return getattr(nets, name)(**arguments)
