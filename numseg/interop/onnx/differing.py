"""A model by ONNX Runtime, by numseg's definition and by its kernels, compared after every node."""

from __future__ import annotations

import contextlib
import io
import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from numseg import faces
from numseg.errors import ArgumentError, FileError, shown
from numseg.files import optional
from numseg.graph import Value, execute
from numseg.interop.onnx import files
from numseg.interop.onnx.importing import Computed, Imported, imported
from numseg.typing import Array

TOLERANCE = 1e-4
"""How far a node may be from the definition, in shares of the definition's largest number."""


class Deviation(NamedTuple):
    """By how much a side differs from the definition, at most, and where."""

    error: float
    """In shares of the largest number that the definition gives; infinite where one side has NaN or
    another infinity."""
    at: tuple[int, ...]
    value: float
    expected: float


class Row(NamedTuple):
    """A value of the model, in the order in which nodes run."""

    name: str
    type: str
    shape: tuple[int, ...]
    runtime: Deviation
    kernels: Deviation


class Difference:
    """All values of a model; print it, or draw it."""

    def __init__(self, rows: Sequence[Row], tolerance: float) -> None:
        self.rows = list(rows)
        self.tolerance = tolerance

    @property
    def first(self) -> Row | None:
        """The first value of which a side deviates by more than the tolerance."""
        return next((row for row in self.rows if self._sides(row)), None)

    def _sides(self, row: Row) -> list[str]:
        both = {"ONNX Runtime": row.runtime, "numseg's kernels": row.kernels}
        return [side for side, found in both.items() if not found.error <= self.tolerance]

    @property
    def verdict(self) -> str:
        """Which node deviates first, by how much, where, and which side."""
        row = self.first
        if row is None:
            worst = max((max(r.runtime.error, r.kernels.error) for r in self.rows), default=0.0)
            return (
                f"all {len(self.rows)} values agree: none is further from the definition than "
                f"{worst:.1e} of its largest number (tolerance {self.tolerance:g})"
            )
        told = []
        for side in self._sides(row):
            found = row.runtime if side == "ONNX Runtime" else row.kernels
            told.append(
                f"{side} by {found.error:.1e} of the largest, at {found.at}: {found.value:.9g}, "
                f"the definition has {found.expected:.9g}"
            )
        first = f"{row.name} ({row.type}) is the first to deviate from the definition"
        return f"{first}: {'; '.join(told)}"

    def table(self, every: bool = True) -> str:
        """A line for each value; or for those alone that lead to the first that deviates."""
        rows, first = self.rows, self.first
        if not every and first is not None:
            at = rows.index(first)
            rows = rows[max(at - 5, 0) : at + 6]
        cells = [("value", "node", "shape", "ONNX Runtime", "kernels", "")]
        for row in rows:
            mark = "<- first" if row is first else "deviates" if self._sides(row) else ""
            shape = "x".join(map(str, row.shape))
            errors = f"{row.runtime.error:.1e}", f"{row.kernels.error:.1e}"
            cells.append((row.name, row.type, shape, *errors, mark))
        widths = [max(len(line[j]) for line in cells) for j in range(6)]
        lines = [
            "  ".join(
                cell.rjust(w) if j in (2, 3, 4) else cell.ljust(w)
                for j, (cell, w) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in cells
        ]
        return "\n".join(lines)

    def __str__(self) -> str:
        return f"{self.table()}\n{self.verdict}"

    def picture(self) -> bytes:
        """A PNG: the error of both sides, node by node."""
        figures = optional("matplotlib.figure", "matplotlib", "demo", "drawing the picture")
        figure = figures.Figure(figsize=(10, 4.5), layout="constrained")
        axes = figure.add_subplot()
        for side, label in (("runtime", "ONNX Runtime"), ("kernels", "numseg's kernels")):
            errors = [getattr(row, side).error for row in self.rows]
            drawn = [max(e, 1e-9) if math.isfinite(e) else 1e3 for e in errors]
            axes.plot(range(len(drawn)), drawn, marker=".", markersize=3, linewidth=1, label=label)
        axes.axhline(self.tolerance, color="grey", linestyle="--", linewidth=1, label="tolerance")
        if (first := self.first) is not None:
            at = self.rows.index(first)
            axes.axvline(at, color="red", linewidth=1)
            axes.annotate(f"{first.name} ({first.type})", (at, self.tolerance), rotation=90,
                          fontsize=8, color="red", va="bottom", ha="right")  # fmt: skip
        axes.set_yscale("log")
        axes.set_xlabel("node, in the order in which they run")
        axes.set_ylabel("largest error, in shares of the largest number")
        axes.legend(loc="upper left", fontsize=8)
        axes.set_title("distance from the definition", fontsize=10)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110)
        return buffer.getvalue()


