"""Operator: the one contract that every operator keeps, and that everything else reads.

The way of a call: bind the arguments, view the arrays, let the operator's *plan* check them and
state the outputs, bring the arrays into the one form kernels know, allocate, and let one face
(``reference``, ``cpu`` or ``cuda``) fill the outputs. One direction; no step asks back.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib
import inspect
import math
from collections import namedtuple
from collections.abc import Callable, Collection, Iterator, Sequence
from contextvars import ContextVar
from types import ModuleType
from typing import Any, Generic, NamedTuple, ParamSpec, TypeVar

import numpy as np

from numseg import checks, device
from numseg.errors import ArgumentError, ArgumentTypeError, DeviceError
from numseg.geometry import POINTWISE, Reach
from numseg.typing import Array, Shape

P = ParamSpec("P")
R = TypeVar("R")


class Spec(NamedTuple):
    """An array without its values."""

    shape: Shape
    dtype: np.dtype[Any] = np.dtype(np.float32)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize


@dataclasses.dataclass(frozen=True)
class Plan(Generic[R]):
    """What one call will do, known from shapes, dtypes and parameters alone.

    An operator's function returns it. ``R`` is the type of the call's result.
    """

    outputs: tuple[Spec, ...]
    """What ``forward`` fills: the results first, then what only ``backward`` needs."""
    geometry: Any
    """A NamedTuple of numbers: all that kernels know of the call besides the arrays."""
    results: int = 1
    """How many of the outputs the caller gets."""
    flops: int = 0
    """Floating-point operations of ``forward``; a multiply-add is two."""
    reach: tuple[Reach, Reach] | None = POINTWISE
    """Which input rows and columns an output pixel reads; None where it reads all of them."""
    linear: bool = True
    """False where this call is not linear, though the operator is with other parameters."""
    inputs: tuple[Any, ...] = ()
    """The specs of the array arguments, filled in by :class:`Operator`."""


class Cost(NamedTuple):
    """What a call of ``forward`` costs at least."""

    flops: int
    bytes: int
    """Each input read once, each output written once."""


_face: ContextVar[str] = ContextVar("numseg_face", default="fast")


@contextlib.contextmanager
def use(face: str) -> Iterator[None]:
    """``with use("reference"):`` run everything inside by the definitions in plain NumPy.

    Parameters
    ----------
    face : {"reference", "fast"}
        Which implementation. Holds for the current thread or task, whole networks included;
        ``use("fast")`` inside such a block goes back to the kernels.
    """
    token = _face.set(checks.choice("face", face, ("reference", "fast")))
    try:
        yield
    finally:
        _face.reset(token)


def operator(
    inputs: str,
    *,
    outputs: str = "y",
    saves: str = "",
    differentiable: str | None = None,
    linear: str = "",
    integers: str = "",
    updates: dict[str, str] | None = None,
    examines: str = "",
    fixed: dict[str, Any] | None = None,
) -> Callable[[Callable[P, Plan[R]]], Operator[P, R]]:
    """Make an operator of a function that checks the arguments and returns the :class:`Plan`.

    The function gives the operator its name, signature, docstring and folder: its faces are the
    modules ``reference``, ``cpu`` and ``cuda`` beside it. It sees shapes and dtypes, never values.

    Values are the business of a function ``check(*inputs, geometry)`` in the same folder, where
    there is one (are switches within the plane, labels below the number of classes?). It runs
    before anything is allocated or written, on the CPU, and may count on the values of arrays of
    integers and of those named in ``examines``: other arrays of floats stay where they are, and
    ``matrix`` has but a :class:`Spec` of its first argument. A face with a function ``check`` of
    its own is asked instead, so that a ``cuda.py`` can look at labels on the device.

    Parameters
    ----------
    inputs, outputs : str
        Names of the array arguments and of the outputs in the plan, in order.
    saves : str
        Which inputs and outputs ``backward`` needs, in the order its kernels take them.
    differentiable : str, optional
        The inputs that have a gradient; all by default. Gradients flow from the first output.
    linear : str
        The inputs in which the result is linear, each taken alone, unless the plan of a call
        takes it back (``Plan.linear``).
    integers : str
        The inputs that hold integers: where only a shape is given, they are taken as int64.
    updates : dict
        Inputs that are state, and the output that replaces each after a training step.
    examines : str
        Inputs of floats whose values ``check`` sees (boxes, which are few).
    fixed : dict
        Where a differentiable input holds what no derivative is taken of (the number of an image
        among the coordinates of a box): an index into it. The gradient there is 0.
    """

    def make(plan: Callable[P, Plan[R]]) -> Operator[P, R]:
        return Operator(
            plan,
            inputs=tuple(inputs.split()),
            outputs=tuple(outputs.split()),
            saves=tuple(saves.split()),
            differentiable=tuple((inputs if differentiable is None else differentiable).split()),
            linear=tuple(linear.split()),
            integers=tuple(integers.split()),
            updates=updates or {},
            examines=tuple(examines.split()),
            fixed=fixed or {},
        )

    return make


class _Call(NamedTuple):
    """A call whose arguments are bound and checked."""

    device: device.Device
    arrays: list[Any]  # views; None, or a tuple of views, where the argument is
    plan: Plan[Any]


class Operator(Generic[P, R]):
    """A segmentation operator: value, gradient, definition, shape rule, matrix and cost.

    ``op(...)`` is the value; ``op.forward(...)`` the value and what ``op.backward`` needs;
    ``op.reference`` the same operator, computed by its definition in plain NumPy.
    """

    def __init__(
        self,
        plan: Callable[P, Plan[R]],
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
        saves: tuple[str, ...],
        differentiable: tuple[str, ...],
        linear: tuple[str, ...],
        integers: tuple[str, ...],
        updates: dict[str, str],
        examines: tuple[str, ...],
        fixed: dict[str, Any],
        face: str | None = None,
    ) -> None:
        functools.update_wrapper(self, plan)
        self.__name__: str = plan.__name__
        self._plan = plan
        self.inputs = inputs
        self.outputs = outputs
        self.saves = saves
        self.differentiable = differentiable
        self.linear = linear
        self.integers = integers
        self.updates = updates
        self.examines = examines
        self.fixed = fixed
        self.face = face
        self.__signature__ = _readable(inspect.signature(plan))
        parameters = self.__signature__.parameters
        self._by_place = [n for n, p in parameters.items() if p.kind is not p.KEYWORD_ONLY]
        self._defaults = {n: p.default for n, p in parameters.items() if p.default is not p.empty}
        self._sequences = {n for n in inputs if parameters[n].annotation.startswith("Sequence[")}
        self._saved_type = _saved_type(self.__name__, saves)

    def __repr__(self) -> str:
        face = f".{self.face}" if self.face else ""
        return f"<numseg operator {self.__name__}{face}{self.__signature__}>"

    def __get__(self, instance: object, owner: type | None = None) -> Operator[P, R]:
        """Makes ``help(op)`` describe the operator as the function it is, not its class."""
        return self

    def __reduce__(self) -> Any:
        return _restore, (self.__module__, self.__name__, self.face)

    # -- the calls ---------------------------------------------------------------------------

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._forward(self._bind(args, kwargs))[0]

    def forward(self, *args: P.args, **kwargs: P.kwargs) -> tuple[R, Any]:
        """The value, and a NamedTuple of what ``backward`` needs."""
        return self._forward(self._bind(args, kwargs))

    def backward(
        self, saved: Any, grad_y: Any, *, needs: Collection[str] | None = None
    ) -> tuple[Any, ...]:
        """The vector-Jacobian product: one gradient per differentiable array argument.

        Parameters
        ----------
        saved : NamedTuple
            From ``forward``.
        grad_y : array
            Gradient of a scalar with respect to the (first) result; same shape and dtype.
        needs : collection of str, optional
            Names of the arguments whose gradient is wanted; the others get None. All by default.

        Returns
        -------
        tuple
            In the order of the arguments, one for each array of an argument that is a sequence;
            None for an array that was not given.
        """
        with self._named_errors(".backward"):
            grads = self._backward(saved, grad_y, needs)
        flat: list[Any] = []
        for name, grad in zip(self.differentiable, grads, strict=True):
            given = saved.plan.inputs[self.inputs.index(name)]
            parts = len(given) if name in self._sequences else 1
            flat += grad if isinstance(grad, tuple) else [grad] * parts
        return tuple(flat)

    @functools.cached_property
    def reference(self) -> Operator[P, R]:
        """The definition: the same calls, computed in float64 by plain NumPy."""
        return Operator(
            self._plan,
            self.inputs,
            self.outputs,
            self.saves,
            self.differentiable,
            self.linear,
            self.integers,
            self.updates,
            self.examines,
            self.fixed,
            face="reference",
        )

    # -- what is known without values --------------------------------------------------------

    def plan(self, *args: Any, **kwargs: Any) -> Plan[R]:
        """Check a call given arrays, :class:`Spec` or shapes for the arrays.

        A shape is taken as float32, or as int64 where the operator wants integers.
        """
        arguments = self._arguments(args, kwargs)
        with self._named_errors():
            for name in self.inputs:
                if arguments[name] is None and self._defaults.get(name, ...) is not None:
                    raise ArgumentTypeError(f"{name} must be a shape, got None")
                dtype = np.int64 if name in self.integers else np.float32
                arguments[name] = _specs_of(name, arguments[name], np.dtype(dtype))
            return self._planned(arguments)

    def output_shape(self, *args: Any, **kwargs: Any) -> Any:
        """The shape of the result (a tuple of shapes for several results), given shapes."""
        plan = self.plan(*args, **kwargs)
        shapes = tuple(spec.shape for spec in plan.outputs[: plan.results])
        return shapes[0] if plan.results == 1 else shapes

    def cost(self, *args: Any, **kwargs: Any) -> Cost:
        """Floating-point operations and compulsory bytes of a call, given shapes."""
        plan = self.plan(*args, **kwargs)
        read = [spec for entry in plan.inputs for spec in _flat(entry)]
        written = plan.outputs[: plan.results]
        return Cost(plan.flops, sum(spec.nbytes for spec in (*read, *written)))

    def matrix(self, *args: Any, **kwargs: Any) -> Any:
        """The operator as a ``scipy.sparse`` CSR matrix ``M``: ``y.ravel() == M @ x.ravel()``.

        Takes the arguments of a call, with the shape of the first array in its place. Additive
        terms (a bias) are not part of the matrix. Float64, or the dtype of the other arrays.
        """
        face = self._module("reference")
        if not hasattr(face, "matrix"):
            raise ArgumentError(f"{self.__name__}: not a linear operator, it has no matrix")
        arguments = self._arguments(args, kwargs)
        with self._named_errors():
            views = {
                name: self._view(device.Host, name, arguments[name]) for name in self.inputs[1:]
            }
            dtype = next(
                (v.dtype for v in views.values() if v is not None and v.dtype.kind == "f"),
                np.dtype(np.float64),
            )
            first = self.inputs[0]
            specs = {name: _each(view, _spec_of) for name, view in views.items()}
            specs[first] = _each(
                _specs_of(first, arguments[first], dtype), lambda spec: spec._replace(dtype=dtype)
            )
            plan = self._planned({**arguments, **specs})
            self._check_values(device.Host, "reference", [specs[first], *views.values()], plan)
            return face.matrix(*views.values(), plan.geometry).astype(dtype).tocsr()

    # -- steps of a call ---------------------------------------------------------------------

    @contextlib.contextmanager
    def _named_errors(self, suffix: str = "") -> Iterator[None]:
        try:
            yield
        except ArgumentError as error:
            raise type(error)(f"{self.__name__}{suffix}: {error}") from None
        except DeviceError as error:
            raise DeviceError(f"{self.__name__}{suffix}: {error}") from None

    def _arguments(self, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments by name, defaults included."""
        by_place = dict(zip(self._by_place, args, strict=False))
        given = by_place | kwargs
        arguments = self._defaults | given
        once = len(given) == len(args) + len(kwargs)
        if not once or arguments.keys() != self.__signature__.parameters.keys():
            try:
                self.__signature__.bind(*args, **kwargs)  # slower, but it knows what to say
            except TypeError as error:
                raise ArgumentTypeError(f"{self.__name__}: {error}") from None
        return arguments

    def _planned(self, arguments: dict[str, Any]) -> Plan[Any]:
        plan = self._plan(**arguments)  # type: ignore[call-arg]
        for name, spec in zip(self.outputs, plan.outputs, strict=True):
            if math.prod(size or 1 for size in spec.shape) * spec.dtype.itemsize >= 2**63:
                raise ArgumentError(f"{name} would have shape {spec.shape}: no memory holds it")
        inputs = tuple(arguments[name] for name in self.inputs)
        object.__setattr__(plan, "inputs", inputs)  # it is new: nobody has seen it without
        return plan

    def _bind(self, args: Sequence[Any], kwargs: dict[str, Any]) -> _Call:
        arguments = self._arguments(args, kwargs)
        with self._named_errors():
            where = device.of([v for name in self.inputs for v in _flat(arguments[name])])
            views = [self._view(where, name, arguments[name]) for name in self.inputs]
            specs = [_each(view, _spec_of) for view in views]
            plan = self._planned({**arguments, **dict(zip(self.inputs, specs, strict=True))})
        return _Call(where, views, plan)

    def _view(self, where: device.Device, name: str, value: Any) -> Any:
        """The argument's array or tuple of arrays; None where that is the default."""
        argument = name.removeprefix("saved.")
        if value is None and self._defaults.get(argument, ...) is None:
            return None
        if argument in self._sequences and isinstance(value, (list, tuple)):
            return tuple(where.view(f"{name}[{i}]", part) for i, part in enumerate(value))
        return where.view(name, value)

    def _forward(self, call: _Call) -> tuple[Any, Any]:
        where, plan = call.device, call.plan
        with self._named_errors():
            arrays = [_each(view, where.normal) for view in call.arrays]
            face = self._face_for(where)
            self._check_values(where, face, arrays, plan)
            if face == "reference":
                outputs = self._by_definition("forward", where, arrays, plan.outputs, plan)
            else:
                outputs = tuple(where.empty(spec.shape, spec.dtype) for spec in plan.outputs)
                self._module(face).forward(*arrays, *outputs, plan.geometry)
        results = outputs[: plan.results]
        by_name = dict(zip(self.inputs, arrays, strict=True))
        by_name |= dict(zip(self.outputs, outputs, strict=True))
        saved = self._saved_type(*(by_name[name] for name in self.saves), plan)
        return (results[0] if plan.results == 1 else results), saved

    def _check_values(
        self, where: device.Device, face: str, arrays: list[Any], plan: Plan[Any]
    ) -> None:
        """Let the operator's ``check``, if there is one, see what it may (see :func:`operator`)."""
        check = getattr(_imported(self.__module__), "check", None)
        if check is None:
            return
        if own := getattr(self._module(face), "check", None):
            own(*arrays, plan.geometry)
            return

        def visible(name: str, array: Any) -> Any:
            seen = name in self.examines or array.dtype.kind in "iub"
            return where.to_host(array) if seen else array

        named = zip(self.inputs, arrays, strict=True)
        seen = (_each(array, functools.partial(visible, name)) for name, array in named)
        check(*seen, plan.geometry)

    def _backward(self, saved: Any, grad_y: Any, needs: Collection[str] | None) -> list[Any]:
        if type(saved).__name__ != self._saved_type.__name__:
            raise ArgumentTypeError(
                f"saved is {type(saved).__name__}, expected {self._saved_type.__name__} "
                f"from {self.__name__}.forward"
            )
        plan, kept = saved.plan, list(saved[:-1])
        for name in needs or ():
            checks.choice("needs", name, self.differentiable)
        where = device.of([grad_y, *(v for k in kept for v in _flat(k))])
        view = where.view("grad_y", grad_y)
        wanted = plan.outputs[0]
        checks.shape("grad_y", view, wanted.shape, f"the shape of {self.__name__}'s result")
        if view.dtype.newbyteorder("=") != wanted.dtype:
            raise ArgumentTypeError(f"grad_y has dtype {view.dtype}, expected {wanted.dtype}")
        given = dict(zip(self.inputs, plan.inputs, strict=True))
        kept = [self._view(where, f"saved.{n}", k) for n, k in zip(self.saves, kept, strict=True)]
        planned = given | dict(zip(self.outputs, plan.outputs, strict=True))
        for name, views in zip(self.saves, kept, strict=True):
            if (found := _each(views, _spec_of)) != planned[name]:
                raise ArgumentError(f"saved.{name} is {found}, forward saved {planned[name]}")
        specs = [
            given[name] if needs is None or name in needs else None for name in self.differentiable
        ]
        kept = [_each(array, where.normal) for array in kept]
        arrays = [*kept, where.normal(view)]
        face = self._face_for(where)
        if face == "reference":
            return list(self._by_definition("backward", where, arrays, specs, plan))
        grads = [_each(spec, lambda s: where.empty(s.shape, s.dtype)) for spec in specs]
        self._module(face).backward(*arrays, *grads, plan.geometry)
        return grads

    def _face_for(self, where: device.Device) -> str:
        return "reference" if "reference" in (self.face, _face.get()) else where.face

    def _module(self, face: str) -> ModuleType:
        try:
            return _imported(f"{self.__module__}.{face}")
        except ModuleNotFoundError as error:
            if error.name != f"{self.__module__}.{face}":
                raise
            raise DeviceError(
                f"has no {face} kernels: copy the arrays to the CPU (copy_to_host) first"
            ) from None

    @np.errstate(all="ignore")
    def _by_definition(
        self, call: str, where: device.Device, arrays: list[Any], specs: Any, plan: Plan[Any]
    ) -> tuple[Any, ...]:
        """Run the reference: float64 in, and its results rounded to the dtypes of ``specs``.

        Infinities and NaN come and go as in kernels, without NumPy's warnings.
        """
        exact = [_each(array, lambda a: _widen(where.to_host(a))) for array in arrays]
        results = getattr(self._module("reference"), call)(*exact, plan.geometry)
        results = results if isinstance(results, tuple) else (results,)

        def rounded(result: Any, spec: Any) -> Any:
            if isinstance(spec, tuple) and not isinstance(spec, Spec):
                return tuple(rounded(*pair) for pair in zip(result, spec, strict=True))
            if spec is None:
                return None
            array = np.ascontiguousarray(result, spec.dtype).reshape(spec.shape)
            return where.from_host(array)

        return tuple(rounded(*pair) for pair in zip(results, specs, strict=True))


