"""Weights that a run starts with: read from a file, matched by name and shape."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from numseg.errors import MismatchError
from numseg.interop import weights as files
from numseg.nets.inputs import NODE
from numseg.training.checkpoints import parameters
from numseg.training.groups import as_patterns, matching
from numseg.typing import Array

Weights = str | os.PathLike[str] | Mapping[str, Any]

COUNTERS = "*num_batches_tracked"
"""Of PyTorch's batch norms: nothing here reads them."""

CONSTANTS = f"{NODE}.*"
"""Of what a network expects of colours: no other program's file has them."""


def with_weights(
    net: files.Parametric, start: dict[str, Array], weights: Weights, fresh: Sequence[str] = ()
) -> dict[str, Array]:
    """The start values of a network's parameters, those from a file in the place of its own.

    Parameters
    ----------
    net : Graph, detector or task
        Which knows the names and shapes.
    start : mapping of str to array
        Its own, which those that ``fresh`` matches keep.
    weights : path or mapping of str to array
        By the names of the parameters. A checkpoint, or whatever
        :func:`numseg.interop.weights.load` reads. Other floats are rounded to float32.
    fresh : sequence of str
        Patterns of names. Parameters that match are not looked for among the weights, and weights
        that match are not used.

    Raises
    ------
    MismatchError
        That lists all names that are missing, unknown, or of another shape.
    ArgumentError, FileError
        For a pattern that matches nothing; if the file cannot be read.
    """
    file = None if isinstance(weights, Mapping) else Path(weights)
    given = dict(weights) if isinstance(weights, Mapping) else parameters(files.load(weights))
    patterns = as_patterns("fresh", fresh)
    matching("fresh", patterns, [*start, *given], "parameters and weights")
    own = {name: array for name, array in start.items() if _any((*patterns, CONSTANTS), name)}
    try:
        found = files.match(net, given, drop=(*patterns, COUNTERS), fill=own, dtype=np.float32)
    except MismatchError as error:
        raise MismatchError(f"{file or 'weights'}: {error}") from None
    return {name: np.array(array, order="C") for name, array in found.items()}


def _any(patterns: Sequence[str], name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def digest_of(params: Mapping[str, Array]) -> str:
    """32 hexadecimal digits of names and numbers: by them a resumed run is known to be the same."""
    found = hashlib.blake2b(digest_size=16)
    for name in sorted(params):
        found.update(f"{name} {params[name].shape} {params[name].dtype}".encode())
        found.update(np.ascontiguousarray(params[name]).tobytes())
    return found.hexdigest()
