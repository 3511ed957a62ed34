"""Which face of an operator runs, and how: its definition, its kernels, or other operators.

The faces are modules of the operator's folder:

- ``reference``: the definition. Takes arrays of float64 and the geometry, returns the results.
- ``cpu``, ``cuda``: kernels. They fill the arrays that they are given.
- ``composite``: the operator made of other operators (:func:`run`, :func:`gradients`), on whichever
  device the arrays are. Called as kernels are, with a :class:`Spec` in the place of each array to
  fill; returns the arrays, None for those not wanted. The operator's ``cpu`` and ``cuda``, if there
  are any, have the pieces that no other operator has (:func:`piece`).

An operator that is another one by a different signature (``Facts.like``) has that one's modules
where it has none of its own.
Those of operators of a family (``Facts.family``) are made of less: :mod:`numseg.pointwise`,
:mod:`numseg.broadcasting`.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextvars import ContextVar
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from numseg import checks, device, forks
from numseg.device import Device
from numseg.errors import DeviceError
from numseg.plan import Plan, Spec, each, flat
from numseg.typing import Array

if TYPE_CHECKING:
    from numseg.operator import Operator

_chosen: ContextVar[str] = ContextVar("numseg_face", default="fast")


@contextlib.contextmanager
def use(face: str) -> Iterator[None]:
    """``with use("reference"):`` run everything inside by the definitions in plain NumPy.

    Parameters
    ----------
    face : {"reference", "fast"}
        Which implementation. Holds for the current thread or task, whole networks included;
        ``use("fast")`` inside such a block goes back to the kernels.
    """
    token = _chosen.set(checks.choice("face", face, ("reference", "fast")))
    try:
        yield
    finally:
        _chosen.reset(token)


def chosen() -> str:
    """What :func:`use` says here: "reference" or "fast"."""
    return _chosen.get()


class Call(NamedTuple):
    """A call whose arguments are bound and checked."""

    device: Device
    arrays: list[Any]
    """An entry for each array argument, in the one form that kernels know."""
    plan: Plan[Any]


def running(op: Operator[..., Any], where: Device) -> tuple[str, ModuleType]:
    """The face that runs on a device, and its module."""
    if op.facts.face or _chosen.get() == "reference":
        return _fast(op.folders, "reference", op.facts.family)
    return _fast(op.folders, where.face, op.facts.family)


def _running(
    op: Operator[..., Any], where: Device, names: Sequence[str], arrays: Sequence[Any]
) -> tuple[str, ModuleType]:
    """The face for these arrays: the definition's, if kernels count on finite ones in vain."""
    face, kernels = running(op, where)
    if face == "cpu" and op.facts.finite:
        # imports Numba, which importing numseg does not
        from numseg.kernels.reductions.all_finite import all_finite

        for name, entry in zip(names, arrays, strict=True):
            if name in op.facts.finite and not all(map(all_finite, flat(entry))):
                return _fast(op.folders, "reference", op.facts.family)
    return face, kernels


def module(op: Operator[..., Any], face: str) -> ModuleType:
    """The module of a face, or the composite in its place."""
    return _fast(op.folders, face, op.facts.family)[1]


@functools.cache
def _fast(folders: tuple[str, ...], face: str, family: ModuleType | None) -> tuple[str, ModuleType]:
    if family is not None and (found := family.face(folders[0], face)) is not None:
        return face, found
    own = _found(folders, face)
    composite = None if face == "reference" else _found(folders, "composite")
    if composite is not None and (own is not None or _found(folders, "cpu") is None):
        return "composite", composite
    if own is None:
        raise DeviceError(f"has no {face} kernels: copy the arrays to the CPU (copy_to_host) first")
    return face, own


def optional(op: Operator[..., Any], module: str, name: str) -> Callable[..., Any] | None:
    """A function of a module of the operator's own folder, if both are there."""
    return getattr(_found(op.folders[:1], module), name, None)


