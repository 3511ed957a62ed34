"""What commands that run long have in common."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from numseg.cli import _terminal


@contextlib.contextmanager
def resumable() -> Iterator[None]:
    """An interruption that kept something also says how to go on."""
    try:
        yield
    except (KeyboardInterrupt, BrokenPipeError) as stop:
        if any(" epochs are in " in note for note in getattr(stop, "__notes__", [])):
            stop.add_note("--resume goes on there")
        raise


def say_if_new(command: str, checkpoint: Path) -> None:
    """Where ``--resume`` finds nothing to go on from, it says so."""
    if not checkpoint.exists():
        _terminal.say(f"numseg {command}: there is no {checkpoint} yet: it trains from the start")


def progress() -> Any:
    """tqdm's progress bar, or the error that names the extra."""
    from numseg.files import optional

    return optional("tqdm", "tqdm", "train", "a progress bar").tqdm
