"""Minima over axes."""

from __future__ import annotations

from collections.abc import Sequence

from numseg.operator import Plan, operator
from numseg.ops.amax import amax, extremes
from numseg.typing import Array, ArrayLike


@operator("x", saves="x y", like=amax)
def amin(
    x: ArrayLike, dim: int | Sequence[int] | None = None, keepdim: bool = False
) -> Plan[Array]:
    """The smallest of the numbers along some axes.

    Parameters
    ----------
    x : array, any shape, float32 or float64
    dim : int or sequence of int, optional
        The axes; negative counts from the last one. All by default.
    keepdim : bool
        Leave an axis of one number in the place of each.

    Returns
    -------
    array
        Without these axes, or with 1 in their place. Dtype of x.

    Raises
    ------
    ArgumentError
        For a wrong dtype, an axis that x does not have, one that is named twice, none at all, or
        one without numbers.

    Notes
    -----
    NaN is smaller than all numbers. Of zeros of both signs it is one or the other.

    Gradient: the smallest numbers share ``grad_y`` equally, as many as there are. Where y is NaN
    those that are NaN do; PyTorch then gives NaN to all.

    Source: ``torch.amin`` of PyTorch 2.13; ONNX 18 ``ReduceMin``.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.amin(np.array([[1.0, 5.0], [3.0, 4.0]]), 0)
    array([1., 4.])
    """
    return extremes(x, dim, keepdim, -1)
