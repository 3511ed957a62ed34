"""Operator: the one contract that every operator keeps, and that everything else reads.

The way of a call: bind the arguments, view the arrays, let the operator's *plan* check them and
state the outputs, bring the arrays into the one form kernels know, allocate, and let one face
(``reference``, ``cpu`` or ``cuda``) fill the outputs. One direction; no step asks back.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import math
from collections import namedtuple
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextvars import ContextVar
from types import ModuleType
from typing import Any, Generic, NamedTuple, ParamSpec, TypeVar

import numpy as np

from numseg import checks, device
from numseg.errors import ArgumentError, ArgumentTypeError, DeviceError
from numseg.plan import Cost, Plan, Plans, Spec, each, flat, spec_of, specs_of, widened
from numseg.typing import Array

__all__ = ["Cost", "Operator", "Plan", "Spec", "operator", "use"]

P = ParamSpec("P")
R = TypeVar("R")


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
    then: Sequence[Operator[..., Any]] = (),
    spare: str = "",
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
    then : sequence of operators
        Those that ``cpu.forward`` applies to the result while it is in the cache, if it is given
        their other arrays in arguments of their names. In this order, each once or not at all.
    spare : str
        Outputs that ``cpu.forward`` leaves out where it is given an array without entries for them:
        in a plain call, which asks for no such result and has no ``backward``.
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
            then=tuple(then),
            spare=tuple(spare.split()),
        )

    return make


class _Call(NamedTuple):
    """A call whose arguments are bound and checked."""

    device: device.Device
    arrays: list[Any]  # entries of views
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
        then: tuple[Operator[..., Any], ...] = (),
        spare: tuple[str, ...] = (),
        face: str | None = None,
    ) -> None:
        functools.update_wrapper(self, plan)
        self.__name__: str = plan.__name__
        self._plan = plan
        self._plans = Plans()
        self.inputs = inputs
        self.outputs = outputs
        self.saves = saves
        self.differentiable = differentiable
        self.linear = linear
        self.integers = integers
        self.updates = updates
        self.examines = examines
        self.fixed = fixed
        self.then = then
        self.spare = spare
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

    def __dir__(self) -> list[str]:
        """What a user may use; the package's modules share a few names more."""
        shared = {"followed", "optional", "publish"}
        return [n for n in super().__dir__() if not n.startswith("_") and n not in shared]

    def __get__(self, instance: object, owner: type | None = None) -> Operator[P, R]:
        """Makes ``help(op)`` describe the operator as the function it is, not its class."""
        return self

    def __reduce__(self) -> Any:
        return _restore, (self.__module__, self.__name__, self.face)

    def optional(self, module: str, name: str) -> Callable[..., Any] | None:
        """A function of a module of the operator's folder, if both are there."""
        try:
            return getattr(_imported(f"{self.__module__}.{module}"), name, None)
        except ModuleNotFoundError as error:
            if error.name != f"{self.__module__}.{module}":
                raise
            return None

    def publish(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Make a function of the operator's folder reachable as ``op.<its name>``: a decorator."""
        setattr(self, function.__name__, function)
        return function

    # -- the calls ---------------------------------------------------------------------------

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._forward(self._bind(args, kwargs), plain=True)[0]

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
            where, kept, grad_y = self._reopened(saved, grad_y)
            grads = self._backward(where, kept, grad_y, saved.plan, needs)
        return self._by_array(grads, saved.plan)

    def followed(
        self, arguments: Mapping[str, Any], after: Sequence[tuple[Operator[..., Any], str, Any]]
    ) -> Any:
        """The value of ``self(**arguments)`` after some operators of :attr:`then`, in one pass.

        Parameters
        ----------
        arguments : mapping
            By name.
        after : sequence of (operator, name, mapping)
            Which of its arguments is the result so far, and the others by name.

        Returns
        -------
        array or None
            The bits of one operator after the other. None where one after the other is the way to
            compute them: on other devices, by the definition, and where one of them would raise.
        """
        try:
            call = self._bind((), arguments)
            if self._face_for(call.device) != "cpu":
                return None
            (spec,) = call.plan.outputs
            result, then = np.broadcast_to(np.zeros((), spec.dtype), spec.shape), {}
            for operator, name, others in after:
                step = operator._bind((), {**others, name: result})
                if step.plan.outputs != (spec,):
                    return None
                named = zip(operator.inputs, step.arrays, strict=True)
                arrays = (each(array, call.device.normal) for n, array in named if n != name)
                then[operator.__name__] = tuple(arrays)
        except (ArgumentError, DeviceError):
            return None
        return self._forward(call, then)[0]

    def jvp(self, *args: Any, tangents: Mapping[str, Any], **kwargs: Any) -> tuple[R, Any]:
        """The value, and its derivative along tangents: the Jacobian-vector product.

        Parameters
        ----------
        *args, **kwargs
            The arguments of a call.
        tangents : mapping
            From names of differentiable arguments to their tangents: same shape and dtype, a
            sequence of arrays for an argument that is one. The others do not move.

        Returns
        -------
        y : array or tuple
            The value of the call.
        tangent : array
            Of the (first) result: its shape and dtype. ``sum(grad_y * tangent)`` is the sum of
            ``gradient * its tangent`` over what ``backward`` returns, at kinks too.
        """
        call = self._bind(args, kwargs)
        with self._named_errors(".jvp"):
            along = self._along("tangents", tangents, call.plan, call.device)
        y, saved = self._forward(call)
        with self._named_errors(".jvp"):
            return y, self._jvp(saved, along)

    def double_backward(
        self, saved: Any, grad_y: Any, grad_grads: Mapping[str, Any]
    ) -> tuple[Any, ...]:
        """The vector-Jacobian product of ``backward``, for gradients of gradients.

        Parameters
        ----------
        saved : NamedTuple
            From ``forward``.
        grad_y : array
            What ``backward`` was called with.
        grad_grads : mapping
            From names of differentiable arguments to the gradient of a scalar with respect to
            what ``backward`` returned for them; nothing depends on those left out.

        Returns
        -------
        tuple
            The gradients of that scalar: first as ``backward`` returns them, then the one with
            respect to ``grad_y``.
        """
        with self._named_errors(".double_backward"):
            where, kept, grad_y = self._reopened(saved, grad_y)
            plan = saved.plan
            saved = self._saved_type(*kept, plan)
            along = self._along("grad_grads", grad_grads, plan, where)
            rule = self._derivative("double_backward")
            if rule is None:
                self._linear_input(plan, "double_backward")
            with self._as_defined(saved, grad_y, along) as (at, grad, moved):
                found = rule(at, grad, moved) if rule else {}
            specs = self._specs(plan, self.differentiable)
            grads = [_rounded(found.get(name, 0.0), spec) for name, spec in specs.items()]
            for name, index in self.fixed.items():
                grads[self.differentiable.index(name)][index] = 0
            return (*self._by_array(grads, plan), self._jvp(saved, along))

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
                arguments[name] = specs_of(name, arguments[name], np.dtype(dtype))
            return self._planned(arguments)

    def output_shape(self, *args: Any, **kwargs: Any) -> Any:
        """The shape of the result (a tuple of shapes for several results), given shapes."""
        plan = self.plan(*args, **kwargs)
        shapes = tuple(spec.shape for spec in plan.outputs[: plan.results])
        return shapes[0] if plan.results == 1 else shapes

    def cost(self, *args: Any, **kwargs: Any) -> Cost:
        """Floating-point operations and compulsory bytes of a call, given shapes."""
        return self.plan(*args, **kwargs).cost

    def matrix(self, *args: Any, **kwargs: Any) -> Any:
        """The operator as a ``scipy.sparse`` CSR matrix ``M``: ``y.ravel() == M @ x.ravel()``.

        Takes the arguments of a call, with the shape of the first array in its place. Additive
        terms (a bias) are not part of the matrix. Where the operator is linear only for a given
        value of another output (the switches of a max pooling), that is an argument too.
        Float64, or the dtype of the other arrays.
        """
        face = self._module("reference")
        if not hasattr(face, "matrix"):
            raise ArgumentError(f"{self.__name__}: not a linear operator, it has no matrix")
        with self._named_errors():
            entries, given, plan = self._without_first(args, kwargs)
            wanted = inspect.signature(face.matrix).parameters
            for name in self.outputs:
                needed = name in wanted and wanted[name].default is inspect.Parameter.empty
                if needed and name not in given:
                    raise ArgumentError(f"linear only for given {name}: pass it by name")
                if name in given and name not in wanted:
                    raise ArgumentTypeError(f"its matrix does not depend on {name}")
            matrix = face.matrix(*entries[1:], plan.geometry, **given)
            return matrix.astype(plan.outputs[0].dtype).tocsr()

    def linear_operator(self, *args: Any, **kwargs: Any) -> Any:
        """The operator as a ``scipy.sparse.linalg.LinearOperator``, which never builds the matrix.

        Takes the arguments of :meth:`matrix`. Its products are calls of the operator's kernels,
        its adjoint is ``backward``, so ``svds`` and ``lsqr`` work on large images.
        """
        from scipy.sparse.linalg import LinearOperator

        with self._named_errors():
            entries, given, plan = self._without_first(args, kwargs)
            first, spec = self.inputs[0], plan.inputs[0]
            nothing = each(spec, lambda s: np.zeros(s.shape, s.dtype))
            known = {**dict(zip(self.inputs, entries, strict=True)), first: nothing, **given}
            outputs = zip(self.outputs, plan.outputs, strict=True)
            unused = {name: np.empty(*spec) for name, spec in outputs if spec.size == 0}
            known = {**unused, **known}
            if missing := [name for name in self.saves if name not in known]:
                raise ArgumentError(f"linear only for given {missing[0]}: pass it by name")
            if not given and not (first in self.linear and plan.linear):
                raise ArgumentError(f"not linear in {first}: it has no linear operator")
        saved = self._saved_type(*(known[name] for name in self.saves), plan)
        still = dict.fromkeys(self.differentiable)
        sizes = [part.size for part in flat(spec)]

        def product(vector: Array) -> Array:
            parts = np.split(vector.astype(plan.outputs[0].dtype).ravel(), np.cumsum(sizes)[:-1])
            shaped = [p.reshape(s.shape) for p, s in zip(parts, flat(spec), strict=True)]
            tangent = tuple(shaped) if first in self._sequences else shaped[0]
            return self._jvp(saved, still | {first: tangent}).ravel()

        def adjoint(vector: Array) -> Array:
            grad_y = vector.astype(plan.outputs[0].dtype).reshape(plan.outputs[0].shape)
            grads = self.backward(saved, grad_y, needs=[first])
            return np.concatenate([grads[i].ravel() for i in range(len(sizes))])

        shape = (plan.outputs[0].size, sum(sizes))
        return LinearOperator(shape, product, adjoint, dtype=plan.outputs[0].dtype)

    # -- steps of a call ---------------------------------------------------------------------

    @contextlib.contextmanager
    def _named_errors(self, suffix: str = "") -> Iterator[None]:
        try:
            yield
        except ArgumentError as error:
            raise type(error)(f"{self.__name__}{suffix}: {error}") from None
        except DeviceError as error:
            raise DeviceError(f"{self.__name__}{suffix}: {error}") from None

    def _arguments(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments by name, defaults included."""
        by_place = dict(zip(self._by_place, args, strict=False))
        given = {**by_place, **kwargs}
        arguments = self._defaults | given
        once = len(given) == len(args) + len(kwargs)
        if not once or arguments.keys() != self.__signature__.parameters.keys():
            try:
                self.__signature__.bind(*args, **kwargs)  # slower, but it knows what to say
            except TypeError as error:
                raise ArgumentTypeError(f"{self.__name__}: {error}") from None
        return arguments

    def _planned(self, arguments: dict[str, Any]) -> Plan[Any]:
        return self._plans.get(arguments, functools.partial(self._new_plan, arguments))

    def _new_plan(self, arguments: dict[str, Any]) -> Plan[Any]:
        plan = self._plan(**arguments)  # type: ignore[call-arg]
        for name, spec in zip(self.outputs, plan.outputs, strict=True):
            if math.prod(size or 1 for size in spec.shape) * spec.dtype.itemsize >= 2**63:
                raise ArgumentError(f"{name} would have shape {spec.shape}: no memory holds it")
        parameters = arguments.copy()
        inputs = tuple(parameters.pop(name) for name in self.inputs)
        object.__setattr__(plan, "inputs", inputs)  # it is new: nobody has seen it without
        object.__setattr__(plan, "parameters", parameters)
        return plan

    def _specs(self, plan: Plan[Any], names: Sequence[str]) -> dict[str, Any]:
        """Of array arguments, what the call was planned with."""
        given = dict(zip(self.inputs, plan.inputs, strict=True))
        return {name: given[name] for name in names}

    def _without_first(
        self, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> tuple[list[Any], dict[str, Array], Plan[Any]]:
        """A call with a shape for the first array: its entries, the outputs given, its plan."""
        names = [n for n in self.outputs if n in kwargs and n not in self.__signature__.parameters]
        arguments = self._arguments(args, {n: v for n, v in kwargs.items() if n not in names})
        first, *rest = self.inputs
        views = {name: self._view(device.Host, name, arguments[name]) for name in rest}
        floats = [a.dtype for v in views.values() for a in flat(v) if a.dtype.kind == "f"]
        dtype = floats[0] if floats else np.dtype(np.float64)
        specs = {name: each(view, spec_of) for name, view in views.items()}
        shape = specs_of(first, arguments[first], dtype)
        specs[first] = each(shape, lambda spec: spec._replace(dtype=dtype))
        plan = self._planned({**arguments, **specs})
        views = {name: each(view, device.Host.normal) for name, view in views.items()}
        entries = [specs[first], *views.values()]
        self._check_values(device.Host, "reference", entries, plan)
        given = {}
        for name in names:
            view = device.Host.view(name, kwargs[name])
            spec = plan.outputs[self.outputs.index(name)]
            checks.shape(name, view, spec.shape, f"{self.__name__}'s {name}")
            if view.dtype.kind != spec.dtype.kind:
                raise ArgumentTypeError(f"{name} has dtype {view.dtype}, expected {spec.dtype}")
            given[name] = np.ascontiguousarray(view, spec.dtype)
        return entries, given, plan

    def _bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> _Call:
        arguments = self._arguments(args, kwargs)
        with self._named_errors():
            where = device.of([v for name in self.inputs for v in flat(arguments[name])])
            views = [self._view(where, name, arguments[name]) for name in self.inputs]
            specs = [each(view, spec_of) for view in views]
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

    def _forward(
        self, call: _Call, then: Mapping[str, Any] | None = None, plain: bool = False
    ) -> tuple[Any, Any]:
        where, plan = call.device, call.plan
        with self._named_errors():
            arrays = [each(view, where.normal) for view in call.arrays]
            face = self._face_for(where)
            self._check_values(where, face, arrays, plan)
            if face == "reference":
                outputs = self._by_definition("forward", where, arrays, plan.outputs, plan)
            else:
                left_out = self.spare if plain and face == "cpu" else ()
                outputs = self._allocated(where, plan, left_out)
                self._module(face).forward(*arrays, *outputs, plan.geometry, **(then or {}))
        results = outputs[: plan.results]
        by_name = dict(zip(self.inputs, arrays, strict=True))
        by_name |= dict(zip(self.outputs, outputs, strict=True))
        saved = self._saved_type(*(by_name[name] for name in self.saves), plan)
        return (results[0] if plan.results == 1 else results), saved

    def _allocated(
        self, where: device.Device, plan: Plan[Any], left_out: Collection[str]
    ) -> tuple[Any, ...]:
        """The outputs, without entries where they are left out and are no results."""
        shapes = [spec.shape for spec in plan.outputs]
        for name in left_out:
            if (number := self.outputs.index(name)) >= plan.results:
                shapes[number] = (0,)
        specs = zip(shapes, plan.outputs, strict=True)
        return tuple(where.empty(shape, spec.dtype) for shape, spec in specs)

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
        seen = (each(array, functools.partial(visible, name)) for name, array in named)
        check(*seen, plan.geometry)

    def _reopened(self, saved: Any, grad_y: Any) -> tuple[device.Device, list[Any], Any]:
        """What ``forward`` saved and ``grad_y``, checked against the plan."""
        if type(saved).__name__ != self._saved_type.__name__:
            raise ArgumentTypeError(
                f"saved is {type(saved).__name__}, expected {self._saved_type.__name__} "
                f"from {self.__name__}.forward"
            )
        plan, kept = saved.plan, list(saved[:-1])
        where = device.of([grad_y, *(v for k in kept for v in flat(k))])
        view = where.view("grad_y", grad_y)
        wanted = plan.outputs[0]
        checks.shape("grad_y", view, wanted.shape, f"the shape of {self.__name__}'s result")
        if view.dtype.newbyteorder("=") != wanted.dtype:
            raise ArgumentTypeError(f"grad_y has dtype {view.dtype}, expected {wanted.dtype}")
        kept = [self._view(where, f"saved.{n}", k) for n, k in zip(self.saves, kept, strict=True)]
        planned = self._specs(plan, self.inputs)
        planned |= dict(zip(self.outputs, plan.outputs, strict=True))
        for name, views in zip(self.saves, kept, strict=True):
            if (found := each(views, spec_of)) != planned[name]:
                raise ArgumentError(f"saved.{name} is {found}, forward saved {planned[name]}")
        return where, [each(array, where.normal) for array in kept], where.normal(view)

    def _backward(
        self,
        where: device.Device,
        kept: list[Any],
        grad_y: Any,
        plan: Plan[Any],
        needs: Collection[str] | None,
    ) -> list[Any]:
        """The gradients, one entry per differentiable argument; None for one not wanted."""
        for name in needs or ():
            checks.choice("needs", name, self.differentiable)
        specs = [
            spec if needs is None or name in needs else None
            for name, spec in self._specs(plan, self.differentiable).items()
        ]
        face = self._face_for(where)
        if face == "reference":
            return list(self._by_definition("backward", where, [*kept, grad_y], specs, plan))
        grads = [each(spec, lambda s: where.empty(s.shape, s.dtype)) for spec in specs]
        self._module(face).backward(*kept, grad_y, *grads, plan.geometry)
        return grads

    def _by_array(self, grads: list[Any], plan: Plan[Any]) -> tuple[Any, ...]:
        """One gradient per array, from one per argument."""
        arrays: list[Any] = []
        specs = self._specs(plan, self.differentiable)
        for (name, spec), grad in zip(specs.items(), grads, strict=True):
            parts = len(spec) if name in self._sequences else 1
            arrays += grad if isinstance(grad, tuple) else [grad] * parts
        return tuple(arrays)

    # -- derivatives -------------------------------------------------------------------------

    def _derivative(self, name: str) -> Callable[..., Any] | None:
        """A function of the operator's module ``derivatives``, if it is there."""
        return self.optional("derivatives", name)

    def _linear_input(self, plan: Plan[Any], wanted: str) -> str:
        """The one differentiable input of a call that is linear in it."""
        if len(self.differentiable) != 1 or self.differentiable != self.linear or not plan.linear:
            raise ArgumentError(f"{self.__name__} has no {wanted}")
        return self.linear[0]

    def _along(
        self, name: str, tangents: Mapping[str, Any], plan: Plan[Any], where: device.Device
    ) -> dict[str, Any]:
        """Tangents of all differentiable inputs; None for those that do not move."""
        if where is not device.Host:
            raise DeviceError("runs on the CPU: copy the arrays (copy_to_host) first")
        if not isinstance(tangents, Mapping):
            raise ArgumentTypeError(f"{name} must map names to arrays, got {tangents!r}")
        specs = self._specs(plan, self.differentiable)
        along: dict[str, Any] = dict.fromkeys(specs)
        for argument, tangent in tangents.items():
            checks.choice(name, argument, self.differentiable)
            if argument in self._sequences and isinstance(tangent, (list, tuple)):
                tangent = tuple(
                    np.zeros(*spec) if part is None else part
                    for part, spec in zip(tangent, specs[argument], strict=False)
                ) + tuple(tangent[len(specs[argument]) :])
            if tangent is None:
                continue
            view = self._view(where, argument, tangent)
            if (found := each(view, spec_of)) != specs[argument]:
                raise ArgumentError(
                    f"{name}[{argument!r}] is {found}, the argument {specs[argument]}"
                )
            along[argument] = each(view, where.normal)
        for argument, index in self.fixed.items():
            if along[argument] is not None:
                along[argument] = along[argument].copy()
                along[argument][index] = 0
        return along

    @contextlib.contextmanager
    def _as_defined(self, *values: Any) -> Iterator[Any]:
        """Rules of derivatives are made of operators: by their definitions, in float64, where
        this operator is to be."""

        def wide(value: Any) -> Any:
            if isinstance(value, dict):
                return {name: each(entry, _widen) for name, entry in value.items()}
            if isinstance(value, self._saved_type):
                return self._saved_type(*(each(k, _widen) for k in value[:-1]), widened(value.plan))
            return each(value, _widen)

        with np.errstate(all="ignore"):
            if self._face_for(device.Host) == "reference":
                with use("reference"):
                    yield tuple(map(wide, values))
            else:
                yield values

    def _jvp(self, saved: Any, along: dict[str, Any]) -> Any:
        """The derivative of the first result."""
        plan = saved.plan
        if all(tangent is None for tangent in along.values()):
            return np.zeros(*plan.outputs[0])
        rule = self._derivative("jvp") or self._linear_jvp
        with self._as_defined(saved, along) as (at, moved):
            tangent = rule(at, moved)  # that of a bias has but the channels
            return _rounded(np.broadcast_to(tangent, plan.outputs[0].shape), plan.outputs[0])

    def _linear_jvp(self, saved: Any, along: dict[str, Any]) -> Any:
        """Linear in its one input: its derivative is itself."""
        self._linear_input(saved.plan, "jvp")
        others = {n: getattr(saved, n) for n in self.inputs if n in self.saves and n not in along}
        arguments = {**along, **others, **saved.plan.parameters}
        y: Any = self(**arguments)  # type: ignore[call-arg]
        return y[0] if isinstance(y, tuple) else y

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
        exact = [each(array, lambda a: _widen(where.to_host(a))) for array in arrays]
        results = getattr(self._module("reference"), call)(*exact, plan.geometry)
        results = results if isinstance(results, tuple) else (results,)

        return tuple(
            each(_rounded(result, spec), where.from_host)
            for result, spec in zip(results, specs, strict=True)
        )


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


def _widen(array: Array) -> Array:
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def _rounded(result: Any, spec: Any) -> Any:
    """The result as fresh arrays of the dtypes of ``spec``; zeros where it is 0."""
    if spec is None:
        return None
    if not isinstance(spec, Spec):
        results = result if isinstance(result, (list, tuple)) else [result] * len(spec)
        return tuple(_rounded(*pair) for pair in zip(results, spec, strict=True))
    if np.ndim(result) == 0:
        return np.full(spec.shape, result, spec.dtype)
    return np.array(result, spec.dtype, order="C").reshape(spec.shape)
