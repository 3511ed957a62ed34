"""Operator: the one contract that every operator keeps, and that everything else reads.

The way of a call: bind the arguments, bring the arrays into the one form that kernels know, let the
operator's *plan* check them and state the outputs, allocate, and let one face (:mod:`numseg.faces`)
fill the outputs. One direction; no step asks back.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib
import inspect
import math
import pickle
import sys
from collections import namedtuple
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, Generic, ParamSpec, TypeVar

import numpy as np

from numseg import checks, derivatives, device, faces, matrices
from numseg.binding import Parameters
from numseg.errors import ArgumentError, ArgumentTypeError, DeviceError
from numseg.faces import Call, use
from numseg.forks import cached_property
from numseg.plan import Cost, Plan, Plans, Saved, Spec, Step, each, flat, spec_of, specs_of

__all__ = ["Cost", "Facts", "Operator", "Plan", "Spec", "operator", "use"]

P = ParamSpec("P")
R = TypeVar("R")


@dataclasses.dataclass(frozen=True)
class Facts:
    """What is known of an operator besides its plan. :func:`operator` says what each is."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    saves: tuple[str, ...]
    differentiable: tuple[str, ...]
    linear: tuple[str, ...]
    integers: tuple[str, ...]
    updates: Mapping[str, str]
    examines: tuple[str, ...]
    fixed: Mapping[str, Any]
    epilogue: tuple[tuple[Operator[..., Any], ...], ...]
    skippable: tuple[str, ...]
    finite: tuple[str, ...] = ()
    like: Operator[..., Any] | None = None
    family: ModuleType | None = None
    view: bool = False
    face: str | None = None
    """``reference``, or whichever fits the call."""


def operator(
    inputs: str,
    *,
    outputs: str = "y",
    saves: str = "",
    differentiable: str | None = None,
    linear: str = "",
    integers: str = "",
    updates: Mapping[str, str] | None = None,
    examines: str = "",
    fixed: Mapping[str, Any] | None = None,
    epilogue: Sequence[Operator[..., Any] | Sequence[Operator[..., Any]]] = (),
    skippable: str = "",
    finite: str = "",
    like: Operator[..., Any] | None = None,
    family: ModuleType | None = None,
    view: bool = False,
) -> Callable[[Callable[P, Plan[R]]], Operator[P, R]]:
    """Make an operator of a function that checks the arguments and returns the :class:`Plan`.

    The function gives the operator its name, signature, docstring and folder: its faces are modules
    beside it (:mod:`numseg.faces`). It sees shapes and dtypes, never values.

    Values are the business of a function ``check(*inputs, geometry)`` in the same folder, where
    there is one (are indices within the plane, labels below the number of classes?). It runs
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
        The inputs that have a gradient; all by default. Gradients flow from the first output. None,
        "", where that holds integers: such an operator refuses to go backward.
    linear : str
        The inputs in which the result is linear, each taken alone, unless the plan of a call
        takes it back (``Plan.linear``).
    integers : str
        The inputs that hold integers: where only a shape is given, they are taken as int64.
    updates : mapping
        Inputs that are state, and the output that replaces each after a training step.
    examines : str
        Inputs of floats whose values ``check`` sees (boxes, which are few).
    fixed : mapping
        Where a differentiable input holds what no derivative is taken of (the number of an image
        among the coordinates of a box): an index into it. The gradient there is 0.
    epilogue : sequence of operators, or of sequences of them
        Those that ``cpu.forward`` applies to the result while it is in the cache, if it is given
        their :class:`Step` in arguments of their names and ``cpu.takes`` says that it can. In this
        order, each once or not at all; of a sequence, one.
    skippable : str
        Outputs that ``cpu.forward`` leaves out where it is given an array without entries for them:
        in a plain call, which asks for no such result and has no ``backward``.
    finite : str
        Arrays, ``grad_y`` among them, that kernels on the CPU count on being finite. If one is not,
        the definition is computed instead.
    like : operator, optional
        The one that this is, by another signature: same geometry, same arrays in and out. Its faces
        are this one's, but for those in this one's folder.
    family : module, optional
        What makes the faces and derivatives of formulas that the folder states
        (:mod:`numseg.pointwise`, :mod:`numseg.broadcasting`).
    view : bool
        The result is the memory of x, and its gradient that of ``grad_y``: read-only, as whoever
        writes to the one would change the other.
    """

    def make(plan: Callable[P, Plan[R]]) -> Operator[P, R]:
        names = inputs.split()
        return Operator(
            plan,
            Facts(
                inputs=tuple(names),
                outputs=tuple(outputs.split()),
                saves=tuple(saves.split()),
                differentiable=tuple(names if differentiable is None else differentiable.split()),
                linear=tuple(linear.split()),
                integers=tuple(integers.split()),
                updates=updates or {},
                examines=tuple(examines.split()),
                fixed=fixed or {},
                epilogue=tuple((e,) if isinstance(e, Operator) else tuple(e) for e in epilogue),
                skippable=tuple(skippable.split()),
                finite=tuple(finite.split()),
                like=like,
                family=family,
                view=view,
            ),
        )

    return make


