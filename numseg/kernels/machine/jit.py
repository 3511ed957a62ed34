"""``@kernel`` and ``@rule``: how numseg compiles, and where compiled kernels are kept.

Numba's own ``cache=True`` goes stale when a jitted function imported from another file changes
(numba#9483), and its index file lets two processes that compile different signatures at once
overwrite each other's data under one name. So every compiled kernel is one file, named by a digest
of all it depends on: its module's source and that of every numseg module imported from there (less
docstrings, annotations, and what only they need), its signature and options, the CPU and the
vectors chosen for it, and the versions of Python, NumPy, Numba and llvmlite. Files are written
atomically and checked by a digest. A cache that cannot be read or written costs a compilation,
never an error.

Kernels that a name and a file do not determine are compiled in every process: those made inside a
function, those of other packages, and those whose sources changed while the process ran.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import os
import pickle
import platform
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from numba.core import compiler, types
from numba.core.caching import _Cache
from numba.core.compiler_lock import global_compiler_lock
from numba.core.imputils import impl_ret_borrowed
from numba.core.serialize import dumps
from numba.extending import intrinsic

from numseg import forks
from numseg.kernels import LOADED
from numseg.kernels.machine.target import TARGET


def kernel(fastmath: set[str] | bool = False) -> Callable[[Callable[..., Any]], Any]:
    """Compile a loop over a range of output units: ``kernel(start, stop, *arrays, geometry)``.

    Kernels are serial and release the GIL; :func:`numseg.kernels.machine.threads.launch` gives each
    thread a range. Each states its ``fastmath`` on purpose: ``{"contract"}`` allows fused
    multiply-add and nothing that changes the order of a sum.

    An inner loop that should be vectorised runs from zero over slices (``row = x[plane, i]``, then
    ``for q in range(n): out[q] = row[q]``): Numba lets a signed index count from the end, LLVM must
    prove that it never does, and it can for ``range(n)`` but not for ``range(start, stop)`` or for
    ``q + offset``. It makes a factor of 4 to 7 (``inspect_asm()`` shows vectors or none).
    """

    def compile_(function: Callable[..., Any]) -> Any:
        njit: Any = numba.njit  # whose types do not know all that it takes
        dispatcher = njit(
            nogil=True, error_model="numpy", fastmath=fastmath, no_cfunc_wrapper=True
        )(function)
        options = str(sorted(fastmath) if isinstance(fastmath, set) else fastmath)
        dispatcher._cache = KernelCache(function, options)
        return dispatcher

    return compile_


def rule(
    function: Callable[..., Any], fastmath: set[str] | bool = False, inline: bool = False
) -> Any:
    """Compile a scalar formula that CPU kernels and CUDA kernels both call, or a part of a kernel.

    What a kernel calls is compiled without the way in from Python, which would take as long as the
    rule itself: each field of each NamedTuple is unpacked there. Calls from Python have a twin. Nor
    is there one rule for 0, one for 1, and one for numbers: LLVM knows constants when it inlines.
    ``inline`` makes it do so, however long the rule is.
    """
    njit: Any = functools.partial(
        numba.njit, error_model="numpy", fastmath=fastmath, forceinline=inline
    )
    dispatcher = njit()(function)
    inside = njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)

    def template(args: Any, kws: Any) -> Any:
        return inside.get_call_template([types.unliteral(arg) for arg in args], kws)

    dispatcher.get_call_template = template
    dispatcher.get_overload = inside.get_overload
    return dispatcher


def _read_only(typing: Any, array: Any) -> Any:
    """The same array for a rule that only reads it: or the rule is compiled for both kinds."""
    kind = array.copy(readonly=True)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return impl_ret_borrowed(context, builder, kind, args[0])

    return kind(array), generate


read_only: Any = intrinsic(_read_only)


class KernelCache(_Cache):
    """Compiled overloads of one kernel: one file each, in :func:`cache_directory`."""

    def __init__(self, function: Callable[..., Any], options: str) -> None:
        self._name = f"{function.__module__}.{function.__qualname__}"
        # a loop that was made for the rules of another module depends on both
        sources = source_digest(function.__module__, function.__globals__["__name__"])
        self._key = options, sources
        self._enabled = sources is not None and "<locals>" not in function.__qualname__

    @property
    def cache_path(self) -> str:
        return str(cache_directory())

    def _file(self, signature: Any, codegen: Any) -> Path:
        fields = [getattr(type_, "fields", None) for type_ in signature]  # names, of a NamedTuple
        key = repr((signature, fields, codegen.magic_tuple(), self._key, _settings()))
        return cache_directory() / f"{self._name}-{hashlib.sha256(key.encode()).hexdigest()[:32]}"

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        if not self._enabled:
            return None
        target_context.refresh()
        try:
            payload = read_payload(self._file(sig, target_context.codegen()))
            return compiler.CompileResult._rebuild(target_context, *pickle.loads(payload))
        except Exception:  # a damaged or unreadable entry is a miss: the kernel is compiled again
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        if not self._enabled or data.lifted or data.library.has_dynamic_globals:
            return
        try:
            write_payload(self._file(sig, data.codegen), dumps(data._reduce()))
        except Exception:  # read-only or full disk, or nothing to pickle: compile again next time
            self._enabled = False

    def enable(self) -> None:
        self._enabled = True

    def disable(self) -> None:
        self._enabled = False

    def flush(self) -> None:
        for file in cache_directory().glob(f"{self._name}-*"):
            file.unlink(missing_ok=True)


def read_payload(file: Path) -> bytes:
    """What a file of the cache holds; ValueError if it is damaged."""
    content = file.read_bytes()
    digest, payload = content[:32], content[32:]
    if hashlib.sha256(payload).digest() != digest:
        raise ValueError(f"{file} is damaged")
    return payload


def write_payload(file: Path, payload: bytes) -> None:
    """Write a file of the cache whole, or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=".writing-")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(hashlib.sha256(payload).digest() + payload)
        os.replace(name, file)
    except BaseException:
        os.unlink(name)
        raise


