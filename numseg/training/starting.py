"""Weights that a run starts with: read from a file, matched by name and shape."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from numseg import names
from numseg.errors import ArgumentError, FileError
from numseg.graph import Graph
from numseg.interop import safetensors
from numseg.training.checkpoints import load_checkpoint
from numseg.training.groups import as_patterns, matching
from numseg.typing import Array

Weights = str | os.PathLike[str] | Mapping[str, Any]


def read(path: str | os.PathLike[str]) -> dict[str, Array]:
    """The parameters in a file: of a checkpoint of numseg, or of any safetensors file."""
    arrays, about = safetensors.load(path)
    return load_checkpoint(path).params if {"format", "epoch"} <= about.keys() else arrays


def with_weights(
    graph: Graph, start: dict[str, Array], weights: Weights, fresh: Sequence[str] = ()
) -> dict[str, Array]:
    """The start values of a graph's parameters, those from a file in the place of its own.

    Parameters
    ----------
    graph : Graph
    start : mapping of str to array
        Its own, which those that ``fresh`` matches keep.
    weights : path or mapping of str to array
        By the names of the parameters. Other floats are rounded to the parameter's dtype.
    fresh : sequence of str
        Patterns of names. Parameters that match are not looked for among the weights, and weights
        that match are not used.

    Raises
    ------
    ArgumentError, FileError
        That lists all names that are missing, unknown, or of another shape; for a pattern that
        matches nothing; if the file cannot be read.
    """
    file = None if isinstance(weights, Mapping) else Path(weights)
    given = dict(weights) if isinstance(weights, Mapping) else read(weights)
    patterns = as_patterns("fresh", fresh)
    matching("fresh", patterns, [*start, *given], "parameters and weights")

    def left_out(name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in patterns)

    wanted = {p.name: p.shape for p in graph.params if not left_out(p.name)}
    there = {name: np.asarray(array) for name, array in given.items() if not left_out(name)}
    if wrong := _wrong(wanted, there):
        error = ArgumentError if file is None else FileError
        raise error(f"{file or 'weights'}: {'; '.join(wrong)}")
    return {
        name: np.array(there[name], own.dtype, order="C") if name in there else own
        for name, own in start.items()
    }


def _wrong(wanted: Mapping[str, Any], there: Mapping[str, Array]) -> list[str]:
    """What does not fit, in words: all of it."""
    said = []
    missing = [name for name in wanted if name not in there]
    unknown = [name for name in there if name not in wanted]
    if missing:
        near = (f"{name}{names.close_to(name, unknown)}" for name in missing)
        said.append(f"has no {', '.join(near)}")
    if unknown:
        said.append(f"has {', '.join(unknown)}, which the network has not")
    for name in (name for name in wanted if name in there):
        if there[name].shape != wanted[name]:
            said.append(f"{name} has shape {there[name].shape}, expected {wanted[name]}")
        elif there[name].dtype.kind != "f":
            said.append(f"{name} has dtype {there[name].dtype}, expected floats")
    return said


def digest_of(params: Mapping[str, Array]) -> str:
    """32 hexadecimal digits of names and numbers: by them a resumed run is known to be the same."""
    found = hashlib.blake2b(digest_size=16)
    for name in sorted(params):
        found.update(f"{name} {params[name].shape} {params[name].dtype}".encode())
        found.update(np.ascontiguousarray(params[name]).tobytes())
    return found.hexdigest()
