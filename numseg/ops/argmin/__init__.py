"""The place of the smallest number along an axis."""

from __future__ import annotations

from numseg.operator import Plan, operator
from numseg.ops.argmax import argmax, places
from numseg.typing import Array, ArrayLike


@operator("x", outputs="indices", differentiable="", like=argmax)
def argmin(
    x: ArrayLike, dim: int | None = None, keepdim: bool = False, *, select_last_index: bool = False
) -> Plan[Array]:
    """The place of the smallest number along an axis: of distances, the nearest one.

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
    NaN is smaller than all numbers, so the first NaN is found, or the last one. Zeros of both signs
    are equal.

    Gradient: none. The result is made of integers, and constant almost everywhere.

    Source: PyTorch 2.13, ``torch.argmin``, which does not say which of equal numbers it finds;
    NumPy; ONNX 13 ``ArgMin``.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.argmin(np.array([[4.0, 1.0, 1.0], [3.0, 2.0, 5.0]]), 1)
    array([1, 1])
    """
    return places(x, dim, keepdim, select_last_index, least=True)
