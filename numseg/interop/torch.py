"""Operators in PyTorch: functions and layers of tensors, with autograd.

Nothing is copied: an operator reads the memory of tensors, and results are tensors over the memory
of its arrays, on the CPU and on CUDA. Tensors that lie otherwise than in C order are the exception.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from numseg import names
from numseg.errors import ArgumentTypeError
from numseg.files import optional
from numseg.operator import Operator
from numseg.plan import each, flat

__all__ = ["Layer", "function"]

torch: Any = optional("torch", "torch", "torch", "numseg.interop.torch")
Tensor = Any
_Function: Any = torch.autograd.Function


def function(op: Operator[..., Any] | str) -> Any:
    """A differentiable function of tensors that computes an operator.

    Parameters
    ----------
    op : operator or str
        ``ns.roi_align``, or its name.

    Returns
    -------
    callable
        Takes the operator's arguments, with a tensor for each array; gives tensors. Those on a GPU
        are computed there, where the operator has CUDA kernels. Autograd goes backward by
        ``op.backward``, twice by ``op.double_backward``, and forward (dual tensors) by ``op.jvp``:
        the operator's page says which there are. As everywhere in numseg, gradients flow from the
        first result.

    Raises
    ------
    ArgumentError
        From the call, for what the operator refuses; ArgumentTypeError for what is no tensor.
    MissingExtra
        From the import of this module, without PyTorch.
    """
    found = names.operator("op", op)

    def call(*args: Any, **kwargs: Any) -> Any:
        return _call(found, found.parameters.values(args, kwargs))

    functools.update_wrapper(call, found, updated=())
    call.__signature__ = found.__signature__  # type: ignore[attr-defined]
    del call.__wrapped__  # type: ignore[attr-defined]  # it takes arrays
    return call


class Layer(torch.nn.Module):  # type: ignore[misc]
    """An operator as a ``torch.nn.Module`` that holds some of its arguments.

    Parameters
    ----------
    op : operator or str
        ``ns.conv2d``, or its name.
    **arguments
        Those that the layer holds, by their names. Tensors become parameters where the operator has
        a gradient for them, buffers elsewhere; sequences of tensors become ParameterLists. Their
        names are those in ``torch.nn`` and torchvision, so that state dicts fit.

    Notes
    -----
    A call takes the others, in the order of the operator's signature. ``training`` is the module's,
    ``seed`` is drawn from PyTorch's generator for each call in training, and buffers that are state
    (running statistics) are updated in place, unless the layer or the call gives them.

    Raises
    ------
    ArgumentError
        For an argument that the operator has not; from a call as from :func:`function`.
    """

    def __init__(self, op: Operator[..., Any] | str, **arguments: Any) -> None:
        super().__init__()
        self.op = names.operator("op", op)
        known = self.op.parameters.names
        if unknown := [name for name in arguments if name not in known]:
            raise ArgumentTypeError(
                f"{self.op.__name__} has no argument {unknown[0]!r}, but {', '.join(known)}"
            )
        self.settings = {n: v for n, v in arguments.items() if n not in self.op.inputs}
        self.held = [name for name in arguments if name in self.op.inputs]
        for name in self.held:
            self._hold(name, arguments[name])

    def _hold(self, name: str, value: Any) -> None:
        learned = name in self.op.differentiable
        if isinstance(value, (list, tuple)):
            setattr(self, name, torch.nn.ParameterList(value))
        elif not learned:
            self.register_buffer(name, value)
        elif value is None or isinstance(value, torch.nn.Parameter):
            self.register_parameter(name, value)
        else:
            self.register_parameter(name, torch.nn.Parameter(value))

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The operator's value."""
        given = dict(self.settings)
        for name in self.held:
            held = getattr(self, name)
            given[name] = list(held) if isinstance(held, torch.nn.ParameterList) else held
        free = [name for name in self.op.parameters.names if name not in given]
        if len(args) > len(free):
            raise ArgumentTypeError(
                f"{self.op.__name__}: {len(args)} arguments given, but the layer takes {len(free)}"
            )
        given |= dict(zip(free, args, strict=False)) | kwargs
        if "training" in free:
            given.setdefault("training", self.training)
        if "seed" in free and given.get("training"):
            given.setdefault("seed", int(torch.randint(2**63 - 1, ())))
        state: Any = {} if given.get("training") and self.op.facts.updates else None
        result = _call(self.op, self.op.parameters.values((), given), state)
        for name, value in (state or {}).items():
            if name in self.held and getattr(self, name) is not None:
                getattr(self, name).copy_(value)
        return result

    def extra_repr(self) -> str:
        """What ``print`` shows of it."""
        settings = [f"{name}={value!r}" for name, value in self.settings.items()]
        return ", ".join([self.op.__name__, *settings])


