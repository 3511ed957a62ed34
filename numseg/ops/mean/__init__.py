"""Means over axes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from numseg.operator import Plan, operator
from numseg.ops.over_axes import axes, planned
from numseg.ops.sum import sum
from numseg.typing import Array, ArrayLike


@operator("x", linear="x", like=sum)
def mean(
    x: ArrayLike, dim: int | Sequence[int] | None = None, keepdim: bool = False
) -> Plan[Array]:
    """The mean of the numbers along some axes.

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
    The mean of no numbers is NaN. On the CPU sums are taken in float64, and the mean is rounded
    once: it is finite where the sum would be too large for float32.

    Gradient: each number gets the ``grad_y`` of the mean that it is in, divided by how many there
    are.

    Source: ``torch.mean`` of PyTorch 2.13, where a ``dim`` of no axes means all; ONNX 18
    ``ReduceMean``.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.mean(np.ones((2, 3, 4, 4)), (2, 3), keepdim=True).shape
    (2, 3, 1, 1)
    """
    return planned(x, dim, keepdim, math.prod(x.shape[d] for d in axes(x, dim)))
