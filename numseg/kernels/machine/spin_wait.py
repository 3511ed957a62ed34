"""Spin waiting for another thread, for a moment."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.cgutils import get_or_insert_function
from numba.extending import intrinsic

from numseg.kernels.machine.emitter import MACHINE
from numseg.kernels.machine.jit import kernel

_ON_X86 = MACHINE in ("x86_64", "amd64")


def _pause_and_load(typing: Any, numbers: Any) -> Any:
    """``numbers[0]`` as it is in memory now, after a pause where the CPU knows one."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, args[0])
        if _ON_X86:
            pause = ir.FunctionType(ir.VoidType(), [])
            builder.call(get_or_insert_function(builder.module, pause, "llvm.x86.sse2.pause"), [])
        return builder.load_atomic(array.data, "acquire", align=8)

    return types.int64(numbers), generate


_load_after_pause: Any = intrinsic(_pause_and_load)


GRACE = 400
"""Looks more, some 10 microseconds: who changed a number may still hold the interpreter's lock, and
to ask for a lock that is held is to sleep."""


@kernel()
def spin_wait(numbers, before, rounds):
    """Return a moment after ``numbers[0]`` is not ``before``, or after so many looks."""
    for _ in range(rounds):
        if _load_after_pause(numbers) != before:
            for _ in range(GRACE):
                _load_after_pause(numbers)
            return
