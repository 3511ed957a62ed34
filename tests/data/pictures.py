"""Picture files, byte by byte: what is in them is known without the library that reads them."""

from __future__ import annotations

import struct
import zlib

import numpy as np


def png(numbers, depth: int, kind: int = 0, more: bytes = b"") -> bytes:
    """A PNG of (H, W) or (H, W, C) numbers of so many bits; kind 0 is grey, 2 RGB, 3 palette, 4
    grey and alpha, 6 RGBA."""
    numbers = np.asarray(numbers)
    rows, columns = numbers.shape[:2]
    lines = b"".join(b"\0" + _bits(row.reshape(-1), depth) for row in numbers)
    head = struct.pack(">IIBBBBB", columns, rows, depth, kind, 0, 0, 0)
    if kind == 3:
        more = chunk(b"PLTE", bytes(range(256)) * 3) + more
    parts = chunk(b"IHDR", head) + more + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def chunk(name: bytes, content: bytes) -> bytes:
    whole = name + content
    return struct.pack(">I", len(content)) + whole + struct.pack(">I", zlib.crc32(whole))


def _bits(numbers, depth: int) -> bytes:
    text = "".join(f"{int(number):0{depth}b}" for number in numbers)
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")


def exif(orientation: int) -> bytes:
    """The chunk by which a PNG states how it is turned."""
    return chunk(
        b"eXIf",
        b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0" + bytes([orientation]) + b"\0\0\0\0\0\0",
    )
