"""NamedTuples of integers that a kernel is given as one array.

To take a NamedTuple apart on the way into a kernel costs some 80 nanoseconds a field: of a small
convolution's call, a third. An array costs 100 in all, and its numbers are in registers alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numba.core import types
from numba.extending import intrinsic

from numseg.kernels.machine.emitter import INT
from numseg.typing import Array


def as_array(numbers: Iterable[int]) -> Array:
    """The fields of a NamedTuple, integers or bools, as a read-only array."""
    array = np.array(list(numbers), np.int64)
    array.flags.writeable = False
    return array


def _as_fields(typing: Any, array: Any, kind: Any) -> Any:
    """``kind(*array)``: the NamedTuple again, of int64 alone."""
    fields = len(kind.instance_class._fields)
    result = types.NamedUniTuple(types.int64, fields, kind.instance_class)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        data = context.make_array(array)(context, builder, values[0]).data
        numbers = [builder.load(builder.gep(data, [INT(i)])) for i in range(fields)]
        return context.make_tuple(builder, result, numbers)

    return result(array, kind), generate


as_fields: Any = intrinsic(_as_fields)
