"""Somebody else's function, called with the arguments of an operator of ours."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from numseg.conventions import Arguments, Unsupported
from numseg.errors import ArgumentError
from numseg.operator import Operator
from numseg.testing import guarded, matching
from numseg.testing.guarded import Guard
from numseg.testing.isolated import Hung, Isolated, Lost
from numseg.testing.matching import Parameter, parameters
from numseg.testing.subject import as_numpy
from numseg.typing import Array

__all__ = ["Conduct", "Foreign", "Given", "Parameter", "Refused", "parameters"]


class Refused(NamedTuple):
    """The function raised an error."""

    error: str
    message: str


class Conduct(NamedTuple):
    """What a call did besides computing."""

    written: tuple[str, ...] = ()
    """Arguments of ours that hold something else than before; "grad_y" is one."""
    shared: tuple[tuple[int, str], ...] = ()
    """Results, by place, that lie in the memory of an argument."""
    reused: tuple[int, ...] = ()
    """Results of the call before, by place, that hold something else since this call."""
    numbers: tuple[int, ...] = ()
    """Results that are numbers of Python's, which state no dtype."""
    named: tuple[str, ...] = ()
    """Their arguments that got a value."""


class Given(NamedTuple):
    """What the function gave."""

    results: list[Array]
    gradients: dict[str, Array]
    """By our arguments' names; a sequence's parts are numbered."""
    conduct: Conduct = Conduct()


