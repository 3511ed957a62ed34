"""Rectified linear unit."""

from __future__ import annotations

from typing import NamedTuple

from numseg import checks
from numseg.operator import Plan, Spec, operator
from numseg.typing import Array, ArrayLike


class Geometry(NamedTuple):
    size: int


@operator("x", saves="x")
def relu(x: ArrayLike) -> Plan[Array]:
    """Rectified linear unit: ``y = max(x, 0)``.

    Parameters
    ----------
    x : array, any shape, float32 or float64

    Returns
    -------
    array
        Same shape and dtype. NaN stays NaN; -0.0 becomes +0.0.

    Raises
    ------
    ArgumentError
        If the dtype is neither float32 nor float64.

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
    dtype = checks.floats(x=x)
    spec = Spec(tuple(x.shape), dtype)
    return Plan(outputs=(spec,), geometry=Geometry(spec.size), flops=spec.size)
