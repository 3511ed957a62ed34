"""The place of the largest number along an axis."""

from __future__ import annotations

import math

import numpy as np

from numseg import checks
from numseg.errors import ArgumentError
from numseg.geometry import POINTWISE
from numseg.operator import Plan, Spec, operator
from numseg.ops.argmax.geometry import Geometry
from numseg.typing import Array, ArrayLike


@operator("x", outputs="indices", differentiable="")
def argmax(
    x: ArrayLike, dim: int | None = None, keepdim: bool = False, *, select_last_index: bool = False
) -> Plan[Array]:
    """The place of the largest number along an axis: of scores, the class of each pixel.

    Parameters
    ----------
    x : array, any shape, float32 or float64
    dim : int, optional
        The axis; negative counts from the last one. By default x is taken as one row.
    keepdim : bool
        Leave an axis of one number in the place of the one that is searched, or of all.
    select_last_index : bool
        Of equal numbers the last one; the first one by default.

    Returns
    -------
    array, int64
        Without the axis, or with 1 in its place. Numbers from 0 to one less than the axis has.

    Raises
    ------
    ArgumentError
        For a wrong dtype, an axis that x does not have, or one without numbers.

    Notes
    -----
    NaN is larger than all numbers, so the first NaN is found, or the last one. Zeros of both signs
    are equal.

    Gradient: none. The result is made of integers, and constant almost everywhere.

    Source: PyTorch 2.13, ``torch.argmax``, which does not say which of equal numbers it finds;
    NumPy; ONNX 13 ``ArgMax``.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.argmax(np.array([[1.0, 5.0, 5.0], [3.0, 2.0, 1.0]]), 1)
    array([1, 0])
    """
    return places(x, dim, keepdim, select_last_index, least=False)


def places(
    x: ArrayLike, dim: int | None, keepdim: bool, select_last_index: bool, least: bool
) -> Plan[Array]:
    """The plan of a search for the largest numbers, or for the ``least``."""
    shape = tuple(x.shape)
    checks.floats(x=x)
    keep, last = (
        checks.flag("keepdim", keepdim),
        checks.flag("select_last_index", select_last_index),
    )
    axis = None if dim is None else checks.dim(dim, "x", x)
    size = math.prod(shape) if axis is None else shape[axis]
    if size == 0:
        along = "" if axis is None else f" along axis {axis}"
        raise ArgumentError(f"x has no numbers{along}: {shape}")
    one = (1,) if keep else ()
    if axis is None:
        outer, inner, result = 1, 1, one * len(shape)
    else:
        before, after = shape[:axis], shape[axis + 1 :]
        outer, inner, result = math.prod(before), math.prod(after), (*before, *one, *after)
    rows_columns = axis is None or axis >= len(shape) - 2
    return Plan(
        outputs=(Spec(result, np.dtype(np.int64)),),
        geometry=Geometry(outer, size, inner, least, last),
        flops=outer * size * inner,
        reach=None if rows_columns else POINTWISE,
    )