class Foreign:
    """A function with what it takes of an operator's arguments.

    ``takes`` maps our names to theirs.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        op: Operator[..., Any],
        *,
        adapt: Callable[..., Any] | None = None,
        names: Mapping[str, str] | None = None,
        constants: Mapping[str, Any] | None = None,
        arrays: str = "auto",
        backward: Callable[..., Any] | None = None,
        gradient: bool = False,
        isolate: bool = False,
        timeout: float | None = None,
    ) -> None:
        isolated = isolate and Isolated.possible()
        self._isolated = Isolated(self._asked, timeout) if isolated else None
        self.hung = 0
        """So many calls did not return in time."""
        self.function, self.adapt, self.backward, self.op = function, adapt, backward, op
        self.constants = dict(constants or {})
        self.gradient = gradient or backward is not None
        self._parameters = parameters(adapt or function)
        self.takes = matching.matched(
            self._parameters, op, dict(names or {}), self.constants, adapt is not None
        )
        self._previous: list[tuple[Array, Array]] = []
        """The results of the last call, and copies of them."""
        self._library = _library(function) if arrays == "auto" else _named_library(arrays)
        self._undecided = arrays == "auto" and self._library is None
        if gradient and backward is None and self._module_name() != "torch":
            raise ArgumentError(
                "gradient: wants a function of torch tensors (arrays='torch') or a backward"
            )

    @property
    def arrays(self) -> str:
        """The library whose arrays it gets."""
        return self._module_name()

    @property
    def isolated(self) -> bool:
        """Is it called in a process of its own?"""
        return self._isolated is not None

    def call(self, arguments: Arguments, guard: Guard | None = None) -> Given | Refused:
        """Results, and gradients if they are wanted, as NumPy arrays."""
        if self._isolated is None:
            answer = self._answer(arguments)
        else:
            try:
                answer = self._isolated((arguments, guard))
            except Lost as error:
                self.hung += isinstance(error, Hung)
                return Refused("Lost", str(error))
        if isinstance(answer, str):
            raise Unsupported(answer)
        return answer

    def renew(self) -> None:
        """Let the next call be the first of a new process."""
        if self._isolated is not None:
            self._isolated.close()

    def idle(self, named: Iterable[str]) -> list[str]:
        """Their arguments that are none of these, which got a value; nor private."""
        theirs = parameters(self.function) if self.adapt is not None else self._parameters
        return [p.name for p in theirs if p.name not in named and not p.name.startswith("_")]

    def close(self) -> None:
        """End the process of isolated calls."""
        self.renew()

    def _asked(self, request: tuple[Arguments, Guard | None]) -> Given | Refused | str:
        """In the process of isolated calls."""
        with guarded.guard(request[1]):
            return self._answer(request[0])

    def _answer(self, arguments: Arguments) -> Given | Refused | str:
        """What a call gives; why not, if their framework has no words for it."""
        try:
            return self._settled(arguments)
        except Unsupported as error:
            return str(error)

    def _settled(self, arguments: Arguments) -> Given | Refused:
        """A call; the first ones also find out whether torch's arrays are wanted."""
        outcome = self._call(arguments)
        if self._undecided and isinstance(outcome, Refused) and "torch" in sys.modules:
            self._library = sys.modules["torch"]
            second = self._call(arguments)
            if isinstance(second, Refused):
                self._library = None
            else:
                outcome = second
        if isinstance(outcome, Given):
            self._undecided = False
        return outcome

    def grad_y(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """What gradients are taken for: whole numbers, so that sums of them are exact."""
        rng = np.random.default_rng([1, *shape])
        return rng.integers(-4, 5, shape).astype(dtype)

    # -- the call ------------------------------------------------------------------------------

    def _call(self, arguments: Arguments) -> Given | Refused:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                return self._taken(arguments)
            except Unsupported:
                raise
            except (Exception, SystemExit) as error:
                lines = str(error).strip().splitlines() or [""]
                return Refused(type(error).__name__, lines[0])

    def _taken(self, arguments: Arguments) -> Given:
        converted: Arguments = {}
        for name in self.takes:
            if name in arguments:
                with guarded.owner(name):
                    converted[name] = self._convert(name, arguments[name])
        leaves = self._leaves(converted) if self.gradient and self.backward is None else {}
        args, kwargs = self._spelled(converted)
        raw = self.function(*args, **kwargs)
        raw = raw if isinstance(raw, (tuple, list)) else (raw,)
        views = [as_numpy(r) for r in raw]
        results = [view.copy() for view in views]  # as they are before backward runs
        watched = {n: (converted[n], arguments[n]) for n in converted}
        gradients: dict[str, Array] = {}
        if self.gradient and results[0].dtype.kind == "f":
            grad_y = self.grad_y(results[0].shape, results[0].dtype)
            if self.backward is not None:
                with guarded.owner("grad_y"):
                    given = self._array(grad_y)
                watched["grad_y"] = given, grad_y
                gradients = self._their_backward(given, args, kwargs)
            elif leaves:
                gradients = _autograd(raw[0], leaves, grad_y)
        conduct = Conduct(
            tuple(n for n, (now, before) in watched.items() if _written(now, before)),
            tuple(_shared(views, watched)),
            tuple(j for j, (now, then) in enumerate(self._previous) if not same_bits(now, then)),
            tuple(j for j, r in enumerate(raw) if type(r) in (bool, int, float)),
            tuple(self._names(len(args), kwargs)),
        )
        self._previous = list(zip(views, results, strict=True))
        return Given(results, gradients, conduct)

    def _names(self, places: int, kwargs: Arguments) -> list[str]:
        """Those of their arguments that get something."""
        theirs = parameters(self.function) if self.adapt is not None else self._parameters
        if self.adapt is None:
            return [*self.takes.values(), *self.constants]
        return [*(p.name for p in theirs[:places]), *kwargs]

    def _spelled(self, converted: Arguments) -> tuple[list[Any], Arguments]:
        """Positional and keyword arguments of their function."""
        if self.adapt is not None:
            made = self.adapt(**{self.takes[n]: v for n, v in converted.items()})
            if isinstance(made, Mapping):
                return [], {**made, **self.constants}
            return list(made), dict(self.constants)
        by_name = {self.takes[n]: v for n, v in converted.items()} | self.constants
        given = {p.name: p for p in self._parameters}
        args = [by_name[p.name] for p in self._parameters if p.by_place and p.name in by_name]
        kwargs = {
            n: v
            for n, v in by_name.items()
            if not given[n].by_place and (v is not None or given[n].required)
        }
        return args, kwargs

    def _convert(self, name: str, value: Any) -> Any:
        """A copy of an array, as the function wants arrays; tuples for lists of numbers."""
        if isinstance(value, np.ndarray):
            return self._array(value)
        if isinstance(value, (list, tuple)):
            parts = [self._convert(name, part) for part in value]
            return parts if name in self.op.parameters.sequences else tuple(parts)
        return value

    def _array(self, value: Array) -> Any:
        copy = value.copy()
        return copy if self._library is None else self._library.asarray(copy)

    def _leaves(self, converted: Arguments) -> dict[str, Any]:
        leaves: dict[str, Any] = {}
        for name in self.op.differentiable:
            value = converted.get(name)
            for j, part in enumerate(value if isinstance(value, list) else [value]):
                if part is not None and part.is_floating_point():
                    label = f"{name}[{j}]" if isinstance(value, list) else name
                    leaves[label] = part.requires_grad_()
        return leaves

    def _their_backward(self, grad_y: Any, args: list[Any], kwargs: Arguments) -> dict[str, Any]:
        assert self.backward is not None
        made = self.backward(grad_y, *args, **kwargs)
        if not isinstance(made, Mapping):
            made = made if isinstance(made, (tuple, list)) else (made,)
            made = dict(zip(self.op.differentiable, made, strict=False))
        return {name: as_numpy(g).copy() for name, g in made.items() if g is not None}

    def _module_name(self) -> str:
        return "numpy" if self._library is None else str(self._library.__name__)


def size_of(arguments: Arguments) -> tuple[int, int, float]:
    """How large a call is: the numbers in its arrays, their axes, then the numbers' sizes."""
    found = [a for v in arguments.values() for a in arrays(v)]
    size = sum(a.size for a in found) or 10**6  # an empty call shows little
    largest = sum(sum(a.shape) for a in found)
    return size, largest, float(sum(np.abs(a[np.abs(a) < 1e9]).sum() for a in found))


def arrays(value: Any) -> list[Array]:
    """The arrays in an argument."""
    if isinstance(value, (list, tuple)):
        return [a for part in value for a in arrays(part)]
    return [value] if isinstance(value, np.ndarray) else []


def same_bits(a: Array, b: Array) -> bool:
    """The same shape, dtype and bits; every NaN is the same."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.dtype.kind == "f":
        a, b = (np.where(np.isnan(v), np.nan, v) for v in (a, b))
    return a.tobytes() == b.tobytes()


def _pairs(now: Any, before: Any) -> Iterator[tuple[Any, Array]]:
    """The arrays of an argument, with what they were made of."""
    if isinstance(before, np.ndarray):
        yield now, before
    elif isinstance(before, (list, tuple)):
        for part, was in zip(now, before, strict=True):
            yield from _pairs(part, was)


def _written(now: Any, before: Any) -> bool:
    """Has the function changed an argument?"""
    return any(not same_bits(as_numpy(a), b) for a, b in _pairs(now, before))


def _shared(views: list[Array], watched: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    """Results in the memory of an argument, which is one block."""
    for name, (now, before) in watched.items():
        for array, _ in _pairs(now, before):
            for place, view in enumerate(views):
                if np.may_share_memory(view, as_numpy(array)):
                    yield place, name


def _autograd(y: Any, leaves: dict[str, Any], grad_y: Array) -> dict[str, Array]:
    torch = sys.modules["torch"]
    if not y.requires_grad:
        return {}
    grads = torch.autograd.grad(y, list(leaves.values()), torch.asarray(grad_y), allow_unused=True)
    return {n: as_numpy(g) for n, g in zip(leaves, grads, strict=True) if g is not None}


def _library(function: Callable[..., Any]) -> Any:
    """Torch for functions of torch's; None, NumPy, for what is not known."""
    root = (getattr(function, "__module__", None) or "").partition(".")[0]
    return importlib.import_module("torch") if root in ("torch", "torchvision") else None


def _named_library(name: str) -> Any:
    if name == "numpy":
        return None
    try:
        library = importlib.import_module(name)
    except ImportError as error:
        raise ArgumentError(f"arrays: cannot import {name}: {error}") from None
    if not hasattr(library, "asarray"):
        raise ArgumentError(f"arrays: {name} has no asarray")
    return library
