"""Somebody else's function, called with the arguments of an operator of ours."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from numseg.conventions import Arguments, Unsupported
from numseg.errors import ArgumentError
from numseg.operator import Operator
from numseg.testing.isolated import Isolated, Lost
from numseg.testing.subject import as_numpy
from numseg.typing import Array

class Refused(NamedTuple):
    """The function raised an error."""

    error: str
    message: str


class Given(NamedTuple):
    """What the function gave."""

    results: list[Array]
    gradients: dict[str, Array]
    """By our arguments' names; a sequence's parts are numbered."""


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
    ) -> None:
        self._isolated = Isolated(self._answer) if isolate and Isolated.possible() else None
        self.function, self.adapt, self.backward, self.op = function, adapt, backward, op
        self.constants = dict(constants or {})
        self.gradient = gradient or backward is not None
        self._parameters = parameters(adapt or function)
        self.takes = self._matched(dict(names or {}))
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

    def call(self, arguments: Arguments) -> Given | Refused:
        """Results, and gradients if they are wanted, as NumPy arrays."""
        if self._isolated is None:
            answer = self._answer(arguments)
        else:
            try:
                answer = self._isolated(arguments)
            except Lost as error:
                return Refused("Lost", str(error))
        if isinstance(answer, str):
            raise Unsupported(answer)
        return answer

    def close(self) -> None:
        """End the process of isolated calls."""
        if self._isolated is not None:
            self._isolated.close()

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
            except Exception as error:
                lines = str(error).strip().splitlines() or [""]
                return Refused(type(error).__name__, lines[0])

    def _taken(self, arguments: Arguments) -> Given:
        converted = {n: self._convert(n, arguments[n]) for n in self.takes if n in arguments}
        leaves = self._leaves(converted) if self.gradient and self.backward is None else {}
        args, kwargs = self._spelled(converted)
        raw = self.function(*args, **kwargs)
        raw = raw if isinstance(raw, (tuple, list)) else (raw,)
        results = [as_numpy(r) for r in raw]
        gradients: dict[str, Array] = {}
        if self.gradient and results[0].dtype.kind == "f":
            grad_y = self.grad_y(results[0].shape, results[0].dtype)
            if self.backward is not None:
                gradients = self._their_backward(grad_y, args, kwargs)
            elif leaves:
                gradients = _autograd(raw[0], leaves, grad_y)
        return Given(results, gradients)

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
            copy = value.copy()
            return copy if self._library is None else self._library.asarray(copy)
        if isinstance(value, (list, tuple)):
            parts = [self._convert(name, part) for part in value]
            return parts if name in self.op.parameters.sequences else tuple(parts)
        return value

    def _leaves(self, converted: Arguments) -> dict[str, Any]:
        leaves: dict[str, Any] = {}
        for name in self.op.differentiable:
            value = converted.get(name)
            for j, part in enumerate(value if isinstance(value, list) else [value]):
                if part is not None and part.is_floating_point():
                    label = f"{name}[{j}]" if isinstance(value, list) else name
                    leaves[label] = part.requires_grad_()
        return leaves

    def _their_backward(self, grad_y: Array, args: list[Any], kwargs: Arguments) -> dict[str, Any]:
        assert self.backward is not None
        made = self.backward(
            grad_y if self._library is None else self._library.asarray(grad_y), *args, **kwargs
        )
        if not isinstance(made, Mapping):
            made = made if isinstance(made, (tuple, list)) else (made,)
            made = dict(zip(self.op.differentiable, made, strict=False))
        return {name: as_numpy(g) for name, g in made.items() if g is not None}

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
