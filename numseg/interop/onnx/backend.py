"""numseg as a backend of ONNX, so that ONNX's own test suite runs on it.

    import onnx.backend.test
    from numseg.interop.onnx import backend
    backend_test = onnx.backend.test.BackendTest(backend, __name__)
    globals().update(backend_test.enable_report().test_cases)

``python -m numseg.interop.onnx`` runs the suite and prints what passes, and why what does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from numseg.conventions import Unsupported
from numseg.errors import ArgumentError, FileError
from numseg.files import optional
from numseg.interop.onnx import files
from numseg.interop.onnx.importing import Computed, Imported, Refusal, imported
from numseg.typing import Array

base = optional("onnx.backend.base", "onnx", "onnx", "being a backend of ONNX")


skipped: type[Exception] | None = None
"""What is raised in the place of the suite's own exception, which counts as a success there."""


def _not_supported(reason: str) -> Exception:
    """What the suite takes for a test that it is to skip."""
    if skipped is not None:
        return skipped(reason)
    from onnx.backend.test.runner import BackendIsNotSupposedToImplementIt

    return BackendIsNotSupposedToImplementIt(reason)


class Representation(base.BackendRep):  # type: ignore[misc, name-defined]
    """A model that is ready to be run."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.read = files.read(model)
        self.imported: Imported | None = None
        """What the latest run was by."""

    def run(self, inputs: Any, **kwargs: Any) -> tuple[Array, ...]:
        """The outputs, of arrays in the order of the model's inputs, or by name."""
        names = [entry.name for entry in self.read.inputs]
        given = inputs if isinstance(inputs, Mapping) else dict(zip(names, inputs, strict=True))
        if any(not isinstance(array, (np.ndarray, np.generic)) for array in given.values()):
            raise _not_supported("an input is no array")
        arrays = {name: np.asarray(array) for name, array in given.items()}
        try:
            found = self.imported = _import(self.read, arrays)
        except (Refusal, Unsupported, ArgumentError) as refusal:
            raise _not_supported(str(refusal)) from None
        results: dict[str, Array] = {}
        if found.graph is not None:
            live = [arrays[entry.name] for entry in found.graph.inputs]
            y = found.graph.run(found.params, *live)
            y = y if isinstance(y, tuple) else (y,)
            computed = {n: t for n, t in found.outputs.items() if isinstance(t, Computed)}
            results = {
                name: array.astype(bool) if tensor.truth else array
                for (name, tensor), array in zip(computed.items(), y, strict=True)
            }
        return tuple(
            results[name] if name in results else np.asarray(found.outputs[name])
            for name in self.read.outputs
        )


def _import(model: files.Model, arrays: Mapping[str, Array]) -> Imported:
    """A graph of what is real; integers, and what a node must know beforehand, are constants."""
    shapes = {name: array.shape for name, array in arrays.items()}
    whole = {name for name, array in arrays.items() if array.dtype.kind != "f"}

    def attempt(constant: set[str]) -> Imported:
        return imported(
            model,
            shapes={n: s for n, s in shapes.items() if n not in constant},
            constants={n: arrays[n] for n in constant},
        )

    try:
        return attempt(set())  # an operator may take integers: labels, places
    except (Refusal, ArgumentError):
        pass
    try:
        return attempt(whole)
    except Refusal as refusal:
        first = next((name for name in arrays if name not in whole), None)
        rest = {name for name in arrays if name != first} | whole
        if "numseg.boxes.nms" in str(refusal):  # what is computed before a run, as a graph is read
            return attempt({*arrays})
        if "must be a constant" not in str(refusal) or rest == whole:
            raise
        return attempt(rest)


class Backend(base.Backend):  # type: ignore[misc, name-defined]
    """numseg, by whichever face is in use (``numseg.use``)."""

    @classmethod
    def prepare(cls, model: Any, device: str = "CPU", **kwargs: Any) -> Representation:
        """A model that is ready to be run; raises what the suite takes for "not supported"."""
        try:
            return Representation(model)
        except FileError as error:
            raise _not_supported(str(error)) from None

    @classmethod
    def run_model(cls, model: Any, inputs: Any, device: str = "CPU", **kwargs: Any) -> Any:
        return cls.prepare(model, device, **kwargs).run(inputs)

    @classmethod
    def run_node(
        cls, node: Any, inputs: Sequence[Array], device: str = "CPU", outputs_info: Any = None,
        **kwargs: Any,
    ) -> Any:  # fmt: skip
        onnx = files.package()
        arrays = [np.asarray(array) for array in inputs]
        kind = onnx.helper.np_dtype_to_tensor_dtype
        names = [name for name in node.input if name]
        infos = [
            onnx.helper.make_tensor_value_info(name, kind(array.dtype), array.shape)
            for name, array in zip(names, arrays, strict=True)
        ]
        outputs = [onnx.helper.make_empty_tensor_value_info(name) for name in node.output]
        graph = onnx.helper.make_graph([node], "node", infos, outputs)
        opset = kwargs.get("opset_version", onnx.defs.onnx_opset_version())
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
        return cls.run_model(model, arrays, device)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        return device == "CPU" or device.startswith("CPU:")


prepare, run_model, run_node = Backend.prepare, Backend.run_model, Backend.run_node
supports_device, is_compatible = Backend.supports_device, Backend.is_compatible
