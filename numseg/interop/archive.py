"""Zip files of arrays, as PyTorch and NumPy write them: read from memory, sizes checked first."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping

from numseg.errors import FileError, one_line, shown

_HEADER = struct.Struct("<4s22xHH")
"""In front of an entry: the signature, what its directory repeats, and two lengths."""


class Archive:
    """The entries of a zip file that is in memory.

    Entries that are stored as they are, as most are, are views of the file and are not copied;
    others are inflated to the size that the directory states and no further.
    """

    def __init__(self, content: bytes) -> None:
        self.content = memoryview(content)
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as opened:
                entries = opened.infolist()
        except Exception as error:  # zipfile raises a dozen kinds for what it cannot parse
            raise FileError(f"is a damaged zip file: {one_line(error)}") from None
        self.entries = {entry.filename: entry for entry in entries}
        if len(self.entries) < len(entries):
            raise FileError("is a zip file with two entries of one name")

    def read(self, name: str) -> memoryview:
        """The bytes of an entry, which are as many as stated and have the stated checksum."""
        if name not in self.entries:
            raise FileError(f"has no entry {shown(name)}")
        entry = self.entries[name]
        if entry.flag_bits & 1:
            raise FileError(f"entry {shown(name)} is encrypted")
        raw = self._stored(entry)
        if entry.compress_type == zipfile.ZIP_DEFLATED:
            raw = _inflated(raw, entry)
        elif entry.compress_type != zipfile.ZIP_STORED:
            raise FileError(f"entry {shown(name)} is compressed by method {entry.compress_type}")
        if len(raw) != entry.file_size or zlib.crc32(raw) != entry.CRC:
            raise FileError(f"entry {shown(name)} is damaged: not of the stated size or checksum")
        return raw

    def _stored(self, entry: zipfile.ZipInfo) -> memoryview:
        """An entry's bytes in the file."""
        start = entry.header_offset
        if not 0 <= start <= len(self.content) - _HEADER.size:
            raise FileError(f"entry {shown(entry.filename)} lies outside the file")
        signature, name, extra = _HEADER.unpack_from(self.content, start)
        start += _HEADER.size + name + extra
        if signature != b"PK\x03\x04" or entry.compress_size > len(self.content) - start:
            raise FileError(f"entry {shown(entry.filename)} lies outside the file")
        return self.content[start : start + entry.compress_size]


def _inflated(raw: memoryview, entry: zipfile.ZipInfo) -> memoryview:
    try:
        stream = zlib.decompressobj(-zlib.MAX_WBITS)
        # a byte more than stated tells a longer stream; 0 would mean no limit
        content = stream.decompress(raw, min(entry.file_size, len(raw) * 1100) + 1)
        if not stream.eof or stream.unused_data:
            raise zlib.error("it does not end where it is stated to")
        return memoryview(content)
    except zlib.error as error:
        raise FileError(f"entry {shown(entry.filename)} is damaged: {one_line(error)}") from None


def packed(entries: Mapping[str, bytes | memoryview], alignment: int = 64) -> bytes:
    """A zip file whose entries are stored as they are, each beginning at a multiple of
    ``alignment``. Equal entries give equal bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in entries.items():
            info = zipfile.ZipInfo(name)  # dated 1980, whenever it is written
            filled = -(out.tell() + _HEADER.size + len(name.encode()) + 4) % alignment
            info.extra = struct.pack("<2sH", b"FB", filled) + bytes(filled)
            archive.writestr(info, content)
    return out.getvalue()
