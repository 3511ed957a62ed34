"""A run of neighbouring numbers, as an array."""

from __future__ import annotations

from typing import Any

from numba import types
from numba.core.imputils import impl_ret_untracked
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array


def _run(typing: Any, array: Any, first: Any, count: Any) -> Any:
    """``array[first : first + count]`` of a 1-D array whose run it is known to be.

    A slice clips its ends and counts references, which takes as long as a row of 50 numbers. The
    array must outlive its run.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        whole = make_array(array)(context, builder, args[0])
        part = make_array(array)(context, builder)
        first, count = (
            context.cast(builder, arg, kind, types.intp)
            for arg, kind in zip(args[1:], signature.args[1:], strict=True)
        )
        populate_array(
            part,
            data=builder.gep(whole.data, [first]),
            shape=[count],
            strides=[whole.itemsize],
            itemsize=whole.itemsize,
            meminfo=None,
        )
        return impl_ret_untracked(context, builder, array, part._getvalue())

    flat = array.ndim == 1 and array.layout == "C"
    return (array(array, first, count), generate) if flat else None


run: Any = intrinsic(_run)