_imported = functools.cache(importlib.import_module)
"""Faster the second time, and it still works while the interpreter shuts down."""


def _saved_type(name: str, saves: tuple[str, ...]) -> Any:
    """``max_pool2d`` that saves its switches: ``MaxPool2dSaved(switches, plan)``."""
    return namedtuple("".join(map(str.capitalize, name.split("_"))) + "Saved", [*saves, "plan"])


class _Annotation(str):
    """An annotation that a printed signature shows without quotes."""

    __repr__ = str.__str__


def _readable(signature: inspect.Signature) -> inspect.Signature:
    """The caller's signature: the plan's ``R`` in place of ``Plan[R]``."""
    result = str(signature.return_annotation).removeprefix("Plan[").removesuffix("]")
    return signature.replace(
        parameters=[
            p.replace(annotation=_Annotation(p.annotation)) for p in signature.parameters.values()
        ],
        return_annotation=_Annotation(result),
    )


def _restore(module: str, name: str, face: str | None) -> Any:
    """Unpickle: an operator is its name."""
    op = getattr(importlib.import_module(module), name)
    return op.reference if face else op


def _flat(entry: Any) -> list[Any]:
    """The arrays of one argument: several for a sequence, none for None."""
    if entry is None:
        return []
    if isinstance(entry, (list, tuple)) and not isinstance(entry, Spec):
        return list(entry)
    return [entry]


def _each(entry: Any, do: Callable[[Any], Any]) -> Any:
    """Apply to an array argument, to each array of a sequence, and not to None."""
    if entry is None:
        return None
    if isinstance(entry, (list, tuple)) and not isinstance(entry, Spec):
        return tuple(map(do, entry))
    return do(entry)


def _spec_of(view: Any) -> Spec:
    return Spec(tuple(view.shape), view.dtype.newbyteorder("="))


def _specs_of(name: str, value: Any, dtype: np.dtype[Any]) -> Any:
    """A Spec from a Spec, an array or a shape; a tuple of them from a sequence of those."""
    if value is None or isinstance(value, Spec):
        return value
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return _spec_of(value)
    if not isinstance(value, (list, tuple)):
        raise ArgumentTypeError(f"{name} must be a shape, got {value!r}")
    if any(isinstance(part, (list, tuple)) or hasattr(part, "shape") for part in value):
        return tuple(_specs_of(name, part, dtype) for part in value)
    return Spec(tuple(checks.integer(f"{name}'s shape", size, 0) for size in value), dtype)


def _widen(array: Array) -> Array:
    return array.astype(np.float64) if array.dtype.kind == "f" else array
