"""ONNX models, both ways: a model becomes a graph and its parameters, and a graph a model."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from numseg.errors import FileError
from numseg.files import write_whole
from numseg.graph import Graph
from numseg.interop.onnx.differing import Difference, difference
from numseg.interop.onnx.exporting import exported
from numseg.interop.onnx.importing import Computed, Refusal, imported
from numseg.typing import Array, ArrayLike

__all__ = ["Difference", "difference", "exported", "load", "save"]


def load(
    model: str | os.PathLike[str] | Any,
    shapes: Mapping[str, Sequence[int]] | None = None,
    constants: Mapping[str, Array] | None = None,
    outputs: Sequence[str] | None = None,
) -> tuple[Graph, dict[str, Array]]:
    """Read a model as a graph and its parameters. Nothing in the file is run.

    Parameters
    ----------
    model : path, or ``onnx.ModelProto``
        Of opset 7 or later.
    shapes : mapping of str to shape, optional
        Of inputs, where the file leaves them open and the graph need not: what follows from sizes
        is then computed once.
    constants : mapping of str to array, optional
        Inputs that always are these arrays.
    outputs : sequence of str, optional
        Names of values; the model's outputs by default.

    Returns
    -------
    graph : Graph
        Nodes are called what the first output of theirs is called in the model. It takes images of
        every size that the model takes: attributes that follow from sizes are computed when a run
        knows them.
    params : dict of str to array
        By the model's names for its constants.

    Raises
    ------
    FileError
        In one line, before anything is run: for a file that is no model, cut off, or contradicts
        itself; for constants outside of the model's folder; and for nodes that no operator
        computes: the line names all of them, each with its type and the reason.
    ArgumentError
        For shapes that the model does not take.
    MissingExtra
        Without the onnx package.

    Examples
    --------
    >>> from numseg.interop import onnx
    >>> graph, params = onnx.load("model.onnx")  # doctest: +SKIP
    >>> y = graph.run(params, x)  # doctest: +SKIP
    """
    found = imported(model, shapes, constants, outputs)
    fixed = [name for name, t in found.outputs.items() if not isinstance(t, Computed)]
    if fixed or found.graph is None:
        raise Refusal(f"the output {fixed[0]} does not depend on the numbers of an input")
    return found.graph, found.params


def save(
    graph: Graph,
    params: Mapping[str, ArrayLike],
    path: str | os.PathLike[str],
    *shapes: Any,
    opset: int | None = None,
) -> None:
    """Write a graph and its parameters as a model, which ``onnx.checker`` has seen.

    Parameters
    ----------
    graph : Graph
    params : mapping of str to array
    path
    *shapes : shape, Spec or array for each input
        By default the smallest image that the graph takes. None in the place of rows and columns
        leaves them open, where no attribute depends on them but those of a model that was read.
    opset : int, optional
        22 by default; of a model that was read with open sizes, its own.

    Raises
    ------
    FileError
        For nodes that ONNX has no counterpart of, all of them in one line; if the file cannot be
        written.
    MismatchError
        If ``params`` are not the graph's.
    MissingExtra
        Without the onnx package.

    Notes
    -----
    Values are called what the graph's nodes are called, ``name.1`` the second result of a node.
    Dropout is gone and batch normalisation by its running statistics: the model is for inference.
    """
    content = exported(graph, params, shapes, opset).SerializeToString()
    if len(content) >= 2**31:
        raise FileError(f"{path}: a model has at most 2 GiB, this one has {len(content)} bytes")
    write_whole(path, content)
