"""A linear operator as a matrix: built entry by entry, or only as its products."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from numseg import checks, derivatives, faces
from numseg.device import Host
from numseg.errors import ArgumentError, ArgumentTypeError
from numseg.plan import Plan, Saved, each, flat, spec_of, specs_of
from numseg.typing import Array

if TYPE_CHECKING:
    from numseg.operator import Operator


class _Given(NamedTuple):
    """A call with a shape for its first array."""

    entries: list[Any]
    outputs: dict[str, Array]
    """Outputs whose values are given, because the operator is linear only for these."""
    plan: Plan[Any]


def matrix(op: Operator[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """See :meth:`numseg.operator.Operator.matrix`."""
    make = getattr(faces.module(op, "reference"), "matrix", None)
    if make is None:
        raise ArgumentError(f"{op.__name__}: not a linear operator, it has no matrix")
    with op.named_errors():
        call = _given(op, args, kwargs)
        wanted = inspect.signature(make).parameters
        for name in op.outputs:
            needed = name in wanted and wanted[name].default is inspect.Parameter.empty
            if needed and name not in call.outputs:
                raise ArgumentError(f"linear only for given {name}: pass it by name")
            if name in call.outputs and name not in wanted:
                raise ArgumentTypeError(f"its matrix does not depend on {name}")
        made = make(*call.entries[1:], call.plan.geometry, **call.outputs)
        return made.astype(call.plan.outputs[0].dtype).tocsr()


def linear_operator(op: Operator[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """See :meth:`numseg.operator.Operator.linear_operator`."""
    from scipy.sparse.linalg import LinearOperator

    with op.named_errors():
        call = _given(op, args, kwargs)
        saved = _saved(op, call)
    sizes = [part.size for part in flat(call.plan.inputs[0])]
    result = call.plan.outputs[0]
    product, adjoint = partial(_product, op, saved), partial(_adjoint, op, saved)
    return LinearOperator((result.size, sum(sizes)), product, adjoint, dtype=result.dtype)


def _product(op: Operator[..., Any], saved: Saved, vector: Array) -> Array:
    """Of the matrix with a vector."""
    first, spec, result = op.inputs[0], saved.plan.inputs[0], saved.plan.outputs[0]
    ends = np.cumsum([part.size for part in flat(spec)])
    parts = np.split(vector.astype(result.dtype).ravel(), ends[:-1])
    shaped = [p.reshape(s.shape) for p, s in zip(parts, flat(spec), strict=True)]
    tangent = tuple(shaped) if first in op.parameters.sequences else shaped[0]
    return derivatives.jvp(op, saved, dict.fromkeys(op.differentiable) | {first: tangent}).ravel()


def _adjoint(op: Operator[..., Any], saved: Saved, vector: Array) -> Array:
    """Of the transposed matrix with a vector."""
    first, spec, result = op.inputs[0], saved.plan.inputs[0], saved.plan.outputs[0]
    grad_y = vector.astype(result.dtype).reshape(result.shape)
    grads = op.backward(saved, grad_y, needs=[first])
    return np.concatenate([grad.ravel() for grad in grads[: len(flat(spec))]])


def _saved(op: Operator[..., Any], call: _Given) -> Any:
    """What ``forward`` would have saved, as far as the linear part depends on it."""
    first, spec = op.inputs[0], call.plan.inputs[0]
    known = {**dict(zip(op.inputs, call.entries, strict=True)), **call.outputs}
    known[first] = each(spec, lambda s: np.zeros(s.shape, s.dtype))
    outputs = zip(op.outputs, call.plan.outputs, strict=True)
    unused = {name: np.empty(*spec) for name, spec in outputs if spec.size == 0}
    known = {**unused, **known}
    if missing := [name for name in op.saves if name not in known]:
        raise ArgumentError(f"linear only for given {missing[0]}: pass it by name")
    if not call.outputs and not (first in op.linear and call.plan.linear):
        raise ArgumentError(f"not linear in {first}: it has no linear operator")
    return op.saved_type(*(known[name] for name in op.saves), call.plan)


def _given(op: Operator[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> _Given:
    """Check the arguments, the first of which is a shape."""
    names = [n for n in op.outputs if n in kwargs and n not in op.parameters.names]
    others = {n: v for n, v in kwargs.items() if n not in names}
    arguments = op.parameters.by_name(args, others)
    first, *rest = op.inputs
    views = {name: op.view(Host, name, arguments[name]) for name in rest}
    floats = [a.dtype for v in views.values() for a in flat(v) if a.dtype.kind == "f"]
    dtype = floats[0] if floats else np.dtype(np.float64)
    specs = {name: each(view, spec_of) for name, view in views.items()}
    shape = specs_of(first, arguments[first], dtype, first in op.parameters.sequences)
    specs[first] = each(shape, lambda spec: spec._replace(dtype=dtype))
    plan = op.planned(list({**arguments, **specs}.values())).copy()
    entries = [specs[first], *(each(view, Host.normal) for view in views.values())]
    faces.check_values(op, Host, faces.module(op, "reference"), entries, plan)
    outputs = {}
    for name in names:
        view = Host.view(name, kwargs[name])
        spec = plan.outputs[op.outputs.index(name)]
        checks.shape(name, view, spec.shape, f"{op.__name__}'s {name}")
        if view.dtype.kind != spec.dtype.kind:
            raise ArgumentTypeError(f"{name} has dtype {view.dtype}, expected {spec.dtype}")
        outputs[name] = np.ascontiguousarray(view, spec.dtype)
    return _Given(entries, outputs, plan)
