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
    Gradient: ``grad_x = grad_y`` where ``x > 0``, else 0. At the kink ``x = 0`` it is 0, and where
    x is NaN it is 0, as in PyTorch 2.13 (``torch.nn.functional.relu``).

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.relu(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    dtype = checks.floats(x=x)
    spec = Spec(tuple(x.shape), dtype)
    return Plan(outputs=(spec,), geometry=Geometry(spec.size), flops=spec.size)
