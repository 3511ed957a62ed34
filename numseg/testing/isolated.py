"""Calls in a process of their own: they may crash, or never return."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import sys
import warnings
from collections.abc import Callable
from typing import Any

PATIENCE = 5.0
"""Seconds that a call may take; one after a few that took longer."""

FIRST = 60.0
"""Seconds until the first result: something may have to be compiled or imported."""


class Lost(Exception):
    """A call did not come back; says why."""


class Isolated:
    """``do(arguments)`` in a forked process, which is replaced when it dies or hangs."""

    def __init__(self, do: Callable[[Any], Any]) -> None:
        self._do, self._lost, self._answered = do, 0, False
        self._process: Any = None
        self._here: Any = None

    @staticmethod
    def possible() -> bool:
        """Are there forks on this system?"""
        return "fork" in multiprocessing.get_all_start_methods() and sys.platform != "darwin"

    def __call__(self, arguments: Any) -> Any:
        if self._process is None:
            self._start()
        try:
            self._here.send(arguments)
            patience = (PATIENCE if self._lost < 3 else 1.0) if self._answered else FIRST
            if not self._here.poll(patience):
                raise Lost(f"no result within {PATIENCE:g} seconds")
            answer, self._answered = self._here.recv(), True
            return answer
        except (EOFError, ConnectionError, Lost) as error:
            self._lost += 1
            code = self.close()
            if isinstance(error, Lost):
                raise
            raise Lost(f"the process died: {_cause(code)}") from None

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
