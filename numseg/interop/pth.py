"""PyTorch's files, ``.pth`` and ``.pt``, without PyTorch: state dicts read and written as data.

Both of ``torch.save``'s formats are read: the zip file of PyTorch 1.6 and later, and the one
before it, pickles and storages one after the other. Their pickles are read by
:mod:`numseg.interop.pickled`, which runs nothing: a name that no state dict needs is an error.
What the file says of storages is a claim until it has been held against the bytes that are there.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from numseg.errors import ArgumentError, FileError, shown
from numseg.files import read_whole, write_whole
from numseg.interop import pickled
from numseg.interop.archive import Archive, packed
from numseg.interop.bfloat16 import widened
from numseg.interop.pickled import Call
from numseg.typing import Array, Shape

MAGIC = 0x1950A86A20F9469CFC6C
"""The number that files of the earlier format begin with, as a pickle."""


def load(path: str | os.PathLike[str], key: str | None = None) -> dict[str, Array]:
    """Read the arrays of a file that ``torch.save`` wrote, running nothing that is in it.

    Parameters
    ----------
    path
        A state dict, or dicts that hold one, such as ``{"state_dict": ..., "epoch": 3}``.
    key : str, optional
        Which of them: ``"state_dict"``, or ``"ema.model"`` for one inside another. ``""`` is the
        whole file: every name then begins with the keys that lead to it. By default the only dict
        in the file that has tensors; if there are several, an error lists them.

    Returns
    -------
    dict of str to array
        C-ordered arrays of their own, named as in the file. Dtypes are the file's, int64 for
        ``num_batches_tracked``; bfloat16, which NumPy has not, is float32 of the same values.
        What is not a tensor (numbers, words) is passed over.

    Raises
    ------
    FileError
        In one line, if the file is missing, damaged, names anything that a state dict does not
        need (the line says what, and where), or claims what its bytes do not hold: tensors that
        reach past their storages, whose elements overlap (a tensor that was expanded: save its
        ``.contiguous()``), or that are together larger than 32 times the file.

    Notes
    -----
    Formats of PyTorch 0.3 to 2.13: ``torch/serialization.py`` and ``torch/_utils.py`` there. Not
    read: sparse, quantised and 8-bit floating-point tensors, whole modules, TorchScript.
    """
    content = read_whole(path)
    try:
        return read(content, key)
    except FileError as error:
        raise FileError(f"{path}: {error}") from None


def save(path: str | os.PathLike[str], arrays: Mapping[str, Array]) -> None:
    """Write a state dict that ``torch.load(path, weights_only=True)`` reads (zip format).

    Raises
    ------
    FileError
        If the file cannot be written whole; an earlier one stays as it is.
    ArgumentError
        If an array is of a dtype that is none of PyTorch's.
    """
    write_whole(path, written(arrays))


# -- what names in a pickle stand for --------------------------------------------------------


class Kind(NamedTuple):
    """A dtype of PyTorch's, or a class of storages of it."""

    name: str
    """As PyTorch calls the dtype; ``"bytes"`` for storages of no dtype."""
    stored: np.dtype[Any]
    """How it lies in the file, little-endian."""


class Storage(NamedTuple):
    """A row of numbers in the file, as the pickle describes it."""

    key: str
    kind: Kind
    numel: int
    start: int
    """Where what is meant begins: only views of PyTorch 0.3 begin elsewhere than at 0."""
    length: int


class Tensor(NamedTuple):
    """A tensor, as the pickle describes it."""

    storage: Storage
    kind: Kind
    offset: int
    shape: Shape
    strides: Shape


_KINDS = {
    name: Kind(name, np.dtype(stored).newbyteorder("<"))
    for name, stored in {
        "float32": "f4", "float64": "f8", "float16": "f2", "bfloat16": "u2",
        "int64": "i8", "int32": "i4", "int16": "i2", "int8": "i1", "uint8": "u1", "bool": "u1",
        "uint16": "u2", "uint32": "u4", "uint64": "u8", "complex64": "c8", "complex128": "c16",
        "bytes": "u1",
    }.items()
}  # fmt: skip

