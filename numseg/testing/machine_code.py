"""What NVIDIA's machine code says of a kernel: its instructions, loops and multiply-adds.

The layout is that of compute capability 7 to 9: an instruction has 16 bytes, its operation the
lowest 12 bits, of which the upper three say where operands come from.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

SIZE = 16
"""Bytes of an instruction."""

OPERATION = 0x1FF
MULTIPLY_ADDS = {0x023: 1, 0x02B: 1, 0x03C: 32}
"""How many a thread makes by FFMA, DFMA and HMMA (of 16 x 8 x 8), without where their operands come
from."""

BRANCH = 0x947


class Code(NamedTuple):
    """What was counted in a kernel."""

    instructions: int
    """Padding included."""
    share: float
    """Of instructions that multiply and add, in the hot loop; 0 without one."""


def read(cubin: bytes, hopper: bool) -> Code:
    """The code in the ELF sections ``.text.*``. The hot loop is the one with most multiply-adds,
    the shortest of those with as many: what lies between a branch back and its target."""
    words = [
        struct.unpack_from("<QQ", text, place)
        for text in _texts(cubin)
        for place in range(0, len(text), SIZE)
    ]
    multiply_adds = [MULTIPLY_ADDS.get(low & OPERATION, 0) for low, _ in words]
    best, length, share = 0, 1, 0.0
    for end, (low, high) in enumerate(words):
        if low & 0xFFF == BRANCH and (start := end + 1 + _distance(low, high, hopper)) < end:
            found = sum(multiply_adds[start : end + 1])
            if found > best or (found == best and end + 1 - start < length):
                best, length = found, end + 1 - start
                share = sum(map(bool, multiply_adds[start : end + 1])) / length
    return Code(len(words), share)


def _distance(low: int, high: int, hopper: bool) -> int:
    """Of a branch, in instructions, from the one after it. On Hopper the lowest eight bits lie
    apart; on both the unit is four bytes."""
    upper = (low >> 34) | (high & 0x3FFFF) << 30
    upper -= (upper >> 47) << 48
    return ((upper << 8 | (low >> 16 & 0xFF)) if hopper else upper) * 4 // SIZE


def _texts(cubin: bytes) -> Iterator[bytes]:
    (start,) = struct.unpack_from("<Q", cubin, 40)
    size, count, names = struct.unpack_from("<HHH", cubin, 58)
    sections = [struct.unpack_from("<IIQQQQIIQQ", cubin, start + i * size) for i in range(count)]
    for section in sections:
        begin = sections[names][4] + section[0]
        if cubin[begin : cubin.index(b"\0", begin)].startswith(b".text"):
            yield cubin[section[4] : section[4] + section[5]]


class Multiprocessor(NamedTuple):
    """What the blocks on one share."""

    shared: int
    """Bytes of shared memory, of which each block takes a KiB more than it asks for."""
    registers: int = 65_536
    threads: int = 2048
    blocks: int = 32

    def holds(self, threads: int, registers: int, shared: int) -> int:
        """How many blocks of a kernel are there at a time. A warp takes registers by 256."""
        warps = -(-threads // 32)
        by_registers = self.registers // (-(-registers * 32 // 256) * 256 * warps)
        by_shared = self.shared // (shared + 1024)
        return min(self.blocks, self.threads // (warps * 32), by_registers, by_shared)


MULTIPROCESSORS = {(8, 0): Multiprocessor(164 * 1024), (9, 0): Multiprocessor(228 * 1024)}