def difference(
    model: str | os.PathLike[str] | Any,
    inputs: Mapping[str, Array],
    *,
    tolerance: float = TOLERANCE,
    runtime: Callable[[Any, Sequence[str], Mapping[str, Array]], Sequence[Array]] | None = None,
    steps: Callable[[int], Any] | None = None,
) -> Difference:
    """Compare ONNX Runtime, numseg's definition and numseg's kernels after every node of a model.

    Each of the three runs the whole model on its own results. ONNX Runtime is told to optimise
    nothing, and every value is made an output.

    Parameters
    ----------
    model : path, or ``onnx.ModelProto``
    inputs : mapping of str to array
        By the model's names.
    tolerance : float
        In shares of the largest number that the definition has for a value.
    runtime : function, optional
        Of the model as ``ModelProto``, names of values and the inputs; gives these values. ONNX
        Runtime by default.
    steps : function, optional
        Given the number of steps, gives what has ``update()``: a progress bar.

    Returns
    -------
    Difference

    Raises
    ------
    FileError, ArgumentError
        As :func:`load`; for inputs that are not the model's.
    MissingExtra
        Without onnxruntime.
    """
    every = imported(model)
    names = _computed(every)
    _check_inputs(every, inputs)
    whole = imported(model, outputs=names)
    assert whole.graph is not None
    bar = None if steps is None else steps(2 * len(whole.graph.nodes) + 1)

    def done() -> None:
        if bar is not None:
            bar.update()

    theirs = (runtime or _onnxruntime)(_proto(model), names, inputs)
    done()
    defined = _run(whole, names, inputs, "reference", done)
    fast = _run(whole, names, inputs, "fast", done)
    made = {name: node.type for node in whole.model.nodes for name in node.outputs}
    rows = [
        Row(name, made[name], d.shape, deviation(t, d), deviation(f, d))
        for name, t, d, f in zip(names, theirs, defined, fast, strict=True)
    ]
    return Difference(rows, tolerance)


def deviation(found: Array, expected: Array) -> Deviation:
    """Where an array is furthest from what it should be."""
    if found.shape != expected.shape:
        raise ArgumentError(f"shapes differ: {found.shape}, the definition has {expected.shape}")
    if expected.size == 0:
        return Deviation(0.0, (), 0.0, 0.0)
    a, b = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    finite = np.isfinite(b)
    largest = float(np.abs(b[finite]).max(initial=0.0))
    with np.errstate(all="ignore"):
        errors = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
    errors[np.isnan(errors)] = np.inf
    place = np.unravel_index(int(errors.argmax()), errors.shape)
    worst, at = float(errors[place]), tuple(int(i) for i in place)
    share = worst / largest if largest else (math.inf if worst else 0.0)
    return Deviation(share, at, float(a[place]), float(b[place]))


def _computed(every: Imported) -> list[str]:
    """The values that the graph computes, in the order of the nodes, each once."""
    found: dict[Value, str] = {}
    given = {entry.name for entry in every.model.inputs}
    for node in every.model.nodes:
        for name in node.outputs:
            tensor = every.values.get(name) if name else None
            if isinstance(tensor, Computed) and tensor.value.source not in given:
                found.setdefault(tensor.value, name)
    if not found:
        raise FileError("the model computes nothing from its inputs")
    return list(found.values())


def _check_inputs(every: Imported, inputs: Mapping[str, Array]) -> None:
    names = [entry.name for entry in every.model.inputs]
    for name in names:
        if name not in inputs:
            raise ArgumentError(f"the model's input {shown(name)} is not given")
    for name in inputs:
        if name not in names:
            raise ArgumentError(f"the model has no input {shown(name)}: {', '.join(names)}")


def _run(
    whole: Imported, names: Sequence[str], inputs: Mapping[str, Array], face: str, done: Any
) -> list[Array]:
    graph = whole.graph
    assert graph is not None
    graph.plans(*(inputs[entry.name] for entry in graph.inputs))
    values: dict[Value, Any] = {Value(name): array for name, array in whole.params.items()}
    values |= {Value(entry.name): inputs[entry.name] for entry in graph.inputs}

    def call(node: Any, arguments: dict[str, Any]) -> Any:
        results = node.operator(**arguments)
        done()
        return results

    with faces.use("reference") if face == "reference" else contextlib.nullcontext():
        return list(execute.walk(graph, values, execute.Mode(), call))


def _proto(model: Any) -> Any:
    onnx = files.package()
    if isinstance(model, onnx.ModelProto):
        return model
    return onnx.load(os.fspath(model))  # files.read has seen that nothing lies elsewhere


def _onnxruntime(proto: Any, names: Sequence[str], inputs: Mapping[str, Array]) -> Sequence[Array]:
    """All these values by ONNX Runtime, which optimises nothing."""
    onnx = files.package()
    runtime = optional("onnxruntime", "onnxruntime", "onnx", "comparing with ONNX Runtime")
    asked = onnx.ModelProto()
    asked.CopyFrom(proto)
    del asked.graph.output[:]
    asked.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    try:
        session = runtime.InferenceSession(
            asked.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        return session.run(list(names), dict(inputs))
    except Exception as error:
        raise FileError(f"ONNX Runtime: {' '.join(str(error).split())[:300]}") from None