_STORAGES = {
    "FloatStorage": "float32", "DoubleStorage": "float64", "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16", "LongStorage": "int64", "IntStorage": "int32",
    "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8", "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64", "ComplexDoubleStorage": "complex128",
    "UntypedStorage": "bytes",
}  # fmt: skip


def _tensor(
    storage: Any, offset: Any, shape: Any, strides: Any, kind: Kind | None = None
) -> Tensor:
    """``torch._utils._rebuild_tensor``: what the file claims, of the right types."""
    if not isinstance(storage, Storage):
        raise FileError("makes a tensor of what is no storage")
    if not all(isinstance(sizes, tuple) for sizes in (shape, strides)):
        raise FileError("makes a tensor whose shape or strides are no tuples")
    if not all(type(number) is int for number in (offset, *shape, *strides)):
        raise FileError("makes a tensor whose offset, shape or strides are no integers")
    if len(shape) != len(strides) or len(shape) > 32:
        raise FileError(f"makes a tensor of {len(shape)} axes and {len(strides)} strides")
    return Tensor(storage, kind or storage.kind, offset, shape, strides)


def _tensor_v2(
    storage: Any, offset: Any, shape: Any, strides: Any, grad: Any, hooks: Any, metadata: Any = None
) -> Tensor:
    if metadata:
        raise FileError("makes a tensor that is to be conjugated or negated")
    return _tensor(storage, offset, shape, strides)


def _tensor_v3(
    storage: Any, offset: Any, shape: Any, strides: Any, grad: Any, hooks: Any, kind: Any,
    metadata: Any = None,
) -> Tensor:  # fmt: skip
    if not isinstance(kind, Kind) or metadata:
        raise FileError("makes a tensor of no dtype, or that is to be conjugated or negated")
    return _tensor(storage, offset, shape, strides, kind)


def _parameter(tensor: Any, *rest: Any) -> Tensor:
    """``torch.nn.Parameter``: its tensor; whether it is trained is the graph's business."""
    if not isinstance(tensor, Tensor):
        raise FileError("makes a parameter of what is no tensor")
    return tensor


def _mapping(items: Any = ()) -> dict[Any, Any]:
    """An OrderedDict, made empty or, by Python 2, of a list of pairs; a Counter, of a dict."""
    pairs = list(items.items()) if isinstance(items, dict) else items
    if not all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in pairs):
        raise FileError("makes a dict of what is no list of pairs")
    return {key: value for key, value in pairs if isinstance(key, str)}


def _size(sizes: Any) -> Any:
    return sizes


_CALLS: Mapping[str, Callable[..., Any]] = {
    "collections.OrderedDict": _mapping,
    "collections.Counter": _mapping,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor_v2,
    "torch._utils._rebuild_tensor_v3": _tensor_v3,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch.nn.parameter.Parameter": _parameter,
    "torch.Size": _size,
}

_KNOWN: Mapping[str, Any] = {
    **{name: Call(name, function) for name, function in _CALLS.items()},
    **{f"torch.{name}": kind for name, kind in _KINDS.items() if name != "bytes"},
    **{
        f"{module}.{name}": _KINDS[kind]
        for name, kind in _STORAGES.items()
        for module in ("torch", "torch.cuda", "torch.storage")
    },
}
"""All that a pickle may name. Storages of every device come as arrays all the same."""


def _storage(given: Any) -> Storage:
    """What a persistent id means: ``("storage", class, key, device, count)``, and in the earlier
    format a view of it, ``(key, start, length)``, or None."""
    if not isinstance(given, tuple) or len(given) not in (5, 6) or given[0] != "storage":
        raise FileError("refers to what is no storage")
    _, kind, key, _, count, view = given if len(given) == 6 else (*given, None)
    if not isinstance(kind, Kind) or not isinstance(key, str) or type(count) is not int:
        raise FileError("refers to a storage without a class, key or size")
    start, length = (0, count) if view is None else _view(view)
    if count < 0 or start < 0 or length < 0 or start + length > count:
        raise FileError(f"refers to a storage of {shown(count)} elements, or past its end")
    return Storage(key, kind, count, start, length)


