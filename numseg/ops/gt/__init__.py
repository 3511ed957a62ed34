"""Larger numbers."""

from __future__ import annotations

from numseg.operator import Plan
from numseg.ops.broadcasting import broadcasting, planned
from numseg.typing import Array, ArrayLike


@broadcasting(saves="")
def gt(x: ArrayLike, other: ArrayLike) -> Plan[Array]:
    """Where x is larger than other: 1 there and 0 elsewhere, with NumPy's broadcasting.

    Returns
    -------
    array
        1 and 0 in the dtype of x, and the shape that x and other broadcast to.
        NaN is larger than nothing, and nothing than NaN.

    Notes
    -----
    Truth values are numbers here, so that a graph may go on with them: ``minimum`` is "and",
    ``maximum`` is "or", ``eq(y, 0)`` is "not", and :func:`where` chooses by them.

    Gradient: 0 everywhere, whatever ``grad_y`` is: y is constant between its jumps.

    Source: PyTorch 2.13, ``torch.gt``, which gives truth values.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.gt(np.array([1.0, 2.0, 3.0]), np.array(2.0))
    array([0., 0., 1.])
    """
    return planned(x, other)
