"""Files of weights made by hand: PyTorch's formats out of opcodes, protobuf's fields."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping, Sequence

ORDERED = b"ccollections\nOrderedDict\n)R"
MAGIC = b"\x80\x02\x8a\x0a" + (0x1950A86A20F9469CFC6C).to_bytes(10, "little") + b"."
VERSION = b"\x80\x02M\xe9\x03."
MACHINE = b"\x80\x02}."


def word(text: str) -> bytes:
    raw = text.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def integer(number: int) -> bytes:
    return b"\x8a\x10" + number.to_bytes(16, "little", signed=True)


def integers(numbers: Sequence[int]) -> bytes:
    return b"(" + b"".join(map(integer, numbers)) + b"t"


def storage(kind: str = "FloatStorage", key: str = "0", numel: int = 6, view: bytes = b"") -> bytes:
    """A persistent id."""
    named = f"ctorch\n{kind}\n".encode()
    return b"(" + word("storage") + named + word(key) + word("cpu") + integer(numel) + view + b"tQ"


def tensor(
    shape: Sequence[int] = (2, 3),
    strides: Sequence[int] = (3, 1),
    offset: int = 0,
    call: str = "_rebuild_tensor_v2",
    of: bytes | None = None,
    **about: object,
) -> bytes:
    """The opcodes that make a tensor."""
    row = storage(**about) if of is None else of  # type: ignore[arg-type]
    given = row + integer(offset) + integers(shape) + integers(strides)
    rest = b"" if call == "_rebuild_tensor" else b"\x89" + ORDERED
    return f"ctorch._utils\n{call}\n(".encode() + given + rest + b"tR"


def mapping(items: Mapping[str, bytes]) -> bytes:
    """The opcodes that make a dict."""
    return b"}(" + b"".join(word(name) + value for name, value in items.items()) + b"u"


def pickle(opcodes: bytes) -> bytes:
    return b"\x80\x02" + opcodes + b"."


def zipped(
    value: bytes, storages: Mapping[str, bytes], order: bytes = b"", compression: int = 0
) -> bytes:
    """A file of PyTorch 1.6 and later."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        archive.writestr("a/data.pkl", pickle(value))
        if order:
            archive.writestr("a/byteorder", order)
        for key, row in storages.items():
            archive.writestr(f"a/data/{key}", row)
    return out.getvalue()


def legacy(value: bytes, storages: Mapping[str, bytes], itemsize: int = 4) -> bytes:
    """A file of PyTorch before 1.6."""
    keys = pickle(b"](" + b"".join(map(word, storages)) + b"e")
    rows = [struct.pack("<q", len(row) // itemsize) + row for row in storages.values()]
    return MAGIC + VERSION + MACHINE + pickle(value) + keys + b"".join(rows)


# -- protobuf -----------------------------------------------------------------------------------


def varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def field(number: int, value: int | bytes | str) -> bytes:
    """An integer, or bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    raw = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def packed(numbers: Sequence[float], letter: str = "f") -> bytes:
    return struct.pack(f"<{len(numbers)}{letter}", *numbers)


def blob(numbers: Sequence[float], *shape: int) -> bytes:
    """A BlobProto with a shape."""
    dimensions = field(1, b"".join(map(varint, shape)))
    return field(7, dimensions) + field(5, packed(numbers))


def old_blob(numbers: Sequence[float], *shape: int) -> bytes:
    """A BlobProto with num, channels, height and width."""
    axes = b"".join(field(axis, size) for axis, size in enumerate(shape, 1))
    return axes + field(5, packed(numbers))


def layer(name: str, kind: str, *blobs: bytes) -> bytes:
    """A field of NetParameter."""
    parts = [field(1, name), field(2, kind), field(3, "data"), *(field(7, b) for b in blobs)]
    return field(100, b"".join(parts))


def old_layer(name: str, kind: int, *blobs: bytes) -> bytes:
    parts = [field(2, "data"), field(4, name), field(5, kind), *(field(6, b) for b in blobs)]
    return field(2, b"".join(parts))
