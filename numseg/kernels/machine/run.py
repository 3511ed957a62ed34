"""A run of neighbouring numbers, as an array; arrays of a record, without counting references.

Numba counts a reference, by a locked instruction, for every array that is taken out of a
NamedTuple: where it is done for each short line, that takes as long as the line.
"""

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


def run_of(name: str) -> Any:
    """The intrinsic for ``run(record.name, first, count)``."""

    def take(typing: Any, record: Any, first: Any, count: Any) -> Any:
        place = record.fields.index(name)
        array = record.types[place]

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            part = builder.extract_value(args[0], place)
            inner = array(array, *signature.args[1:])
            return _run(typing, array, first, count)[1](context, builder, inner, (part, *args[1:]))

        return array(record, first, count), generate

    return intrinsic(take)


def number_of(name: str) -> Any:
    """The intrinsic for ``record.name[i]``."""

    def take(typing: Any, record: Any, i: Any) -> Any:
        place = record.fields.index(name)
        array = record.types[place]

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            part = builder.extract_value(args[0], place)
            data = make_array(array)(context, builder, part).data
            index = context.cast(builder, args[1], signature.args[1], types.intp)
            return builder.load(builder.gep(data, [index]))

        return array.dtype(record, i), generate

    return intrinsic(take)


def length_of(name: str) -> Any:
    """The intrinsic for ``len(record.name)``."""

    def take(typing: Any, record: Any) -> Any:
        place = record.fields.index(name)

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            part = builder.extract_value(args[0], place)
            whole = make_array(record.types[place])(context, builder, part)
            return builder.extract_value(whole.shape, 0)

        return types.intp(record), generate

    return intrinsic(take)
