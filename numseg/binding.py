"""The parameters of an operator, and which value a call gives to each."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from numseg.errors import ArgumentTypeError


class Parameters:
    """What a signature says, looked up once."""

    def __init__(self, name: str, signature: inspect.Signature, arrays: Sequence[str]) -> None:
        parameters = signature.parameters
        empty = inspect.Parameter.empty
        self.names = tuple(parameters)
        self.defaults = {n: p.default for n, p in parameters.items() if p.default is not empty}
        self.sequences = {n for n in arrays if parameters[n].annotation.startswith("Sequence[")}
        """Arguments that are several arrays."""
        self.arrays = [self.names.index(name) for name in arrays]
        """Places of the array arguments."""
        self._operator = name
        self._signature = signature
        self._place = {name: place for place, name in enumerate(parameters)}
        self._values = [p.default for p in parameters.values()]
        self._required = [i for i, value in enumerate(self._values) if value is empty]
        self._positional = sum(p.kind is not p.KEYWORD_ONLY for p in parameters.values())

    def values(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
        """The value of each parameter, defaults included."""
        given = len(args)
        values = [*args, *self._values[given:]]
        wrong = given > self._positional
        for name, value in kwargs.items():
            place = self._place.get(name, -1)
            wrong |= place < given  # unknown, or given twice
            values[place] = value
        for place in self._required:
            wrong |= values[place] is inspect.Parameter.empty
        if wrong:
            try:
                self._signature.bind(*args, **kwargs)  # it knows what to say
            except TypeError as error:
                raise ArgumentTypeError(f"{self._operator}: {error}") from None
        return values

    def by_name(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The same by name."""
        return dict(zip(self.names, self.values(args, kwargs), strict=True))
