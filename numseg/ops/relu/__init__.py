"""Rectified linear unit."""

from __future__ import annotations

from numseg.operator import Plan
from numseg.ops.pointwise import planned, pointwise
from numseg.typing import Array, ArrayLike


@pointwise()
def relu(x: ArrayLike) -> Plan[Array]:
    """Rectified linear unit: ``y = max(x, 0)``.

    Returns
    -------
    array
        Same shape and dtype. NaN stays NaN; -0.0 becomes +0.0.

    Notes
    -----
    Gradient: 0 where ``x <= 0``, the kink included, else ``grad_y``, so also where x is NaN.

    Source: PyTorch 2.13, ``torch.nn.functional.relu``, bit for bit but for the sign of zeros.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.relu(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    return planned(x, flops=1)
