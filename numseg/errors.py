"""The errors numseg raises on purpose. Each is one line that names the argument and both values;
:class:`MismatchError` has a line for each name."""

from __future__ import annotations


class ArgumentError(ValueError):
    """An argument is wrong. Raised before any work is done; no array has been touched."""


class ArgumentTypeError(ArgumentError, TypeError):
    """An argument has the wrong type or dtype."""


class MismatchError(ArgumentError):
    """Arrays are not a graph's parameters. If more than three differ, a line for each, under one
    that counts them."""


class DeviceError(RuntimeError):
    """The arrays live on a device that cannot run the operator."""


class FileError(ValueError):
    """A file is missing, damaged, or not what its name says."""


class MissingExtra(ImportError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(package, extra, purpose)  # what it is unpickled from

    def __str__(self) -> str:
        package, extra, purpose = self.args
        return f"{purpose} needs {package}, which is not installed: pip install 'numseg[{extra}]'"


MOST = 100
"""Characters of a value in an error."""


def shown(value: object) -> str:
    """The value as errors show it: its repr, in one line, and not all of a long one."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # an integer of too many digits, or somebody's own class
        return f"a value of type {type(value).__name__}"
    return text if len(text) <= MOST else f"{text[: MOST - 20]}... ({type(value).__name__})"


def printable(name: str) -> str:
    """A name out of a file, in one line and with no signs that a terminal would obey."""
    return name if name.isprintable() else repr(name)[1:-1]


def one_line(error: BaseException) -> str:
    """What another library's error says, in one line."""
    return " ".join(str(error).split())
