"""Forward mode and second derivatives, by the rules in an operator's module ``derivatives``.

Rules are made of operators, of signs, and of some of NumPy's functions, which numbers on the GPU
know as well (:mod:`numseg.ops.numbers`): ``jvp(saved, along)`` is the tangent of the first result,
and ``double_backward(saved, grad_y, along)`` the gradients of ``<grad_y, jvp>`` by name. An
operator without a rule for ``jvp`` is linear in its one input, or one of a family, which has rules
for all.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from numseg import checks, faces
from numseg.device import Device, Host
from numseg.errors import ArgumentError, ArgumentTypeError, shown
from numseg.plan import Plan, Saved, each, spec_of, widened

if TYPE_CHECKING:
    from numseg.operator import Operator


def along(
    op: Operator[..., Any], name: str, tangents: Mapping[str, Any], plan: Plan[Any], where: Device
) -> dict[str, Any]:
    """Tangents of all differentiable inputs; None for those that do not move."""
    if not isinstance(tangents, Mapping):
        raise ArgumentTypeError(f"{name} must map names to arrays, got {shown(tangents)}")
    specs = plan.specs(op.inputs, op.differentiable)
    found: dict[str, Any] = dict.fromkeys(specs)
    for argument, tangent in tangents.items():
        checks.choice(name, argument, op.differentiable)
        if argument in op.parameters.sequences and isinstance(tangent, (list, tuple)):
            tangent = tuple(
                where.from_host(np.zeros(*spec)) if part is None else part
                for part, spec in zip(tangent, specs[argument], strict=False)
            ) + tuple(tangent[len(specs[argument]) :])
        if tangent is None:
            continue
        view = op.view(where, argument, tangent)
        if (seen := each(view, spec_of)) != specs[argument]:
            raise ArgumentError(f"{name}[{argument!r}] is {seen}, the argument {specs[argument]}")
        found[argument] = each(view, where.normal)
    return found


def jvp(op: Operator[..., Any], saved: Saved, along: dict[str, Any], where: Device = Host) -> Any:
    """The derivative of the first result along tangents of all differentiable inputs."""
    spec = saved.plan.outputs[0]
    rule = _rule(op, "jvp")
    with _as_defined(op, where, saved, along) as (rounded, at, moved):
        if all(tangent is None for tangent in along.values()):
            return rounded(0.0, spec)
        moved = moved | {name: _moving(op, name, moved[name]) for name in op.facts.fixed}
        tangent = rule(at, moved) if rule else _linear_jvp(op, at, moved)
        # that of a bias has but the channels
        return rounded(np.broadcast_to(tangent, spec.shape), spec)


def double_backward(
    op: Operator[..., Any], saved: Saved, grad_y: Any, grad_grads: Mapping[str, Any]
) -> tuple[Any, ...]:
    """See :meth:`numseg.operator.Operator.double_backward`."""
    where, kept, grad_y = op.reopened(saved, grad_y)
    plan = saved.plan
    saved = op.saved_type(*kept, plan)
    moved = along(op, "grad_grads", grad_grads, plan, where)
    rule = _rule(op, "double_backward")
    if rule is None:
        _linear_input(op, plan, "double_backward")
    specs = plan.specs(op.inputs, op.differentiable)
    with _as_defined(op, where, saved, grad_y, moved) as (rounded, at, grad, tangents):
        still = all(tangent is None for tangent in tangents.values())
        tangents |= {name: _moving(op, name, tangents[name]) for name in op.facts.fixed}
        found = rule(at, grad, tangents) if rule and not still else {}
        found |= {name: _moving(op, name, found.get(name)) for name in op.facts.fixed}
        grads = [
            rounded(0.0 if found.get(name) is None else found[name], spec)
            for name, spec in specs.items()
        ]
    return (*op.by_array(grads, plan), _along_grad_y(op, saved, moved, where))


def _along_grad_y(
    op: Operator[..., Any], saved: Saved, along: dict[str, Any], where: Device
) -> Any:
    """``backward`` is linear in ``grad_y``: its transpose. That is jvp, but for gradients that are
    no transpose of it, by name, whose ``derivatives.py`` has a function ``transposed``."""
    rule = faces.optional(op, "derivatives", "transposed")
    if rule is None or all(tangent is None for tangent in along.values()):
        return jvp(op, saved, along, where)
    with _as_defined(op, where, saved, along) as (rounded, at, moved):
        return rounded(rule(at, moved), saved.plan.outputs[0])


def _rule(op: Operator[..., Any], name: str) -> Callable[..., Any] | None:
    """That of the operator's folder, or that of its family."""
    stated = faces.optional(op, "derivatives", name)
    if stated is None and op.facts.family is not None:
        return functools.partial(getattr(op.facts.family, name), op)
    return stated


def _linear_input(op: Operator[..., Any], plan: Plan[Any], wanted: str) -> str:
    """The one differentiable input of a call that is linear in it."""
    if len(op.differentiable) != 1 or op.differentiable != op.linear or not plan.linear:
        raise ArgumentError(f"{op.__name__} has no {wanted}")
    return op.linear[0]


def _linear_jvp(op: Operator[..., Any], saved: Saved, along: dict[str, Any]) -> Any:
    """Linear in its one input: its derivative is itself."""
    _linear_input(op, saved.plan, "jvp")
    others = {n: getattr(saved, n) for n in op.inputs if n in op.saves and n not in along}
    y = op(**along, **others, **saved.plan.parameters)
    return y[0] if isinstance(y, tuple) else y


def _moving(op: Operator[..., Any], name: str, array: Any) -> Any:
    """Without the numbers of an argument that no derivative is taken of."""
    if array is None:
        return None
    moving = np.ones(array.shape, bool)
    moving[op.facts.fixed[name]] = False
    return np.where(moving, array, 0)


@contextlib.contextmanager
def _as_defined(op: Operator[..., Any], where: Device, *values: Any) -> Iterator[Any]:
    """How results are rounded, and what a rule computes with: arrays in NumPy, numbers on the GPU;
    for an operator that is to run by its definition, float64 in NumPy."""
    defined = faces.running(op, Host)[0] == "reference"
    rounded: Any = faces.rounded
    enter: Any = None

    def widened_here(array: Any) -> Any:
        return faces.widen(where.to_host(array))

    def sent(result: Any, spec: Any) -> Any:
        return each(faces.rounded(result, spec), where.from_host)

    if defined:
        rounded, enter = sent, widened_here
    elif where is not Host:
        numbers = importlib.import_module("numseg.ops.numbers")  # of operators, which lie above
        rounded, enter = numbers.rounded, numbers.Numbers

    def entered(value: Any) -> Any:
        if enter is None:
            return value
        if isinstance(value, dict):
            return {name: each(entry, enter) for name, entry in value.items()}
        if isinstance(value, op.saved_type):
            plan = widened(value.plan) if defined else value.plan
            return op.saved_type(*(each(kept, enter) for kept in value[:-1]), plan)
        return each(value, enter)

    with np.errstate(all="ignore"), faces.use("reference") if defined else contextlib.nullcontext():
        yield rounded, *map(entered, values)
