"""Softsign."""

from __future__ import annotations

from numseg.operator import Plan
from numseg.ops.pointwise import planned, pointwise
from numseg.typing import Array, ArrayLike


@pointwise()
def softsign(x: ArrayLike) -> Plan[Array]:
    """Softsign: ``y = x / (1 + abs(x))``.

    Returns
    -------
    array
        Same shape and dtype. NaN stays NaN; the infinities give NaN too, as infinity divided by
        infinity does.

    Notes
    -----
    Gradient: ``grad_y / (1 + abs(x))**2``; 0 at the infinities.

    Source: PyTorch 2.13, ``torch.nn.functional.softsign``, whose gradient at the infinities is NaN.
    Bergstra et al. 2009.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.softsign(np.array([-3.0, 0.0, 1.0]))
    array([-0.75,  0.  ,  0.5 ])
    """
    return planned(x, flops=3)
