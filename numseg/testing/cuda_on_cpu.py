"""CUDA kernels without barriers, compiled for the CPU: threads are the turns of a loop.

    from numseg.testing.cuda_on_cpu import on_cpu

    on_cpu(kernel)[blocks, threads](x, y)     # in the place of kernel[blocks, threads](x, y)

A kernel that shares nothing within a block is a function of its thread's place. Numba compiles it
for the CPU, with loops over all places around it, so a test runs at full size, with integers and
floats as wide as the GPU's compiler sees them, and with every index checked. It needs no GPU and no
driver; arrays are NumPy's. docs/cuda_on_cpu.md is the page.
"""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
import textwrap
import types
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numba
import numpy as np

from numseg.errors import ArgumentError, ArgumentTypeError

__all__ = ["on_cpu"]

FIELDS = {
    "threadIdx": ("thread_x", "thread_y", "thread_z"),
    "blockIdx": ("block_x", "block_y", "block_z"),
    "blockDim": ("width", "height", "depth"),
    "gridDim": ("across", "down", "deep"),
}
Place: Any = NamedTuple(  # type: ignore[misc]
    "Place", [(name, Any) for names in FIELDS.values() for name in names]
)
"""A thread's, as CUDA numbers it, in int32."""

PLACE, CUDA = "place_of_thread", ("numba.cuda", "numba.cuda.simulator")


def on_cpu(kernel: Any, boundscheck: bool = True) -> Launcher:
    """A CUDA kernel that runs on the CPU, one thread after the other.

    Parameters
    ----------
    kernel : function, or what ``cuda.jit`` made of one
        Its source must be in a file. It and the device functions that it calls by name may ask for
        ``cuda.grid``, ``cuda.gridsize``, ``threadIdx``, ``blockIdx``, ``blockDim`` and ``gridDim``,
        and use ``cuda.atomic`` (``add``, ``max``, ``min``, ``exch``, ``cas``) and
        ``cuda.local.array``. Functions compiled by ``numba.njit`` are called as they are.
    boundscheck : bool
        Raise IndexError for an index beyond an array. (A negative one down to minus the size
        counts from the end, here as on the GPU.)

    Returns
    -------
    object
        ``on_cpu(kernel)[blocks, threads](*arrays)`` runs it: numbers or tuples of up to three. A
        stream and the size of shared memory may follow; they mean nothing here.

    Raises
    ------
    ArgumentError
        If the kernel needs other threads of its block at the same time (``cuda.syncthreads``,
        shared memory, warps), or anything else of ``cuda`` that is not named above.
    ArgumentTypeError
        If it is no function.

    Examples
    --------
    >>> from numba import cuda
    >>> import numpy as np
    >>> def double(x, y):
    ...     i = cuda.grid(1)
    ...     if i < x.size:
    ...         y[i] = 2 * x[i]
    >>> x, y = np.arange(1000.0), np.empty(1000)
    >>> on_cpu(double)[4, 256](x, y)  # doctest: +SKIP
    """
    return Launcher(python_function(kernel), boundscheck)


class Launcher:
    """What :func:`on_cpu` returns."""

    def __init__(self, function: Callable[..., Any], boundscheck: bool) -> None:
        self.loop = _loop(function, boundscheck)

    def __getitem__(self, launch: Sequence[Any]) -> Callable[..., None]:
        grid, block = map(_three, launch[:2])

        def run(*args: Any) -> None:
            self.loop(grid, block, *args)

        return run


def python_function(kernel: Any) -> Any:
    """What was compiled, or would be."""
    for name in ("py_func", "fn", "function"):  # of Numba, of its simulator, of numseg
        kernel = getattr(kernel, name, kernel)
    if not inspect.isfunction(kernel):
        raise ArgumentTypeError(f"kernel must be a function, got {type(kernel).__name__}")
    return kernel


def _three(sizes: Any) -> tuple[Any, ...]:
    """A size of a grid or a block, in int32."""
    sizes = sizes if isinstance(sizes, tuple) else (sizes,)
    return tuple(np.int32(size) for size in (*sizes, 1, 1)[:3])


def _njit(function: Any, boundscheck: bool, **how: Any) -> Any:
    compiler: Any = numba.njit  # whose types do not know all that it takes
    return compiler(
        boundscheck=boundscheck, error_model="numpy", nogil=True, no_cfunc_wrapper=True, **how
    )(function)


def _loop(function: Any, boundscheck: bool) -> Any:
    """The function of one thread, for all threads."""
    thread = _of_one_thread(function, boundscheck)
    names = ", ".join(inspect.signature(function).parameters)
    lines = [f"def loop(grid, block, {names}):"]
    axes = [("block", axis) for axis in "zyx"] + [("thread", axis) for axis in "zyx"]
    for depth, (kind, axis) in enumerate(axes, 1):
        ends = "grid" if kind == "block" else "block"
        lines.append(f"{' ' * depth}for {kind}_{axis} in range({ends}[{'xyz'.index(axis)}]):")
    mine = [f"int32({kind}_{axis})" for kind in ("thread", "block") for axis in "xyz"]
    lines.append(f"{' ' * 7}thread(Place({', '.join(mine)}, *block, *grid), {names})")
    space: dict[str, Any] = {"Place": Place, "int32": numba.int32, "thread": thread}
    exec("\n".join(lines), space)
    return _njit(space["loop"], boundscheck)


