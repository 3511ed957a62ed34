"""Sums over axes."""

from __future__ import annotations

from collections.abc import Sequence

from numseg.operator import Plan, operator
from numseg.ops.over_axes import planned
from numseg.typing import Array, ArrayLike


@operator("x", linear="x")
def sum(x: ArrayLike, dim: int | Sequence[int] | None = None, keepdim: bool = False) -> Plan[Array]:
    """The sum of the numbers along some axes.

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
        For a wrong dtype, an axis that x does not have, one that is named twice, or none at all.

    Notes
    -----
    The sum of no numbers is 0. On the CPU sums are taken in float64, and rounded once.

    Gradient: each number gets the ``grad_y`` of the sum that it is in.

    Source: ``torch.sum`` of PyTorch 2.13, where a ``dim`` of no axes means all; ONNX 13
    ``ReduceSum``.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.sum(np.array([[1.0, 2.0], [3.0, 4.0]]), 1)
    array([3., 7.])
    """
    return planned(x, dim, keepdim)
