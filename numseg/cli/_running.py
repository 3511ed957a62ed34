"""What commands that train have in common."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def resumable() -> Iterator[None]:
    """An interruption that kept something also says how to go on."""
    try:
        yield
    except (KeyboardInterrupt, BrokenPipeError) as stop:
        if any(" epochs are in " in note for note in getattr(stop, "__notes__", [])):
            stop.add_note("--resume goes on there")
        raise
