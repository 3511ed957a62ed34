"""Files of weights, of any program that numseg reads: the one door to them, and to graphs.

``load`` looks at what a file holds, not at what it is called; ``save`` writes what the name says;
``match`` makes what was loaded the parameters of a graph, or says everything that does not fit.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from numseg import checks
from numseg.errors import ArgumentError, ArgumentTypeError, FileError, MismatchError, shown
from numseg.files import read_whole
from numseg.graph import Param
from numseg.interop import caffemodel, npz, pth, safetensors
from numseg.interop.archive import Archive
from numseg.typing import Array, ArrayLike

READS = "PyTorch's .pth, .safetensors, .npz, .caffemodel"
WRITES = (".safetensors", ".npz", ".pth", ".pt")


class Parametric(Protocol):
    """What has parameters by names: a graph, or a detector, which is made of several."""

    @property
    def params(self) -> tuple[Param, ...]: ...

    def check(self, params: Mapping[str, ArrayLike]) -> None: ...


def load(path: str | os.PathLike[str], key: str | None = None) -> dict[str, Array]:
    """Read the arrays of a weights file of any kind; nothing in it is run.

    Parameters
    ----------
    path
        A state dict of PyTorch's, in either of its formats (:mod:`numseg.interop.pth`), a
        safetensors file, NumPy's ``.npz``, or a ``.caffemodel``
        (:mod:`numseg.interop.caffemodel`). Which it is is seen by its first bytes.
    key : str, optional
        Of a PyTorch file that holds several dicts of tensors: which, as for
        :func:`numseg.interop.pth.load`.

    Returns
    -------
    dict of str to array
        Named as in the file, with the file's dtypes; bfloat16, which NumPy has not, is float32 of
        the same values. The arrays are the caller's own.

    Raises
    ------
    FileError
        In one line, if the file is missing, damaged, of another kind, or wants something run.
    ArgumentError
        If there is a ``key`` and the file is not PyTorch's.
    """
    content = read_whole(path)
    try:
        return read(content, key)
    except FileError as error:
        raise FileError(f"{path}: {error}") from None


def read(content: bytes, key: str | None = None) -> dict[str, Array]:
    """What :func:`load` gives, of a file's content."""
    kind = kind_of(content)
    if key is not None and kind != "pth":
        raise ArgumentError(f"key is for PyTorch's files, but this one is a {kind} file")
    if kind == "pth":
        return pth.read(content, key)
    if kind == "npz":
        return npz.read(Archive(content))
    if kind == "safetensors":
        return safetensors.read(content)[0]
    return caffemodel.read(content)


def kind_of(content: bytes) -> str:
    """What a file's content is: ``"pth"``, ``"npz"``, ``"safetensors"`` or ``"caffemodel"``."""
    if content[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        archive = Archive(content)
        if pth.is_pth(archive):
            return "pth"
        if npz.is_npz(archive):
            return "npz"
        raise FileError("is a zip file, but neither of PyTorch's nor of NumPy's arrays")
    if content[:1] == b"\x80" or content[257:262] == b"ustar":
        return "pth"
    if content[8:9] == b"{" and int.from_bytes(content[:8], "little") <= len(content) - 8:
        return "safetensors"
    if content[:1] in _NETWORK:
        return "caffemodel"
    raise FileError(f"begins with {shown(content[:16])}, expected {READS}")


_NETWORK = (b"\x0a", b"\x12", b"\x1a", b"\x22", b"\x42", b"\xa2")
"""The first byte of a caffemodel: its name, a layer (old or new), an input or its shape."""


def save(path: str | os.PathLike[str], arrays: Mapping[str, Array]) -> None:
    """Write arrays to a file of the kind that its name says, whole or not at all.

    Parameters
    ----------
    path
        ``.pth`` or ``.pt`` (which ``torch.load(path, weights_only=True)`` reads),
        ``.safetensors`` (extra ``train``) or ``.npz``.
    arrays : mapping of str to array

    Raises
    ------
    ArgumentError
        If the name says none of them, or an array's dtype is none that the file can hold.
    FileError
        If it cannot be written; an earlier file stays as it is.
    """
    ending = checks.choice("the file's ending", Path(path).suffix.lower(), WRITES)
    if wrong := [name for name in arrays if not isinstance(name, str)]:
        raise ArgumentTypeError(f"names must be words, got {shown(wrong[0])}")
    if ending == ".npz":
        npz.save(path, arrays)
    elif ending == ".safetensors":
        safetensors.save(path, arrays, {})
    else:
        pth.save(path, arrays)


def match(
    graph: Parametric,
    arrays: Mapping[str, Array],
    *,
    rename: Mapping[str, str] | Callable[[str], str] | None = None,
    drop: Iterable[str] = ("*num_batches_tracked",),
    fill: Mapping[str, Array] | None = None,
    dtype: Any = None,
) -> dict[str, Array]:
    """The parameters of a graph, of arrays that a file had.

    Parameters
    ----------
    graph : Graph, or a detector
    arrays : mapping of str to array
        What :func:`load` gave.
    rename : mapping or function, optional
        Names in the file to names in the graph; a mapping leaves names that it has not as they
        are. ``lambda name: name.removeprefix("module.")`` for what DataParallel saved.
    drop : patterns
        Arrays that the graph has no use for, by names as in the file and with ``*``. By default the
        counters of PyTorch's batch norms, which nothing here reads; ``()`` for none.
    fill : mapping of str to array, optional
        Parameters for what the file lacks: ``graph.init(seed)`` for a new head on an old backbone.
    dtype : dtype, optional
        float32 or float64. By default float64 if any array is, and float32 otherwise. Only a
        ``dtype`` that is given narrows anything.

    Returns
    -------
    dict of str to array
        In the graph's order. Arrays that are of the dtype already are not copied.

    Raises
    ------
    MismatchError
        If names or shapes are not the graph's. It lists all that are missing, unexpected or
        misshapen, each with the names that are nearest to it.
    ArgumentTypeError
        If a parameter's array holds no real numbers.
    """
    kept = _renamed({n: a for n, a in arrays.items() if not matches(drop, n)}, rename)
    known = {param.name for param in graph.params}
    given = {name: array for name, array in (fill or {}).items() if name in known} | kept
    graph.check(given)
    for name, array in given.items():
        if array.dtype.kind != "f":
            raise ArgumentTypeError(f"{name} has dtype {array.dtype}, expected real numbers")
    widest = np.result_type(np.float32, *(array.dtype for array in given.values()))
    chosen = checks.floats(dtype=np.empty(0, widest if dtype is None else dtype))
    return {param.name: np.asarray(given[param.name], chosen) for param in graph.params}


def matches(patterns: Iterable[str], name: str) -> bool:
    """Whether a name is what any of the patterns says, with ``*``."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _renamed(
    arrays: Mapping[str, Array], rename: Mapping[str, str] | Callable[[str], str] | None
) -> dict[str, Array]:
    """Arrays by their new names, of which each is one array's."""
    found: dict[str, Array] = {}
    for name, array in arrays.items():
        new = rename(name) if callable(rename) else (rename or {}).get(name, name)
        if new in found:
            raise MismatchError(f"two arrays are renamed to {new}, one of them {name}")
        found[new] = array
    return found
