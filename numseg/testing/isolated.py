"""Calls in a process of their own: they may crash, or never return."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

PATIENCE = 5.0
"""Seconds that a call may take, unless a timeout is given; one after a few that took longer."""

FIRST = 30.0
"""Seconds until the first result: something may have to be compiled or imported."""


class Lost(Exception):
    """A call did not come back; says why."""


class Hung(Lost):
    """A call did not come back in time."""


class Isolated:
    """``do(arguments)`` in a forked process, which is replaced when it dies or hangs.

    A process that replaces another may have to compile everything again: its first call may take
    as much longer as the first call of all did.
    """

    def __init__(self, do: Callable[[Any], Any], timeout: float | None = None) -> None:
        self._do, self._timeout = do, timeout
        self._hung, self._start_up = 0, -1.0
        """How many calls did not return; how long the first answer took (-1: there was none)."""
        self._process: Any = None
        self._here: Any = None

    @staticmethod
    def possible() -> bool:
        """Are there forks on this system?"""
        return "fork" in multiprocessing.get_all_start_methods() and sys.platform != "darwin"

    def __call__(self, arguments: Any) -> Any:
        fresh = self._process is None
        if fresh:
            self._start()
        patience, started = self._patience(), time.monotonic()
        extra = 2 * self._start_up if fresh and self._timeout is None else 0.0
        try:
            self._here.send(arguments)
            if not self._here.poll(patience + max(extra, 0)):
                raise Hung(f"no result within {patience:g} seconds")
            answer = self._here.recv()
        except (EOFError, ConnectionError, Hung) as error:
            self._hung += isinstance(error, Hung)
            code = self.close()
            if isinstance(error, Hung):
                raise
            raise Lost(f"the process died: {_cause(code)}") from None
        if self._start_up < 0:
            self._start_up = time.monotonic() - started
        return answer

    def _patience(self) -> float:
        """Seconds that the next call may take."""
        if self._timeout is not None:
            return self._timeout
        if self._start_up < 0:
            return FIRST if self._hung == 0 else min(FIRST, PATIENCE)
        return PATIENCE if self._hung < 3 else min(1.0, PATIENCE)

    def close(self) -> int | None:
        """End the process; its exit code, if it had ended before."""
        if self._process is None:
            return None
        self._here.close()
        self._process.join(0.2)
        code = self._process.exitcode
        self._process.kill()
        self._process.join()
        self._process = None
        return code if isinstance(code, int) else None

    def _start(self) -> None:
        fork = multiprocessing.get_context("fork")
        self._here, there = fork.Pipe()
        self._process = fork.Process(target=self._serve, args=(self._here, there), daemon=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of threads here: the child uses none of them
            self._process.start()
        there.close()

    def _serve(self, here: Any, there: Any) -> None:
        here.close()
        with contextlib.suppress(EOFError, KeyboardInterrupt):
            while True:
                there.send(self._do(there.recv()))


def _cause(code: int | None) -> str:
    if code is None:
        return "nobody knows why"
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
