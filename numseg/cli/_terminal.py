"""Output that any terminal, file or pipe takes: names that it cannot show, readers that go away."""

from __future__ import annotations

import codecs
import contextlib
import os
import sys
from typing import Any

HANDLER = "numseg.shown"


def shown(error: UnicodeError) -> tuple[str | bytes, int]:
    """What stands for a letter that the encoding has not: of a file name that is no text the bytes
    it has, and else its number, ``\\xfc``."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letter = error.object[error.start]
    if "\udc80" <= letter <= "\udcff":
        return bytes([ord(letter) - 0xDC00]), error.start + 1
    error.end = error.start + 1  # what follows may be a byte
    return codecs.backslashreplace_errors(error)[0], error.end


def prepare() -> None:
    """Nothing that is printed ends in an error, whatever the terminal's encoding is."""
    codecs.register_error(HANDLER, shown)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed before Python began, as by >&-
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        # a stream of somebody's own has no such setting
        with contextlib.suppress(AttributeError, ValueError, OSError):
            if stream.errors != HANDLER:
                stream.reconfigure(errors=HANDLER)  # type: ignore[union-attr]


def flush() -> None:
    """What is printed has gone out, or there is an error now and not when Python ends."""
    sys.stdout.flush()


def say(line: str) -> None:
    """A line on stderr, if anybody reads it."""
    with contextlib.suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)


def drop(stream: Any) -> None:
    """Whatever else is printed there goes nowhere: its reader has gone, or its disk is full."""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
