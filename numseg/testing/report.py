"""What every check returns."""

from __future__ import annotations

import abc
import dataclasses
import os

from numseg.testing import reproduce
from numseg.testing.subject import Subject


@dataclasses.dataclass(frozen=True)
class Report(abc.ABC):
    """What a check found; true if it passed, and printable."""

    function: str
    inputs: str
    dtype: str
    """What the function computes in."""
    seed: int
    tolerance: float
    code: str = dataclasses.field(repr=False, compare=False)
    """A program that repeats the check."""
    subject: Subject = dataclasses.field(repr=False, compare=False)

    @property
    @abc.abstractmethod
    def status(self) -> str:
        """ "pass", "fail" or, where a kink is near and nothing is wrong, "kink"."""

    @abc.abstractmethod
    def lines(self) -> list[str]:
        """What is printed, before the tolerance and the program."""

    @property
    def passed(self) -> bool:
        return self.status == "pass"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the arrays that :attr:`code` reads, where they are too large to be part of it."""
        reproduce.save(path, self.subject)

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        lines = [*self.lines(), f"  inputs: {self.inputs}"]
        if not self.passed:
            lines += ["  repeat:", *(f"    {line}" for line in self.code.splitlines())]
        return "\n".join(lines)

    __repr__ = __str__