@functools.cache
def _found(folders: tuple[str, ...], name: str) -> ModuleType | None:
    for folder in folders:
        forks.watch(f"{folder}.{name}")
        try:
            return importlib.import_module(f"{folder}.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"{folder}.{name}":
                raise
    return None


def forward(
    op: Operator[..., Any],
    call: Call,
    *,
    plain: bool = False,
    epilogue: Mapping[str, Any] | None = None,
    into: Array | None = None,
) -> tuple[Any, ...]:
    """The outputs of a call. A ``plain`` one has no ``backward`` after it. Kernels put the first
    output ``into`` an array, if there is one."""
    where, arrays, plan = call
    face, kernels = _running(op, where, op.inputs, arrays)
    check_values(op, where, kernels, arrays, plan)
    if face == "reference":
        return _by_definition(kernels.forward, where, arrays, plan.outputs, plan)
    if face == "composite":
        outputs = kernels.forward(*arrays, *plan.outputs, plan.geometry)
        return outputs if isinstance(outputs, tuple) else (outputs,)
    skipped = op.facts.skippable if plain and face == "cpu" else ()
    outputs = _allocated(op, where, plan, skipped, into)
    if plan.fills_nothing:
        return outputs
    if epilogue:
        kernels.forward(*arrays, *outputs, plan.geometry, **epilogue)
    else:
        kernels.forward(*arrays, *outputs, plan.geometry)
    return outputs


def backward(
    op: Operator[..., Any],
    where: Device,
    kept: Sequence[Any],
    grad_y: Any,
    plan: Plan[Any],
    needs: Collection[str] | None,
) -> list[Any]:
    """The gradients, one entry per differentiable argument; None for one not wanted."""
    specs = [
        spec if needs is None or name in needs else None
        for name, spec in plan.specs(op.inputs, op.differentiable).items()
    ]
    face, kernels = _running(op, where, (*op.saves, "grad_y"), [*kept, grad_y])
    if face == "reference":
        return list(_by_definition(kernels.backward, where, [*kept, grad_y], specs, plan))
    if face == "composite":
        return list(kernels.backward(*kept, grad_y, *specs, plan.geometry))
    return _filled(kernels.backward, where, [*kept, grad_y], specs, plan.geometry)


def run(op: Operator[..., Any], geometry: Any, arrays: Sequence[Any], *outputs: Spec) -> Any:
    """For composites: the output of another operator, or all of them, where the arrays are."""
    filled = _part(op, "forward", geometry, arrays, outputs)
    return filled[0] if len(outputs) == 1 else tuple(filled)


def gradients(
    op: Operator[..., Any], geometry: Any, arrays: Sequence[Any], *wanted: Any
) -> list[Any]:
    """For composites: the gradients of another operator, from what it saves and ``grad_y``."""
    return _part(op, "backward", geometry, arrays, wanted)


def piece(
    op: Operator[..., Any], name: str, number: float, arrays: Sequence[Any], output: Spec
) -> Any:
    """For composites: what a function of the operator's own ``cpu`` or ``cuda`` makes of arrays."""
    where, arrays = _placed(arrays)
    kernels = getattr(_found(op.folders, where.face), name)
    return _filled(kernels, where, arrays, [output], number)[0]


def _part(
    op: Operator[..., Any], name: str, geometry: Any, arrays: Sequence[Any], specs: Sequence[Any]
) -> list[Any]:
    where, arrays = _placed(arrays)
    face, kernels = running(op, where)
    if face == "composite":
        found = getattr(kernels, name)(*arrays, *specs, geometry)
        return list(found) if isinstance(found, (list, tuple)) else [found]
    return _filled(getattr(kernels, name), where, arrays, specs, geometry)


def _placed(arrays: Sequence[Any]) -> tuple[Device, list[Any]]:
    """Where arrays are, and in the form that kernels know."""
    try:
        return device.Host, list(map(device.ready, arrays))
    except TypeError:
        return device.of([array for entry in arrays for array in flat(entry)]), list(arrays)


def _filled(
    kernels: Callable[..., None],
    where: Device,
    arrays: Sequence[Any],
    specs: Sequence[Any],
    geometry: Any,
) -> list[Any]:
    """What kernels make of arrays."""
    made = [
        where.empty(*spec) if type(spec) is Spec else each(spec, lambda s: where.empty(*s))
        for spec in specs
    ]
    if any(array.size for entry in made for array in flat(entry)):
        kernels(*arrays, *made, geometry)
    return made


def check_values(
    op: Operator[..., Any],
    where: Device,
    kernels: ModuleType,
    arrays: Sequence[Any],
    plan: Plan[Any],
) -> None:
    """Let the operator's ``check``, if there is one, see what it may (see :func:`operator`)."""
    check = op.check
    if check is None:
        return
    with np.errstate(all="ignore"):
        own = getattr(kernels, "check", None)
        if own is not None and not _remembered(op, where, arrays):
            own(*arrays, plan.geometry)
        else:
            check(*_visible(op, where, arrays), plan.geometry)


def _visible(op: Operator[..., Any], where: Device, arrays: Sequence[Any]) -> Iterator[Any]:
    """Of arrays whose values ``check`` may see, these, on the CPU."""

    def visible(name: str, array: Any) -> Any:
        if not _is_seen(op, name, array):
            return array
        remembered = where.remembered(array)
        return where.to_host(array) if remembered is None else remembered

    for name, entry in zip(op.inputs, arrays, strict=True):
        yield each(entry, functools.partial(visible, name))


def _remembered(op: Operator[..., Any], where: Device, arrays: Sequence[Any]) -> bool:
    """Whoever moved them to the GPU left all that ``check`` sees on the CPU as well."""
    named = ((n, a) for n, e in zip(op.inputs, arrays, strict=True) for a in flat(e))
    seen = [array for name, array in named if array is not None and _is_seen(op, name, array)]
    return bool(seen) and all(where.remembered(array) is not None for array in seen)


def _is_seen(op: Operator[..., Any], name: str, array: Any) -> bool:
    return name in op.facts.examines or array.dtype.kind in "iub"


def _allocated(
    op: Operator[..., Any],
    where: Device,
    plan: Plan[Any],
    skipped: Collection[str],
    into: Array | None,
) -> tuple[Any, ...]:
    """The outputs, without entries where they are skipped and are no results."""
    specs: Sequence[Spec] = plan.outputs
    if skipped:
        numbers = [op.outputs.index(name) for name in skipped]
        specs = [
            spec if j < plan.results or j not in numbers else Spec((0,), spec.dtype)
            for j, spec in enumerate(specs)
        ]
    if into is not None:
        return into, *[where.empty(*spec) for spec in specs[1:]]
    return tuple([where.empty(*spec) for spec in specs])


@np.errstate(all="ignore")
def _by_definition(
    definition: Callable[..., Any],
    where: Device,
    arrays: Sequence[Any],
    specs: Sequence[Any],
    plan: Plan[Any],
) -> tuple[Any, ...]:
    """Run the reference: float64 in, and its results rounded to the dtypes of ``specs``.

    Infinities and NaN come and go as in kernels, without NumPy's warnings.
    """
    exact = [each(array, lambda a: widen(where.to_host(a))) for array in arrays]
    results = definition(*exact, plan.geometry)
    results = results if isinstance(results, tuple) else (results,)
    return tuple(
        each(rounded(result, spec), where.from_host)
        for result, spec in zip(results, specs, strict=True)
    )


def widen(array: Any) -> Any:
    """In float64, if it holds floats; numbers on the GPU (:mod:`numseg.ops.numbers`) stay."""
    if not isinstance(array, np.ndarray):
        return array
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def rounded(result: Any, spec: Any) -> Any:
    """The result as fresh arrays of the dtypes of ``spec``; zeros where it is 0."""
    if spec is None:
        return None
    if not isinstance(spec, Spec):
        results = result if isinstance(result, (list, tuple)) else [result] * len(spec)
        return tuple(rounded(*pair) for pair in zip(results, spec, strict=True))
    if np.ndim(result) == 0:
        return np.full(spec.shape, result, spec.dtype)
    return np.array(result, spec.dtype, order="C").reshape(spec.shape)
