"""What is given by name: a function or class as ``module:attribute``, an operator of numseg's by
its own name. And back: the name by which a thing is found again."""

from __future__ import annotations

import difflib
import functools
import importlib
import importlib.util
import os
import pkgutil
import sys
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from numseg.errors import ArgumentError, ArgumentTypeError, FileError, one_line
from numseg.operator import Operator
from numseg.ops.registry import OPERATORS


def load(name: str) -> Any:
    """What ``package.module:attribute`` or ``folder/file.py:attribute`` names.

    Raises
    ------
    ArgumentError, FileError
        If there is no such thing.
    """
    where, _, what = name.rpartition(":")
    if not where or not what:
        raise ArgumentError(f"expected module:name, got {name!r}")
    found = _file(Path(where)) if where.endswith(".py") else imported(where)
    for part in what.split("."):
        if not hasattr(found, part):
            hint = close_to(part, dir(found))
            raise ArgumentError(f"{where} has no function {what!r}{hint}")
        found = getattr(found, part)
    return found


def imported(module: str) -> Any:
    """A module, also one of the current folder."""
    if os.getcwd() not in sys.path:  # as python -m has it; the numseg command does not
        sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or module
        hint = _sibling(module, missing) if module.startswith(missing) else ""
        raise ArgumentError(f"cannot import {module}: {error}{hint}") from None
    except (Exception, SystemExit) as error:
        raise _broken(module, error) from error


def _sibling(module: str, missing: str) -> str:
    """A module that exists and is spelt nearly as ``missing``, a part of ``module``."""
    parent, _, last = missing.rpartition(".")
    paths = importlib.import_module(parent).__path__ if parent else None
    near = close_to(last, {found.name for found in pkgutil.iter_modules(paths)}, cutoff=0.75)
    return near.replace("(is it ", f"(is it {parent}.") if parent else near


def _broken(module: str, error: BaseException) -> ArgumentError:
    """What somebody else's module raised while it was imported, and where."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    place = "" if isinstance(error, SyntaxError) else place  # which states its own
    said = f"{type(error).__name__}: {one_line(error)}"
    return ArgumentError(f"cannot import {module}: {said}{place}")


@functools.cache
def _file(path: Path) -> Any:
    if not path.is_file():
        raise FileError(f"{path}: there is no such file")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise _broken(str(path), error) from error
    return module


def close_to(given: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """ " (is it size?)": what a misspelt word may have meant; "" if nothing is near it."""
    close = difflib.get_close_matches(given, list(known), cutoff=cutoff)
    return f" (is it {' or '.join(close)}?)" if close else ""


def find(what: str, given: Any, known: Mapping[str, Any]) -> Any:
    """``known[given]``, or what ``module:name`` names, or the thing itself if it is no word."""
    if not isinstance(given, str):
        return given
    if given in known:
        return known[given]
    if ":" not in given:
        words = ", ".join(map(repr, known))
        raise ArgumentError(f"{what} must be one of {words}, or module:name, got {given!r}")
    return load(given)


def named(what: str, given: Any, known: Mapping[str, Any]) -> Any:
    """The word by which :func:`find` gives the same function or class, where there is one; else
    what was given."""
    found = find(what, given, known)
    if not callable(found):
        raise ArgumentTypeError(f"{what} must be a word or a function, got {given!r}")
    return name_of(found, known) or given


def name_of(thing: Any, known: Mapping[str, Any]) -> str | None:
    """The word by which :func:`find` gives this very thing; None where it has none.

    What is made inside a function, a lambda for example, has none.
    """
    for name, other in known.items():
        if other is thing:
            return name
    module, qualified = getattr(thing, "__module__", None), _qualified(thing)
    found: Any = sys.modules.get(module or "")
    for part in (qualified or "").split("."):
        found = getattr(found, part, None)
    return f"{module}:{qualified}" if found is thing else None


def _qualified(thing: Any) -> str | None:
    return getattr(thing, "__qualname__", None) or getattr(thing, "__name__", None)


def operator(what: str, given: Any) -> Operator[..., Any]:
    """An operator, given itself or its name: ``"dice_loss"``, ``"my_package.losses:tversky"``."""
    if isinstance(given, str) and ":" not in given:
        if given not in OPERATORS:
            hint = close_to(given, OPERATORS)
            raise ArgumentError(f"{what}: numseg has no operator {given!r}{hint}")
        return OPERATORS[given]
    found = load(given) if isinstance(given, str) else given
    if not isinstance(found, Operator):
        raise ArgumentTypeError(f"{what} must be an operator or the name of one, got {given!r}")
    return found


def operator_name(found: Operator[..., Any]) -> str | None:
    """The word by which :func:`operator` gives this very operator."""
    folder, _, name = found.__module__.rpartition(".")
    if (folder, name) == ("numseg.ops", found.__name__) and found.facts.face is None:
        return name
    return name_of(found, {})
