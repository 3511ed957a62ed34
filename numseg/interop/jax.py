"""Operators in JAX: functions of its arrays that ``jax.grad`` and ``jax.jit`` know.

The work is done on the host, in a callback (``jax.pure_callback``): JAX sees a function with a
derivative of its own, not what it is made of.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from numseg import names
from numseg.errors import ArgumentError
from numseg.files import optional
from numseg.interop.calls import arguments, by_name, flattened
from numseg.operator import Operator
from numseg.plan import Spec

__all__ = ["function"]

jax: Any = optional("jax", "jax", "jax", "numseg.interop.jax")


def function(op: Operator[..., Any] | str) -> Any:
    """A differentiable function of JAX's arrays that computes an operator.

    Parameters
    ----------
    op : operator or str
        ``ns.roi_align``, or its name.

    Returns
    -------
    callable
        Takes the operator's arguments, with an array of JAX for each array; gives arrays of JAX.
        ``jax.grad`` goes by ``op.backward``, and once more by ``op.double_backward``: the
        operator's page says which there are. ``jax.jit`` keeps the call; ``jax.vmap`` makes one
        after the other. Gradients flow from the first result. Backward computes the value again.

    Raises
    ------
    ArgumentError
        From the call, or from its tracing, for shapes that the operator refuses. What it refuses
        because of values (a label that is no class) reaches the user as JAX's error, which
        quotes it.
    MissingExtra
        From the import of this module, without JAX.
    """
    found = names.operator("op", op)

    def call(*args: Any, **kwargs: Any) -> Any:
        shell, named = flattened(found, found.parameters.values(args, kwargs))
        arrays = [jax.numpy.asarray(array) for _, array in named]
        results = _traced(found, shell, [name for name, _ in named], arrays)(*arrays)
        return results if len(results) > 1 else results[0]

    functools.update_wrapper(call, found, updated=())
    call.__signature__ = found.__signature__  # type: ignore[attr-defined]
    del call.__wrapped__  # type: ignore[attr-defined]  # it takes arrays
    return call


def _traced(
    op: Operator[..., Any], shell: list[Any], named: list[str], arrays: Sequence[Any]
) -> Any:
    """The call as a function of its arrays alone, with the derivatives that JAX shall use."""
    specs = [Spec(tuple(array.shape), np.dtype(array.dtype)) for array in arrays]
    plan = op.plan(**arguments(op, shell, specs))
    outputs = plan.outputs[: plan.results]
    places = [j for j, name in enumerate(named) if name in op.differentiable]

    def every(grads: Sequence[Any]) -> tuple[Any, ...]:
        """A gradient for each array: None, which JAX takes for zero, where there is none."""
        return tuple(dict(zip(places, grads, strict=True)).get(j) for j in range(len(named)))

    def in_order(given: Sequence[Any]) -> list[Any]:
        """The operator's gradients in the order of the arrays that have one."""
        found = list(by_name(op, named, [part for g in given for part in _parts(g)]))
        return [found[j] for j in places]

    def of(given: Sequence[Any]) -> dict[str, Any]:
        return arguments(op, shell, given)

    @jax.custom_vjp  # type: ignore[untyped-decorator]
    def value(*given: Any) -> Any:
        return _on_host(lambda *x: _parts(op(**of(x))), outputs, *given)

    @jax.custom_vjp  # type: ignore[untyped-decorator]
    def gradient(grad_y: Any, *given: Any) -> Any:
        def compute(grad: Any, *x: Any) -> list[Any]:
            return in_order(op.backward(op.forward(**of(x))[1], grad))

        return _on_host(compute, [specs[j] for j in places], grad_y, *given)

    def second(kept: Any, grad_grads: Any) -> Any:
        grad_y, *given = kept

        def compute(grad: Any, *x: Any) -> list[Any]:
            x, along = x[: len(named)], iter(x[len(named) :])
            tangents = [next(along) if j in places else None for j in range(len(named))]
            by = {n: [t for m, t in zip(named, tangents, strict=True) if m == n] for n in named}
            chosen = {
                n: tuple(by[n]) if n in op.parameters.sequences else by[n][0]
                for n in op.differentiable
                if n in by
            }
            *grads, of_grad_y = op.double_backward(op.forward(**of(x))[1], grad, chosen)
            return [of_grad_y, *_zeros(in_order(grads), [x[j] for j in places])]

        results = [plan.outputs[0], *(specs[j] for j in places)]
        of_grad_y, *grads = _on_host(compute, results, grad_y, *given, *grad_grads)
        return of_grad_y, *every(grads)

    value.defvjp(
        lambda *given: (value(*given), given),
        lambda given, grads_y: every(gradient(grads_y[0], *given)),
    )
    gradient.defvjp(lambda grad_y, *given: (gradient(grad_y, *given), (grad_y, *given)), second)
    return value


def _on_host(compute: Callable[..., Sequence[Any]], results: Sequence[Spec], *arrays: Any) -> Any:
    """What the host computes of these arrays."""
    wanted = [
        jax.ShapeDtypeStruct(spec.shape, jax.dtypes.canonicalize_dtype(spec.dtype))
        for spec in results
    ]

    def call(*given: Any) -> tuple[Any, ...]:
        found = compute(*(np.asarray(array) for array in given))
        return tuple(_as(array, want.dtype) for array, want in zip(found, wanted, strict=True))

    return jax.pure_callback(call, tuple(wanted), *arrays, vmap_method="sequential")


def _as(array: Any, dtype: Any) -> Any:
    """In the type that JAX has for it: without ``jax_enable_x64`` int64 is int32."""
    converted = np.asarray(array).astype(dtype, copy=False)
    if converted.dtype.kind == "i" and not np.array_equal(converted, array):
        raise ArgumentError(f"a result of {np.max(array)} needs int64: enable jax_enable_x64")
    return converted


def _parts(result: Any) -> tuple[Any, ...]:
    return result if isinstance(result, tuple) else (result,)


def _zeros(grads: Sequence[Any], like: Sequence[Any]) -> list[Any]:
    return [np.zeros_like(a) if g is None else g for g, a in zip(grads, like, strict=True)]