@functools.cache
def _of_one_thread(function: Any, boundscheck: bool) -> Any:
    """The function with one more argument, the place of the thread, compiled for the CPU."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    (node,) = tree.body
    assert isinstance(node, ast.FunctionDef)
    space = {**function.__globals__, **inspect.getclosurevars(function).nonlocals}
    node.decorator_list, node.returns = [], None
    for arg in node.args.args:
        arg.annotation = None
    node.args.args.insert(0, ast.arg(PLACE))
    rewrite = _Rewrite(function.__qualname__, space, boundscheck)
    node.body = [rewrite.visit(statement) for statement in node.body]
    text = ast.unparse(ast.fix_missing_locations(tree))
    file = f"<{function.__module__}.{function.__qualname__} on the CPU>"
    linecache.cache[file] = len(text), None, text.splitlines(True), file  # for tracebacks
    exec(compile(text, file, "exec"), space)
    return _njit(space[node.name], boundscheck, no_cpython_wrapper=True)


class _Rewrite(ast.NodeTransformer):
    """Puts what the CPU has in the place of what a kernel asks CUDA for."""

    def __init__(self, name: str, space: dict[str, Any], boundscheck: bool) -> None:
        self.name, self.space, self.boundscheck = name, space, boundscheck

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        path = self._path(node)
        if path is None:
            return self.generic_visit(node)
        if len(path) == 2 and path[0] in FIELDS and path[1] in "xyz":
            return _expression(f"{PLACE}.{FIELDS[path[0]]['xyz'.index(path[1])]}")
        raise self._refusal(path)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        path = self._path(node.func)
        node.args = [self.visit(arg) for arg in node.args]
        for keyword in node.keywords:
            keyword.value = self.visit(keyword.value)
        if path is not None:
            return self._of_cuda(path, node)
        if isinstance(node.func, ast.Name) and _is_device(found := self.space.get(node.func.id)):
            name = f"{node.func.id}_on_cpu"
            self.space[name] = _of_one_thread(python_function(found), self.boundscheck)
            return ast.Call(_expression(name), [_expression(PLACE), *node.args], node.keywords)
        node.func = self.visit(node.func)
        return node

    def _of_cuda(self, path: tuple[str, ...], node: ast.Call) -> ast.AST:
        if path in (("grid",), ("gridsize",)):
            (count,) = node.args
            assert isinstance(count, ast.Constant)
            self.space["int64_on_cpu"] = numba.int64
            parts = [_along(path[0], axis) for axis in range(int(str(count.value)))]
            return _expression(parts[0] if len(parts) == 1 else f"({', '.join(parts)})")
        if path[0] == "atomic" and path[-1] in ATOMICS:
            self.space["atomic_on_cpu_" + path[1]] = ATOMICS[path[1]]
            node.func = _expression("atomic_on_cpu_" + path[1])
            return node
        if path == ("local", "array"):
            self.space["empty_on_cpu"] = np.empty
            node.func = _expression("empty_on_cpu")
            return node
        raise self._refusal(path)

    def _path(self, node: ast.AST) -> tuple[str, ...] | None:
        """``cuda.atomic.add``: ("atomic", "add"); None for what is not of ``cuda``."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if isinstance(node, ast.Name) and _is_cuda(self.space.get(node.id)):
            return tuple(parts[::-1])
        return None

    def _refusal(self, path: tuple[str, ...]) -> ArgumentError:
        return ArgumentError(
            f"{self.name} uses cuda.{'.'.join(path)}, which threads that run one after the other "
            "do not have"
        )


def _along(what: str, axis: int) -> str:
    """``grid`` or ``gridsize`` along an axis; int64, as CUDA's."""
    blocks = FIELDS["blockIdx" if what == "grid" else "gridDim"][axis]
    product = f"int64_on_cpu({PLACE}.{blocks}) * {PLACE}.{FIELDS['blockDim'][axis]}"
    return product if what == "gridsize" else f"{product} + {PLACE}.{FIELDS['threadIdx'][axis]}"


def _expression(text: str) -> Any:
    return ast.parse(text, mode="eval").body


def _is_cuda(value: Any) -> bool:
    return isinstance(value, types.ModuleType) and value.__name__ in CUDA


def _is_device(value: Any) -> bool:
    return type(value).__name__ in ("CUDADispatcher", "FakeCUDAKernel")


def _add(array, at, value):
    old = array[at]
    array[at] = old + value
    return old


def _max(array, at, value):
    old = array[at]
    array[at] = max(old, value)
    return old


def _min(array, at, value):
    old = array[at]
    array[at] = min(old, value)
    return old


def _exch(array, at, value):
    old = array[at]
    array[at] = value
    return old


def _cas(array, at, expected, value):
    old = array[at]
    if old == expected:
        array[at] = value
    return old


ATOMICS = {
    name: _njit(function, True)
    for name, function in {
        "add": _add,
        "max": _max,
        "min": _min,
        "exch": _exch,
        "cas": _cas,
    }.items()
}
"""Plain operations: no other thread comes between."""