def cache_directory() -> Path:
    """Where compiled kernels are kept: ``$NUMSEG_CACHE_DIR``, or ``numseg`` in the user's cache."""
    if chosen := os.environ.get("NUMSEG_CACHE_DIR"):
        return Path(chosen)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or os.path.expanduser("~/AppData/Local")
    elif sys.platform == "darwin":
        base = os.path.expanduser("~/Library/Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "numseg"


def _settings() -> tuple[Any, ...]:
    """What machine code depends on besides its source, its signature and the CPU."""
    versions = sys.version, numba.__version__, llvmlite.__version__, np.__version__
    names = "OPT", "BOUNDSCHECK", "DEBUGINFO_DEFAULT", "LOOP_VECTORIZE", "SLP_VECTORIZE"
    chosen = tuple(getattr(numba.config, name, None) for name in names)
    return versions, platform.machine(), TARGET.name, chosen


@functools.cache
def source_digest(*modules: str) -> str | None:
    """A digest of the modules' sources and of every numseg module they need, directly or not; None
    if one of them is not numseg's, or if a source is younger than this process."""
    if None in map(_source_file, modules):
        return None
    sources: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in sources and (file := _source_file(name)):
            if file.stat().st_mtime > LOADED:
                return None
            sources[name], imported = _read(name, file)
            waiting += imported
    return hashlib.sha256(repr(sorted(sources.items())).encode()).hexdigest()


@functools.cache
def _read(module: str, file: Path) -> tuple[str, list[str]]:
    """A digest of what a module's source says, and the numseg modules it needs for it."""
    tree = _Bare().visit(ast.parse(file.read_bytes()))
    nodes = list(ast.walk(tree))
    used = {node.id for node in nodes if isinstance(node, ast.Name)}
    imported: list[str] = []
    for node in nodes:
        if isinstance(node, ast.Import):
            imported += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = _package(node, module, is_package=file.name == "__init__.py")
            for alias in node.names:  # a module of the package, or else something in it
                if (alias.asname or alias.name) in used:
                    inside = f"{package}.{alias.name}"
                    imported.append(inside if _source_file(inside) else package)
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), imported


class _Bare(ast.NodeTransformer):
    """Leaves out docstrings and annotations, as the parser does comments and layout: no machine
    code depends on them. (Of NamedTuples, the names of fields are in the signature.)"""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if text else self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)


def _package(node: ast.ImportFrom, module: str, is_package: bool) -> str:
    """Where ``from ... import`` imports from."""
    if node.level == 0:
        return node.module or ""
    up = module.split(".")[: -node.level + is_package or None]
    return ".".join([*up, *([node.module] if node.module else [])])


@functools.cache
def _source_file(module: str) -> Path | None:
    """The file of a numseg module; None for other packages' and for names that are no module."""
    package, *parts = module.split(".")
    base = Path(__file__).parents[2].joinpath(*parts)
    if package != "numseg":
        return None
    return next((f for f in (base / "__init__.py", base.with_suffix(".py")) if f.is_file()), None)


forks.hold(global_compiler_lock)