def _call(op: Operator[..., Any], values: list[Any], state: Any = None) -> Any:
    """The value; new values of the arguments that are state go to ``state``, if it is a dict."""
    places = dict(zip(op.inputs, op.parameters.arrays, strict=True))
    named = [(n, tensor) for n, place in places.items() for tensor in flat(values[place])]
    for name, tensor in named:
        _check(op, name, tensor)
    shell = list(values)
    for place in places.values():
        shell[place] = each(values[place], lambda _: ...)  # which keeps no tensor alive
    handles = [_Handle.apply(tensor) if _depends(op, n, tensor) else None for n, tensor in named]
    counted = tuple(name for name, _ in named)
    return _Value.apply(op, shell, counted, state, *(tensor for _, tensor in named), *handles)


def _check(op: Operator[..., Any], name: str, value: Any) -> None:
    if not isinstance(value, torch.Tensor):
        kind = type(value).__name__
        raise ArgumentTypeError(f"{op.__name__}: {name} must be a tensor, got {kind}")
    if value.dtype in (torch.float16, torch.bfloat16):
        raise ArgumentTypeError(
            f"{op.__name__}: {name} is {value.dtype}, expected torch.float32 or torch.float64: "
            f"convert it, {name}.float()"
        )


def _depends(op: Operator[..., Any], name: str, tensor: Tensor) -> bool:
    """Does the gradient depend on this argument, though ``backward`` does not read it, but the
    result (as that of a softmax)?"""
    wanted = tensor.requires_grad and torch.is_grad_enabled() and name in op.differentiable
    return wanted and name not in op.saves and bool(set(op.saves) & set(op.outputs))


