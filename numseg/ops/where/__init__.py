"""A choice between two arrays."""

from __future__ import annotations

from numseg import checks
from numseg.broadcasting import broadcast_shape
from numseg.geometry import POINTWISE
from numseg.operator import Plan, Spec, operator
from numseg.ops.where.geometry import Geometry
from numseg.typing import Array, ArrayLike


@operator("condition x other", saves="condition", differentiable="x other")
def where(condition: ArrayLike, x: ArrayLike, other: ArrayLike) -> Plan[Array]:
    """Numbers of x where a condition is not 0, of other elsewhere, with NumPy's broadcasting.

    Parameters
    ----------
    condition : array, dtype of x
        0 is false, all else true, NaN too: what :func:`eq` and :func:`lt` give.
    x, other : array, float32 or float64
        Of one dtype. All three shapes broadcast by NumPy's rule.

    Returns
    -------
    array
        Dtype of x, and the shape that the three broadcast to. Of what is not chosen nothing is
        seen, NaN neither.

    Raises
    ------
    ArgumentError
        If the shapes do not broadcast, or the dtypes differ.

    Notes
    -----
    Gradient: ``grad_y`` goes to the array that was chosen, 0 to the other one; each is summed over
    the axes along which its array was repeated. The condition has none.

    Source: PyTorch 2.13, ``torch.where``, whose condition holds truth values; ONNX 16 ``Where``.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> x = np.array([-1.0, 2.0, np.nan])
    >>> ns.where(ns.eq(x, x), x, np.array(0.0))
    array([-1.,  2.,  0.])
    """
    dtype = checks.floats(x=x, condition=condition, other=other)
    shapes = tuple(condition.shape), tuple(x.shape), tuple(other.shape)
    both = broadcast_shape("x", shapes[1], "other", shapes[2])
    spec = Spec(broadcast_shape("condition", shapes[0], "x and other", both), dtype)
    repeated = (1, 1, *shapes[1])[-2:] != (1, 1, *spec.shape)[-2:]
    return Plan(
        outputs=(spec,),
        geometry=Geometry(*shapes),
        flops=spec.size,
        reach=None if repeated else POINTWISE,
    )
