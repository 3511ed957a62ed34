"""Clip to an interval."""

from __future__ import annotations

import math

import numpy as np

from numseg import checks
from numseg.errors import ArgumentError, shown
from numseg.operator import Plan
from numseg.ops.pointwise import planned, pointwise
from numseg.typing import Array, ArrayLike


@pointwise()
def clip(
    x: ArrayLike,
    min: float | None = None,
    max: float | None = None,
    *,
    boundary: str = "inside",
) -> Plan[Array]:
    """Clip to an interval: ``y`` is x, or the nearer one of two bounds.

    ``clip(x, 0, 6, boundary="outside")`` is PyTorch's relu6, ``clip(x, -1, 1,
    boundary="outside")`` its hardtanh.

    Parameters
    ----------
    x : array, any shape, float32 or float64
    min, max : float, optional
        The bounds, rounded to the dtype of x. None is no bound, which is to say an infinite one. If
        min is above max, the result is max everywhere.
    boundary : {"inside", "outside"}
        Whether a number that equals a bound counts as one between the bounds: that decides its
        gradient.

    Returns
    -------
    array
        Same shape and dtype. NaN stays NaN; -0.0 stays -0.0 where a bound is 0.

    Raises
    ------
    ArgumentError
        If the dtype is neither float32 nor float64, or a bound is NaN or no number.

    Notes
    -----
    Gradient: ``grad_y`` between the bounds, 0 beyond them and where x is NaN. At a bound it
    is ``grad_y`` for "inside" and 0 for "outside".

    Source: PyTorch 2.13, ``torch.clamp`` ("inside"), ``torch.nn.functional.hardtanh`` and ``relu6``
    ("outside"); ONNX ``Clip``, where a bound that is left out is the largest finite number.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.clip(np.array([-2.0, 3.0, 7.0]), 0, 6)
    array([0., 3., 6.])
    """
    checks.choice("boundary", boundary, ("inside", "outside"))
    low, high = _bound("min", min, -math.inf, x), _bound("max", max, math.inf, x)
    return planned(x, low, high, float(boundary == "inside"), flops=2)


def _bound(name: str, value: float | None, none: float, x: ArrayLike) -> float:
    number = none if value is None else checks.real(name, value, finite=False)
    if math.isnan(number):
        raise ArgumentError(f"{name} must be a number, got {shown(value)}")
    with np.errstate(over="ignore"):
        return float(checks.floats(x=x).type(number))
