"""Maximum."""

from __future__ import annotations

from numseg.operator import Plan
from numseg.ops.broadcasting import broadcasting, planned
from numseg.typing import Array, ArrayLike


@broadcasting()
def maximum(x: ArrayLike, other: ArrayLike) -> Plan[Array]:
    """The larger one of two arrays, number by number, with NumPy's broadcasting.

    Returns
    -------
    array
        Dtype of x, and the shape that x and other broadcast to. NaN where
        either is. Where both are 0, of whatever sign, it is that of x.


    Notes
    -----
    Gradient: ``grad_y`` goes to the larger one; where both are equal, half of it goes to
    each. Where one is NaN, both get all of it, as in PyTorch. Each is summed over the axes along
    which its array was repeated.

    Source: PyTorch 2.13, ``torch.maximum``, but for the sign of zeros, which depends on the
    processor there.


    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.maximum(np.array([1.0, np.nan, 3.0]), np.array(2.0))
    array([ 2., nan,  3.])
    """
    return planned(x, other)
