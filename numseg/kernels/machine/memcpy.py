"""Copying a run of numbers, at the speed of the machine's ``memcpy``."""

from __future__ import annotations

from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


def _copy(typing: Any, source: Any, target: Any) -> Any:
    """Copy ``source`` to ``target``: contiguous, of one size and dtype, not overlapping.

    Numba compiles ``target[:] = source`` to a loop for any strides and overlaps, half as fast.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        here, there = (
            context.make_array(array)(context, builder, arg)
            for array, arg in zip(signature.args, args, strict=True)
        )
        cgutils.raw_memcpy(builder, there.data, here.data, there.nitems, there.itemsize)
        return context.get_dummy_value()

    alike = source.dtype == target.dtype and source.layout == target.layout == "C"
    return (types.void(source, target), generate) if alike else None


copy: Any = intrinsic(_copy)
