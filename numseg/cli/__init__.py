"""The command line. A command is a module here, with ``add_parser(subparsers)`` and ``run(args)``.

``run`` returns the exit code, or None for 0. What the user can put right ends in one line on stderr
and exit code 2; anything else is a defect of numseg and keeps its traceback.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import sys
from collections.abc import Sequence

from numseg.errors import ArgumentError, DeviceError, FileError, MissingExtra

USER_ERRORS = (ArgumentError, DeviceError, FileError, MissingExtra, OSError)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit code."""
    arguments = make_parser().parse_args(argv)
    try:
        command = importlib.import_module(f"{__name__}.{arguments.command}")
        code = command.run(arguments) or 0
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader of our output (head, less) has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt as stop:
        kept = "; ".join(getattr(stop, "__notes__", []))
        print(f"\nnumseg: interrupted{': ' if kept else ''}{kept}", file=sys.stderr)
        return 130
    except USER_ERRORS as error:
        line = " ".join(str(error).split())
        print(f"numseg {arguments.command}: error: {line}", file=sys.stderr)
        return 2


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
