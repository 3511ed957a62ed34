"""The command line. A command is a module here, with ``add_parser(subparsers)`` and ``run(args)``.

``run`` returns the exit code, or None for 0. What the user can put right ends in one line on stderr
and exit code 2; anything else is a defect of numseg and keeps its traceback.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import pkgutil
import sys
import warnings
from collections.abc import Sequence

from numseg.cli import _terminal
from numseg.errors import ArgumentError, DeviceError, FileError, MismatchError, MissingExtra

USER_ERRORS = (ArgumentError, DeviceError, FileError, MissingExtra, OSError)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit code."""
    _terminal.prepare()
    command = ""
    try:
        try:
            arguments = make_parser().parse_args(argv)
        finally:
            _terminal.flush()  # of --help
        command = f" {arguments.command}"
        with warnings.catch_warnings():
            warnings.showwarning = functools.partial(_warn, command)
            module = importlib.import_module(f"{__name__}.{arguments.command}")
            code = module.run(arguments) or 0
        _terminal.flush()
        return code
    except BrokenPipeError as gone:  # the reader of our output (head, less) has gone
        _terminal.drop(sys.stdout)
        for note in getattr(gone, "__notes__", []):
            _terminal.say(f"numseg: nobody reads the output any more: {note}")
        return 1
    except KeyboardInterrupt as stop:
        kept = "; ".join(getattr(stop, "__notes__", []))
        _terminal.say(f"\nnumseg: interrupted{': ' if kept else ''}{kept}")
        return 130
    except USER_ERRORS as error:
        _terminal.say(f"numseg{command}: error: {_said(error)}")
        try:
            _terminal.flush()
        except OSError:  # a full disk, of which there will be no more to say
            _terminal.drop(sys.stdout)
        return 2


def _said(error: Exception) -> str:
    """One line; of names that do not fit, one for each."""
    if isinstance(error, MismatchError):
        return str(error)
    return " ".join(str(error).split())


def _warn(command: str, message: Warning | str, *rest: object) -> None:
    """A warning in one line."""
    _terminal.say(f"numseg{command}: warning: {' '.join(str(message).split())}")


def commands() -> list[str]:
    """The names of the modules here."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


class Parser(argparse.ArgumentParser):
    """One line for an error, and examples kept as they are written."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]

    def error(self, message: str) -> None:  # type: ignore[override]
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def make_parser() -> Parser:
    """The parser of all commands."""
    from numseg import __version__

    parser = Parser(
        prog="numseg",
        description="Semantic segmentation with operators that say what they compute.",
        epilog="numseg COMMAND --help shows a command's options and examples.",
    )
    parser.add_argument("--version", action="version", version=f"numseg {__version__}")
    subparsers = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, parser_class=Parser
    )
    for name in commands():
        importlib.import_module(f"{__name__}.{name}").add_parser(subparsers)
    return parser
