"""Numbers that go to the pixels in their switches.

A plane is cleared as far as the next switches reach, and not at once: it goes out to memory while
the next numbers are added. (Switches may point anywhere: the whole plane is cleared in the end.)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from numseg.kernels.jit import rule
from numseg.kernels.simd import INT

CHUNK = 128
"""Numbers that are looked at together. Also pixels that are cleared together."""


@rule
def clear_ahead(image, clear, places):
    """Clear ``image``, of which the first ``clear`` pixels are, up to the last of ``places``.
    Returns how many are clear now, and whether all the places are on the image."""
    last, size = np.uint64(0), len(image)
    for i in range(len(places)):
        place = np.uint64(places[i])  # a negative one is beyond all others
        last = place if place > last else last
    inside = last < np.uint64(size)
    end = min(np.int64(last) // CHUNK * CHUNK + CHUNK, size) if inside else size
    if end > clear:
        image[clear:end] = 0
    return max(clear, end), inside


@rule
def give(places, values, image, clear):
    """Add each value to the pixel in its place, in order, to nothing but for the first ``clear``
    pixels. A place that is not on the image is none."""
    for first in range(0, len(places), CHUNK):
        at, given = places[first : first + CHUNK], values[first : first + CHUNK]
        clear, inside = clear_ahead(image, clear, at)
        for i in range(len(at) if inside else 0):
            image[np.uint64(at[i])] += given[i]
        for i in range(0 if inside else len(at)):
            if 0 <= at[i] < len(image):
                image[at[i]] += given[i]
    image[clear:] = 0


LINE = 64
"""Bytes that caches move at a time."""


def _fetch_run(typing, array, first, end):
    """Ask for the lines of cache that ``array[first:end]`` is in, and do not wait for them: it will
    be read in no order that a CPU could guess."""

    def generate(context, builder, signature, values):
        data = context.make_array(array)(context, builder, values[0]).data
        flag = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, flag, flag, flag])
        prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        step = LINE // context.get_abi_sizeof(context.get_value_type(array.dtype))
        with cgutils.for_range_slice(builder, values[1], values[2], INT(step)) as (i, _):
            place = builder.bitcast(builder.gep(data, [i]), cgutils.voidptr_t)
            builder.call(prefetch, [place, flag(0), flag(3), flag(1)])  # to read, into all caches
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), generate


fetch_run: Any = intrinsic(_fetch_run)
