"""Forks: a child process must not wait for what only another thread of its parent could finish.

A fork copies one thread, and every lock as it is. A module that another thread was importing stays
half made in the child, and locked; so does whatever a held lock guards. Therefore a fork waits
until no other thread imports a module that calls may need, nor holds a lock given to :func:`hold`.
An import that begins between that and the fork itself has hardly run a line: the child forgets it.
"""

from __future__ import annotations

import concurrent.futures.thread
import functools
import importlib
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

_EARLIER = concurrent.futures.thread, logging
"""Numba imports these, which take locks at a fork. They must be here first: then a fork waits for
imports before it takes their locks (an import may want them), and knows of both at its end."""

PATIENCE = 60
"""Seconds that a fork waits for imports: one of them may wait for the thread that forks."""

_imports: Any = importlib._bootstrap  # Python shows the locks of imports here only
_packages = {"llvmlite", "numba", "numpy", "numseg", "scipy"}
_locks: list[Any] = []
_mine = threading.local()


if TYPE_CHECKING:
    from functools import cached_property as cached_property
else:

    class cached_property(functools.cached_property):  # noqa: N801  (a decorator)
        """``functools.cached_property`` without the lock that Python 3.11's holds meanwhile."""

        def __get__(self, instance, owner=None):
            if instance is None:
                return self
            values, name = vars(instance), self.attrname
            return values[name] if name in values else values.setdefault(name, self.func(instance))


def watch(package: str) -> None:
    """Let forks wait for imports of this package or module, and of what is in it.

    Not for those of all modules: the import of a program's may last as long as the program.
    """
    _packages.add(package)


def hold(lock: Any) -> None:
    """Let forks hold this lock, a reentrant one. Who has it may import, and take no other such."""
    _locks.append(lock)


def in_child(do: Callable[[], None]) -> None:
    """Call this in forked children."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=do)


def _watched() -> list[Any]:
    """The locks of watched modules that other threads import, or have just imported or begun."""
    here = threading.get_ident()
    alive = [(name, lock()) for name, lock in list(_imports._module_locks.items())]
    return [lock for name, lock in alive if lock and lock.owner != here and _is_watched(name)]


def _is_watched(module: str) -> bool:
    return any(module == package or module.startswith(package + ".") for package in _packages)


def _before() -> None:
    _mine.held = []
    patience = time.monotonic() + PATIENCE
    while True:
        for lock in tuple(_locks):
            lock.acquire()
            _mine.held.append(lock)
        if not any(lock.owner for lock in _watched()) or time.monotonic() > patience:
            return
        _release()  # an import may need them
        time.sleep(0.001)


def _release() -> None:
    while _mine.held:
        _mine.held.pop().release()


def _in_child() -> None:
    for lock in _watched():
        _imports._module_locks.pop(lock.name, None)
        if getattr(getattr(sys.modules.get(lock.name), "__spec__", None), "_initializing", False):
            del sys.modules[lock.name]
    _release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_release, after_in_child=_in_child)
