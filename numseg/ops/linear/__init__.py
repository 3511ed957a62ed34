"""Linear layer."""

from __future__ import annotations

from numseg import checks
from numseg.errors import ArgumentError
from numseg.operator import Plan, Spec, operator
from numseg.ops.linear.geometry import Geometry
from numseg.typing import Array, ArrayLike


@operator("x weight bias", saves="x weight", linear="x weight")
def linear(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None) -> Plan[Array]:
    """Linear layer: ``y[..., o] = bias[o] + sum over i of x[..., i] * weight[o, i]``.

    Parameters
    ----------
    x : array, (..., I), float32 or float64
    weight : array, (O, I), dtype of x
    bias : array, (O,), dtype of x, optional

    Returns
    -------
    array, (..., O), dtype of x

    Raises
    ------
    ArgumentError
        For a wrong rank or dtype, or sizes that do not match.

    Notes
    -----
    Gradient: ``grad_x = grad_y @ weight``, ``grad_weight = grad_y.T @ x`` and ``grad_bias`` the sum
    of ``grad_y``, all leading axes taken as one. No kinks.

    Source: ``torch.nn.functional.linear`` of PyTorch 2.13.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.linear(np.array([1.0, 2.0]), np.array([[3.0, 4.0], [5.0, 6.0]]), np.array([0.5, 0.0]))
    array([11.5, 17. ])
    """
    dtype = checks.floats(x=x, weight=weight, bias=bias)
    outputs, inputs = checks.axes("weight", weight, "outputs inputs")
    if len(x.shape) < 1:
        raise ArgumentError("x has shape (), expected at least 1 axis (inputs last)")
    *lead, last = x.shape
    if last != inputs:
        raise ArgumentError(f"x has {last} inputs (its last axis), but weight has {inputs}")
    if bias is not None:
        checks.shape("bias", bias, (outputs,), f"one for each of the {outputs} outputs of weight")
    y = Spec((*lead, outputs), dtype)
    rows = Spec(tuple(lead)).size
    return Plan(
        outputs=(y,),
        geometry=Geometry(rows, inputs, outputs),
        flops=2 * rows * inputs * outputs + (0 if bias is None else y.size),
        reach=None,
    )
