"""Absolute value."""

from __future__ import annotations

from numseg.operator import Plan
from numseg.ops.pointwise import planned, pointwise
from numseg.typing import Array, ArrayLike


@pointwise()
def abs(x: ArrayLike) -> Plan[Array]:
    """Absolute value: ``y = x`` where ``x > 0``, else ``-x``.

    Returns
    -------
    array
        Same shape and dtype. NaN stays NaN; no -0.0 comes out.

    Notes
    -----
    Gradient: ``grad_y`` times the sign of x, which is 0 at the kink, and where x is NaN.

    Source: PyTorch 2.13, ``torch.abs``.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.abs(np.array([-2.0, 0.0, 3.0]))
    array([2., 0., 3.])
    """
    return planned(x, flops=1)