class _Handle(_Function):  # type: ignore[misc]
    """Stands for a tensor in the graph of second derivatives, without its memory."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        return tensor.new_zeros(()).expand(tensor.shape)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> Tensor:
        return tangent


class _Value(_Function):  # type: ignore[misc]
    """The value, and backward to the tensors; handles come after these and have no gradient."""

    @staticmethod
    def forward(
        ctx: Any, op: Any, shell: list[Any], named: Sequence[str], state: Any, *tensors: Tensor
    ) -> Any:
        count = len(named)
        ctx.op, ctx.shell, ctx.named, ctx.count = op, shell, named, len(tensors)
        ctx.set_materialize_grads(False)
        arguments = _arguments(op, shell, tensors[:count])
        with _streams(tensors[:count]):
            if not any(ctx.needs_input_grad) and state is None:
                y, saved = op(**arguments), None
            else:
                y, saved = op.forward(**arguments)
        results = tuple(map(_tensor, y if isinstance(y, tuple) else (y,)))
        ctx.mark_non_differentiable(*results[1:])
        ctx.save_for_forward(*tensors[:count])
        if saved is not None:
            ctx.plan = saved.plan
            kept = _kept(op, saved, dict(zip(op.outputs, results, strict=False)), named, tensors)
            read = [
                tensor if needed and name in op.saves else None
                for name, tensor, needed in zip(
                    named, tensors, ctx.needs_input_grad[4:], strict=False
                )
            ]
            followed = [
                a if a is not None else b for a, b in zip(read, tensors[count:], strict=True)
            ]
            ctx.parts, flattened = _flattened(kept)
            ctx.save_for_backward(*flattened, *followed)
            if state is not None:
                updates = op.facts.updates.items()
                state.update({name: _tensor(getattr(saved, new)) for name, new in updates})
        return results if isinstance(y, tuple) else results[0]

    @staticmethod
    def backward(ctx: Any, grad_y: Tensor, *_: Any) -> Any:
        op, count = ctx.op, len(ctx.named)
        if grad_y is None:
            return (None,) * (4 + ctx.count)
        tensors = iter(ctx.saved_tensors)
        kept = _regrouped(ctx.parts, tensors)
        wanted = ctx.needs_input_grad[4 : 4 + count]
        needs = [n for n in op.differentiable if (n, True) in zip(ctx.named, wanted, strict=True)]
        grads = _Gradient.apply(op, (*kept, ctx.plan), needs, ctx.named, grad_y, *tensors)
        found = _by_name(op, ctx.named, grads)
        return (None,) * 4 + tuple(found) + (None,) * (ctx.count - count)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        op, given = ctx.op, iter(tangents[4 : 4 + len(ctx.named)])
        along: dict[str, Any] = {}
        for name, place in zip(op.inputs, op.parameters.arrays, strict=True):
            entry = each(ctx.shell[place], lambda _: next(given))
            if any(tangent is not None for tangent in flat(entry)) and name in op.differentiable:
                along[name] = entry
        arguments = _arguments(op, ctx.shell, ctx.saved_tensors)
        y, tangent = op.jvp(**arguments, tangents=along)
        return (
            (_tensor(tangent), *[None] * (len(y) - 1)) if isinstance(y, tuple) else _tensor(tangent)
        )


class _Gradient(_Function):  # type: ignore[misc]
    """``op.backward`` as a function of ``grad_y`` and of the arguments that it depends on."""

    @staticmethod
    def forward(
        ctx: Any,
        op: Any,
        kept: Any,
        needs: list[str],
        named: Sequence[str],
        grad_y: Tensor,
        *followed: Tensor,
    ) -> Any:
        *entries, ctx.plan = kept
        ctx.op, ctx.named = op, named
        ctx.set_materialize_grads(False)
        ctx.parts, flattened = _flattened(entries)
        ctx.save_for_backward(grad_y, *flattened)
        with _streams([grad_y]):
            grads = op.backward(_saved(op, *kept), grad_y.detach(), needs=needs)
        return tuple(each(grad, _tensor) for grad in grads)

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *grad_grads: Tensor) -> Any:
        op, given = ctx.op, iter(grad_grads)
        along: dict[str, Any] = {}
        for name in op.differentiable:
            parts = [next(given) for _ in range(max(1, ctx.named.count(name)))]
            if any(part is not None for part in parts):
                along[name] = tuple(parts) if name in op.parameters.sequences else parts[0]
        if not along:
            return (None,) * (5 + len(ctx.named))
        grad_y, *tensors = ctx.saved_tensors
        saved = _saved(op, *_regrouped(ctx.parts, iter(tensors)), ctx.plan)
        *grads, of_grad_y = op.double_backward(saved, grad_y.detach(), along)
        found = zip(_by_name(op, ctx.named, grads), ctx.needs_input_grad[5:], strict=True)
        wanted = [_tensor(grad) if needed else None for grad, needed in found]
        return (None,) * 4 + (_tensor(of_grad_y), *wanted)


def _arguments(op: Any, shell: list[Any], tensors: Sequence[Tensor]) -> dict[str, Any]:
    """The arguments of a call by name, with these tensors in their places."""
    given, filled = iter(tensors), list(shell)
    for place in op.parameters.arrays:
        filled[place] = each(shell[place], lambda _: next(given).detach())
    return dict(zip(op.parameters.names, filled, strict=True))


def _kept(
    op: Any, saved: Any, results: dict[str, Tensor], named: Sequence[str], tensors: Sequence[Tensor]
) -> list[Any]:
    """What ``forward`` saved, as the very tensors of the call where it is these."""
    inputs = {
        name: [t for n, t in zip(named, tensors, strict=False) if n == name] for name in named
    }
    kept: list[Any] = []
    for name, entry in zip(op.saves, saved[:-1], strict=True):
        if name in results:
            kept.append(results[name])
        elif name in op.outputs or name not in inputs:
            kept.append(each(entry, _tensor))
        else:
            kept.append(tuple(inputs[name]) if isinstance(entry, tuple) else inputs[name][0])
    return kept


def _saved(op: Any, *kept: Any) -> Any:
    """What ``forward`` saved, from the same in tensors, and the plan."""
    *entries, plan = kept
    return op.saved_type(*(each(entry, lambda t: t.detach()) for entry in entries), plan)


def _flattened(entries: Sequence[Any]) -> tuple[list[int | None], list[Tensor]]:
    """All tensors of some entries, None included, and how many are in each that is a tuple."""
    parts = [len(entry) if isinstance(entry, tuple) else None for entry in entries]
    return parts, [t for e in entries for t in (e if isinstance(e, tuple) else (e,))]


def _regrouped(parts: Sequence[int | None], tensors: Iterator[Tensor]) -> list[Any]:
    """The entries again; leaves the tensors after them."""
    return [
        next(tensors) if count is None else tuple(next(tensors) for _ in range(count))
        for count in parts
    ]


def _by_name(op: Any, named: Sequence[str], grads: Sequence[Any]) -> Iterator[Any]:
    """Gradients in the order of the tensors of the call, from those that an operator gives."""
    given = iter(grads)
    found = {n: [next(given) for _ in range(max(1, named.count(n)))] for n in op.differentiable}
    return (found[name].pop(0) if name in found else None for name in named)


@contextlib.contextmanager
def _streams(tensors: Sequence[Tensor]) -> Iterator[None]:
    """numseg computes on CUDA's default stream: after what PyTorch's current one has still to do,
    and before what that is given next."""
    if not any(tensor.is_cuda for tensor in tensors):
        yield
        return
    numseg, current = torch.cuda.default_stream(), torch.cuda.current_stream()
    numseg.wait_stream(current)
    try:
        yield
    finally:
        current.wait_stream(numseg)


def _tensor(array: Any) -> Tensor:
    """A tensor over the memory of an operator's result."""
    if array is None or isinstance(array, torch.Tensor):
        return array
    if isinstance(array, (np.ndarray, np.generic)):
        array = np.asarray(array)
        return torch.from_numpy(array if array.flags.writeable else array.copy())  # of a view
    return torch.as_tensor(array, device="cuda")