class Operator(Generic[P, R]):
    """A segmentation operator: value, gradient, definition, shape rule, matrix and cost.

    ``op(...)`` is the value; ``op.forward(...)`` the value and what ``op.backward`` needs;
    ``op.reference`` the same operator, computed by its definition in plain NumPy.
    """

    def __init__(self, plan: Callable[P, Plan[R]], facts: Facts) -> None:
        functools.update_wrapper(self, plan)
        self.__name__: str = plan.__name__
        self.__signature__ = _readable(inspect.signature(plan))
        self.facts = facts
        self.parameters = Parameters(self.__name__, self.__signature__, facts.inputs)
        self.saved_type = _saved_type(self)
        self.make_plan = plan
        others = facts.like.folders if facts.like else ()
        self.folders: tuple[str, ...] = (plan.__module__, *others)
        self._folder = plan.__globals__  # modules are gone while the interpreter shuts down
        self._plans = Plans(len(self.parameters.names), self.parameters.arrays)

    def __repr__(self) -> str:
        face = f".{self.facts.face}" if self.facts.face else ""
        return f"<numseg operator {self.__name__}{face}{self.__signature__}>"

    def __get__(self, instance: object, owner: type | None = None) -> Operator[P, R]:
        """Makes ``help(op)`` describe the operator as the function it is, not its class."""
        return self

    def __reduce__(self) -> Any:
        named = getattr(sys.modules.get(self.__module__), self.__name__, None)
        if self is not named and self is not getattr(named, "reference", None):
            raise pickle.PicklingError(f"{self!r} is not {self.__module__}.{self.__name__}")
        return _restore, (self.__module__, self.__name__, self.facts.face)

    def __deepcopy__(self, memo: object) -> Operator[P, R]:
        """It never changes, so it is its own copy, also where no name leads to it."""
        return self

    def __dir__(self) -> list[str]:
        return PUBLIC

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the array arguments."""
        return self.facts.inputs

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs in a plan: the results first, then what only ``backward`` needs."""
        return self.facts.outputs

    @property
    def saves(self) -> tuple[str, ...]:
        """Names of the inputs and outputs that ``backward`` needs."""
        return self.facts.saves

    @property
    def differentiable(self) -> tuple[str, ...]:
        """Names of the array arguments that have a gradient."""
        return self.facts.differentiable

    @property
    def linear(self) -> tuple[str, ...]:
        """Names of the array arguments in which the result is linear, each taken alone."""
        return self.facts.linear

    @property
    def fixed(self) -> Mapping[str, Any]:
        """The parts of differentiable arguments that no derivative is taken of."""
        return self.facts.fixed

    @cached_property
    def reference(self) -> Operator[P, R]:
        """The definition: the same calls, computed in float64 by plain NumPy."""
        return Operator(
            self.make_plan, dataclasses.replace(self.facts, face="reference", epilogue=())
        )

    # -- the calls ---------------------------------------------------------------------------

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        call = self.bind(args, kwargs)
        return call.plan.given(self._outputs(call, plain=True))

    def forward(self, /, *args: P.args, **kwargs: P.kwargs) -> tuple[R, Saved]:
        """The value, and a NamedTuple of what ``backward`` needs."""
        return self.recorded(self.bind(args, kwargs))

    def backward(
        self, saved: Saved, grad_y: Any, *, needs: Collection[str] | None = None
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
        with self.named_errors(".backward"):
            self._demand_gradients("backward")
            where, kept, grad_y = self.reopened(saved, grad_y)
            for name in needs or ():
                checks.choice("needs", name, self.differentiable)
            grads = faces.backward(self, where, kept, grad_y, saved.plan, needs)
            if where is not device.Host:
                grads = list(map(where.given, grads))
        return self.by_array(grads, saved.plan)

    def jvp(self, /, *args: Any, tangents: Mapping[str, Any], **kwargs: Any) -> tuple[R, Any]:
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
        call = self.bind(args, kwargs)
        with self.named_errors(".jvp"):
            self._demand_gradients("jvp")
            along = derivatives.along(self, "tangents", tangents, call.plan, call.device)
        y, saved = self.recorded(call)
        with self.named_errors(".jvp"):
            return y, derivatives.jvp(self, saved, along, call.device)

    def double_backward(
        self, saved: Saved, grad_y: Any, grad_grads: Mapping[str, Any]
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
        with self.named_errors(".double_backward"):
            self._demand_gradients("double_backward")
            return derivatives.double_backward(self, saved, grad_y, grad_grads)

    # -- what is known without values --------------------------------------------------------

    def plan(self, /, *args: Any, **kwargs: Any) -> Plan[R]:
        """Check a call given arrays, :class:`Spec` or shapes for the arrays.

        A shape is taken as float32, or as int64 where the operator wants integers.
        """
        values = self.parameters.values(args, kwargs)
        with self.named_errors():
            for name, place in zip(self.inputs, self.parameters.arrays, strict=True):
                if values[place] is None and self.parameters.defaults.get(name, ...) is not None:
                    raise ArgumentTypeError(f"{name} must be a shape, got None")
                dtype = np.dtype(np.int64 if name in self.facts.integers else np.float32)
                several = name in self.parameters.sequences
                values[place] = specs_of(name, device.seen(name, values[place]), dtype, several)
            return self.planned(values).copy()

    def output_shape(self, /, *args: Any, **kwargs: Any) -> Any:
        """The shape of the result (a tuple of shapes for several results), given shapes."""
        plan = self.plan(*args, **kwargs)
        return plan.given(tuple(spec.shape for spec in plan.outputs))

    def cost(self, /, *args: Any, **kwargs: Any) -> Cost:
        """Floating-point operations and compulsory bytes of a call, given shapes."""
        return self.plan(*args, **kwargs).cost

    def matrix(self, /, *args: Any, **kwargs: Any) -> Any:
        """The operator as a ``scipy.sparse`` CSR matrix ``M``: ``y.ravel() == M @ x.ravel()``.

        Takes the arguments of a call, with the shape of the first array in its place. Additive
        terms (a bias) are not part of the matrix. Where the operator is linear only for a given
        value of another output (the indices of a max pooling), that is an argument too.
        Float64, or the dtype of the other arrays.
        """
        return matrices.matrix(self, args, kwargs)

    def linear_operator(self, /, *args: Any, **kwargs: Any) -> Any:
        """The operator as a ``scipy.sparse.linalg.LinearOperator``, which never builds the matrix.

        Takes the arguments of :meth:`matrix`. Its products are calls of the operator's kernels,
        its adjoint is ``backward``, so ``svds`` and ``lsqr`` work on large images.
        """
        return matrices.linear_operator(self, args, kwargs)

    # -- steps of a call, for the modules that are made of them --------------------------------

    @property
    def check(self) -> Callable[..., None] | None:
        """The check of values in the operator's folder, if there is one."""
        return self._folder.get("check")

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call:
        """The arrays of a call and its plan, checked."""
        values = self.parameters.values(args, kwargs)
        plan = self._plans.get(self._plans.key(values))
        if plan is not None:
            try:
                entries = [device.ready(values[place]) for place in self.parameters.arrays]
                return Call(device.Host, entries, plan)
            except TypeError:  # Specs of the same shapes were planned before
                pass
        return self._bound(values)

    def _bound(self, values: list[Any]) -> Call:
        with self.named_errors():
            named = list(zip(self.inputs, self.parameters.arrays, strict=True))
            where = device.of([v for _, place in named for v in flat(values[place])])
            views = [self.view(where, name, values[place]) for name, place in named]
            for (_, place), view in zip(named, views, strict=True):
                values[place] = each(view, spec_of)
            plan = self.planned(values)
            return Call(where, [each(view, where.normal) for view in views], plan)

    def planned(self, values: Sequence[Any]) -> Plan[Any]:
        """The plan of a call with these arguments, Specs in the place of arrays."""
        key = self._plans.key(values)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._new_plan(dict(zip(self.parameters.names, values, strict=True)))
            if key is not None:
                self._plans.add(key, plan)
        return plan

    def _new_plan(self, arguments: dict[str, Any]) -> Plan[Any]:
        plan = self.make_plan(**arguments)  # type: ignore[call-arg]
        for name, spec in zip(self.outputs, plan.outputs, strict=True):
            if math.prod(size or 1 for size in spec.shape) * spec.dtype.itemsize >= 2**63:
                raise ArgumentError(f"{name} would have shape {spec.shape}: no memory holds it")
        parameters = arguments.copy()
        inputs = tuple(parameters.pop(name) for name in self.inputs)
        return dataclasses.replace(plan, inputs=inputs, parameters=parameters)

    def view(self, where: device.Device, name: str, value: Any) -> Any:
        """The argument's array or tuple of arrays; None where that is the default."""
        argument = name.removeprefix("saved.")
        if value is None and self.parameters.defaults.get(argument, ...) is None:
            return None
        if argument in self.parameters.sequences and isinstance(value, (list, tuple)):
            return tuple(where.view(f"{name}[{i}]", part) for i, part in enumerate(value))
        return where.view(name, value)

    def _outputs(self, call: Call, **how: Any) -> tuple[Any, ...]:
        try:
            outputs = faces.forward(self, call, **how)
        except (ArgumentError, DeviceError) as error:
            raise self._named(error) from None
        return outputs if call.device is device.Host else tuple(map(call.device.given, outputs))

    def recorded(self, call: Call) -> tuple[Any, Saved]:
        """The value of a call, and what ``backward`` needs."""
        outputs = self._outputs(call)
        by_name = dict(zip(self.inputs, call.arrays, strict=True))
        by_name |= dict(zip(self.outputs, outputs, strict=True))
        saved = self.saved_type(*[by_name[name] for name in self.saves], call.plan.copy())
        return call.plan.given(outputs), saved

    def fused(
        self,
        arguments: Mapping[str, Any],
        after: Sequence[tuple[Operator[..., Any], str, Any]],
    ) -> Any:
        """The value of ``self(**arguments)`` after some operators of the epilogue, in one pass.

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
            compute them: by the definition, and where one of them would raise.
        """
        try:
            call = self.bind((), arguments)
            _, kernels = faces.running(self, call.device)
            if not hasattr(kernels, "takes"):
                return None
            (spec,) = call.plan.outputs
            result, epilogue = call.device.empty(*spec), {}
            for operator, name, others in after:
                step = operator.bind((), {**others, name: result})
                if step.plan.results != 1 or step.plan.outputs[0] != spec:
                    return None
                named = zip(operator.inputs, step.arrays, strict=True)
                rest = tuple(array for n, array in named if n != name)
                epilogue[operator.__name__] = Step(rest, step.plan.geometry)
            if not kernels.takes(spec, epilogue):
                return None
        except (ArgumentError, DeviceError):
            return None
        return call.plan.given(self._outputs(call, epilogue=epilogue, into=result))

    def reopened(self, saved: Saved, grad_y: Any) -> tuple[device.Device, list[Any], Any]:
        """What ``forward`` saved and ``grad_y``, checked against the plan."""
        if type(saved).__name__ != self.saved_type.__name__:
            raise ArgumentTypeError(
                f"saved is {type(saved).__name__}, expected {self.saved_type.__name__} "
                f"from {self.__name__}.forward"
            )
        plan, kept = saved.plan, list(saved[:-1])
        where = device.of([grad_y, *(v for k in kept for v in flat(k))])
        view = where.view("grad_y", grad_y)
        wanted = plan.outputs[0]
        checks.shape("grad_y", view, wanted.shape, f"the shape of {self.__name__}'s result")
        if view.dtype.newbyteorder("=") != wanted.dtype:
            raise ArgumentTypeError(f"grad_y has dtype {view.dtype}, expected {wanted.dtype}")
        kept = [self.view(where, f"saved.{n}", k) for n, k in zip(self.saves, kept, strict=True)]
        planned = plan.specs(self.inputs, self.inputs)
        planned |= dict(zip(self.outputs, plan.outputs, strict=True))
        for name, views in zip(self.saves, kept, strict=True):
            if (found := each(views, spec_of)) != planned[name]:
                raise ArgumentError(f"saved.{name} is {found}, forward saved {planned[name]}")
        return where, [each(array, where.normal) for array in kept], where.normal(view)

    def _demand_gradients(self, wanted: str) -> None:
        if not self.differentiable:
            raise ArgumentError(f"{self.__name__} has no {wanted}")

    def by_array(self, grads: list[Any], plan: Plan[Any]) -> tuple[Any, ...]:
        """One gradient per array, from one per argument."""
        arrays: list[Any] = []
        specs = plan.specs(self.inputs, self.differentiable)
        for (name, spec), grad in zip(specs.items(), grads, strict=True):
            parts = len(spec) if name in self.parameters.sequences else 1
            arrays += grad if isinstance(grad, tuple) else [grad] * parts
        return tuple(arrays)

    @contextlib.contextmanager
    def named_errors(self, suffix: str = "") -> Iterator[None]:
        """Put the operator's name in front of what an error says."""
        try:
            yield
        except (ArgumentError, DeviceError) as error:
            raise self._named(error, suffix) from None

    def _named(self, error: Exception, suffix: str = "") -> Exception:
        return type(error)(f"{self.__name__}{suffix}: {error}")


PUBLIC = [
    *("backward", "cost", "differentiable", "double_backward", "forward", "inputs", "jvp"),
    *("linear", "linear_operator", "matrix", "output_shape", "outputs", "plan", "reference"),
    "saves",
]
"""What a user may use of an operator."""


def _saved_type(op: Operator[..., Any]) -> Any:
    """``max_pool2d`` that saves its indices: ``MaxPool2dSaved(indices, plan)``."""
    name = "".join(map(str.capitalize, op.__name__.split("_"))) + "Saved"
    make: Any = namedtuple  # whose types know literal names alone
    made = make(name, [*op.saves, "plan"], module=op.__module__)
    made.__reduce__ = lambda saved: (_restore_saved, (op, *saved))
    return made


def _restore_saved(op: Operator[..., Any], *values: Any) -> Any:
    """Unpickle: its type is the operator's."""
    return op.saved_type(*values)


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