def _view(given: Any) -> tuple[int, int]:
    if not isinstance(given, tuple) or len(given) != 3 or {type(n) for n in given[1:]} != {int}:
        raise FileError("refers to a view of a storage that has no place")
    return given[1], given[2]


# -- files ------------------------------------------------------------------------------------


def read(content: bytes, key: str | None = None) -> dict[str, Array]:
    """What :func:`load` gives, of a file's content."""
    if content[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return _read_zip(Archive(content), key)
    if content[257:262] == b"ustar":
        raise FileError("is of PyTorch before 0.2: load it with PyTorch and save it again")
    return _read_legacy(content, key)


def is_pth(archive: Archive) -> bool:
    """Whether a zip file is one of PyTorch's."""
    return any(name.rpartition("/")[2] == "data.pkl" for name in archive.entries)


def _read_zip(archive: Archive, key: str | None) -> dict[str, Array]:
    pickles = [name for name in archive.entries if name.rpartition("/")[2] == "data.pkl"]
    if len(pickles) != 1:
        raise FileError(f"has {len(pickles)} entries data.pkl, expected one")
    folder = pickles[0].removesuffix("data.pkl")
    if f"{folder}constants.pkl" in archive.entries:
        raise FileError("is a TorchScript program: save its state_dict() with torch.save")
    order = b"little"
    if f"{folder}byteorder" in archive.entries:
        order = bytes(archive.read(f"{folder}byteorder"))
    if order not in (b"little", b"big"):
        raise FileError(f"has numbers in the byte order {shown(order)}")
    content = bytes(archive.read(pickles[0]))
    value = pickled.read(content, 0, _KNOWN, _storage).value
    tensors = _chosen(value, key, len(content))
    arrays = _Arrays(order == b"big", 32 * len(archive.content))
    return arrays.made(tensors, lambda storage: archive.read(f"{folder}data/{storage.key}"))


def _read_legacy(content: bytes, key: str | None) -> dict[str, Array]:
    """Pickles: the magic number, the version, the machine, the object, the keys of its storages;
    then each storage: how many elements, and they. Always little-endian, whatever the machine."""
    magic = pickled.read(content)
    if magic.value != MAGIC or type(magic.value) is not int:
        raise FileError("is a pickle, but none that torch.save wrote")
    version = pickled.read(content, magic.end)
    if version.value != 1001:
        raise FileError(f"has PyTorch's format {shown(version.value)}, expected 1001")
    machine = pickled.read(content, version.end)
    about = pickled.read(content, machine.end, _KNOWN, storages := _Storages())
    keys = pickled.read(content, about.end)
    places = storages.found(content, keys.value, keys.end)
    tensors = _chosen(about.value, key, about.end - machine.end)
    arrays = _Arrays(False, 32 * len(content))
    return arrays.made(tensors, lambda storage: places[storage.key])


class _Storages:
    """The storages that a pickle of the earlier format has spoken of."""

    def __init__(self) -> None:
        self.known: dict[str, Storage] = {}

    def __call__(self, given: Any) -> Any:
        if isinstance(given, tuple) and given[:1] == ("module",):
            raise FileError("holds a whole module: save its state_dict()")
        storage = _storage(given)
        self.known.setdefault(storage.key, storage)
        return storage

    def found(self, content: bytes, keys: Any, at: int) -> dict[str, memoryview]:
        """The bytes of each storage, which begin one after the other at ``at``."""
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise FileError("has no list of its storages")
        view, places = memoryview(content), {}
        for key in keys:
            if key not in self.known or key in places:
                raise FileError(f"lists the storage {shown(key)}, which it does not use once")
            storage = self.known[key]
            size = storage.numel * storage.kind.stored.itemsize
            if len(content) - at < 8 + size:
                raise FileError(f"ends before the last of its storages ({len(content)} bytes)")
            if int.from_bytes(view[at : at + 8], "little") != storage.numel:
                raise FileError(f"has a storage {shown(key)} of another size than it says")
            places[key] = view[at + 8 : at + 8 + size]
            at += 8 + size
        if missing := self.known.keys() - places.keys():
            raise FileError(f"lacks the storage {shown(min(missing))}")
        return places


# -- which tensors ----------------------------------------------------------------------------


def _chosen(value: Any, key: str | None, length: int) -> dict[str, Tensor]:
    """The tensors of the part of a file that is asked for, by name."""
    if isinstance(value, Tensor):
        raise FileError("holds one tensor, not a dict of them")
    found = list(_walk(value, 16 * length))
    if key is not None:
        start = f"{key}." if key else ""
        chosen = {".".join(path): tensor for path, tensor in found}
        chosen = {n.removeprefix(start): t for n, t in chosen.items() if n.startswith(start)}
        if not chosen:
            raise FileError(f"has no tensors under the key {shown(key)}{_parts(found)}")
        return chosen
    if len({path[:-1] for path, _ in found}) > 1:
        raise FileError(f"holds several dicts of tensors{_parts(found)}: say which, by key=")
    if not found:
        raise FileError("holds no tensors under names: it is no state dict")
    return {path[-1]: tensor for path, tensor in found}


def _parts(found: list[tuple[tuple[str, ...], Tensor]]) -> str:
    """Which dicts there are, and how many tensors each has."""
    counts: dict[str, int] = {}
    for path, _ in found:
        name = ".".join(path[:-1])
        counts[name] = counts.get(name, 0) + 1
    shown_parts = [f"{shown(name)} ({count})" for name, count in counts.items()]
    more = f" and {len(shown_parts) - 8} more" if len(shown_parts) > 8 else ""
    return f": {', '.join(shown_parts[:8])}{more}" if shown_parts else ""


def _walk(value: Any, budget: int) -> Iterator[tuple[tuple[str, ...], Tensor]]:
    """Tensors in dicts in dicts, and the keys that lead to each.

    A few bytes can say that a dict holds itself, or the same one twice, and that one another
    twice: what is looked at, and its names together, is limited by the length of the pickle.
    """
    waiting: list[tuple[tuple[str, ...], Any]] = [((), value)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, Tensor):
            yield path, value
        elif isinstance(value, dict):
            if len(path) > 16:
                raise FileError("holds dicts in dicts, more than 16 deep")
            for key, part in reversed(value.items()):
                budget -= 1
                if isinstance(key, str) and isinstance(part, (dict, Tensor)):
                    budget -= sum(map(len, path)) + len(key)
                    waiting.append(((*path, key), part))
                if budget < 0:
                    raise FileError("holds the same dicts over and over")


# -- tensors to arrays ------------------------------------------------------------------------


class _Arrays:
    """Arrays of tensors, which together take no more than ``budget`` bytes."""

    def __init__(self, big: bool, budget: int) -> None:
        self.big = big
        self.budget = budget

    def made(self, tensors: Mapping[str, Tensor], find: Any) -> dict[str, Array]:
        """Of each tensor, whose storage's bytes ``find`` gives."""
        rows: dict[str, Any] = {}
        arrays = {}
        for name, tensor in tensors.items():
            storage = tensor.storage
            try:
                if storage.key not in rows:
                    rows[storage.key] = find(storage)
                    self._spend(len(rows[storage.key]))  # more than the file has, if inflated
                arrays[name] = self._array(tensor, rows[storage.key])
            except FileError as error:
                raise FileError(f"tensor {shown(name)}: {error}") from None
        return arrays

    def _array(self, tensor: Tensor, raw: memoryview) -> Array:
        storage, kind = tensor.storage, tensor.kind
        if len(raw) != storage.numel * storage.kind.stored.itemsize:
            raise FileError(
                f"storage {shown(storage.key)} has {len(raw)} bytes, but should have "
                f"{storage.numel} elements of {storage.kind.name}"
            )
        stored = kind.stored.newbyteorder(">") if self.big else kind.stored
        first = storage.start * storage.kind.stored.itemsize
        last = first + storage.length * storage.kind.stored.itemsize
        row = np.frombuffer(raw[first : last - (last - first) % stored.itemsize], stored)
        _check_place(tensor, len(row))
        self._spend(math.prod(tensor.shape) * max(stored.itemsize, 4))
        if 0 in tensor.shape:
            return _native(np.empty(tensor.shape, stored), kind)
        strides = [
            stride * stored.itemsize if size > 1 else 0
            for stride, size in zip(tensor.strides, tensor.shape, strict=True)
        ]
        view = np.lib.stride_tricks.as_strided(row[tensor.offset :], tensor.shape, strides)
        return _native(view, kind)

    def _spend(self, count: int) -> None:
        self.budget -= count
        if self.budget < 0:
            raise FileError("with it the arrays are more than 32 times the size of the file")


def _check_place(tensor: Tensor, count: int) -> None:
    """Every element lies in the storage, and no two at one place. A tensor of none may lie
    anywhere, and PyTorch's do."""
    offset, shape, strides = tensor.offset, tensor.shape, tensor.strides
    said = f"shape {shown(shape)}, strides {shown(strides)}, offset {shown(offset)}"
    if offset < 0 or min((*shape, *strides), default=0) < 0:
        raise FileError(f"has {said}: none may be < 0")
    if math.prod(size for size in shape if size) > 2**48:
        raise FileError(f"has {said}, which no memory holds")
    reach = 1
    for stride, size in sorted(zip(strides, shape, strict=True)):
        if size > 1 and stride < reach and 0 not in shape:
            raise FileError(f"has {said}: its elements overlap")
        reach += stride * max(size - 1, 0)
    if 0 not in shape and offset + reach > count:
        raise FileError(f"has {said}: reaches past its storage of {count} elements")


def _native(view: Array, kind: Kind) -> Array:
    """An array of its own, in this machine's byte order."""
    if kind.name == "bfloat16":
        return widened(view)
    if kind.name == "bool":
        return np.array(view != 0, order="C")
    return np.array(view, view.dtype.newbyteorder("="), order="C")


# -- writing ----------------------------------------------------------------------------------

_WRITTEN = {
    _KINDS[kind].stored: name
    for name, kind in _STORAGES.items()
    if kind not in ("bytes", "bool", "bfloat16")
} | {np.dtype(bool): "BoolStorage"}


def written(arrays: Mapping[str, Array]) -> bytes:
    """The content of a file that :func:`save` writes. Equal arrays give equal bytes."""
    out = bytearray(b"\x80\x02")
    out += b"ccollections\nOrderedDict\n)R("
    entries: dict[str, bytes | memoryview] = {}
    for number, (name, given) in enumerate(arrays.items()):
        array = np.asarray(given)
        dtype = array.dtype.newbyteorder("<") if array.dtype != bool else array.dtype
        if dtype not in _WRITTEN:
            raise ArgumentError(f"{name} has dtype {array.dtype}, for which PyTorch has no storage")
        entries[f"archive/data/{number}"] = np.ascontiguousarray(array, dtype).tobytes()
        out += _word(name) + _rebuilt(_WRITTEN[dtype], str(number), array.shape)
    out += b"u."
    start = {"archive/data.pkl": bytes(out), "archive/byteorder": b"little"}
    return packed({**start, **entries, "archive/version": b"3\n"})


def _rebuilt(storage: str, key: str, shape: Shape) -> bytes:
    """``_rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict())``."""
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    return b"".join([
        b"ctorch._utils\n_rebuild_tensor_v2\n((",
        _word("storage"), f"ctorch\n{storage}\n".encode(), _word(key), _word("cpu"),
        _integer(math.prod(shape)), b"tQ",
        _integer(0), b"(", *map(_integer, shape), b"t(", *map(_integer, strides), b"t",
        b"\x89ccollections\nOrderedDict\n)RtR",
    ])  # fmt: skip


def _word(text: str) -> bytes:
    raw = text.encode()
    return b"X" + len(raw).to_bytes(4, "little") + raw


def _integer(number: int) -> bytes:
    return b"\x8a\x08" + number.to_bytes(8, "little", signed=True)
