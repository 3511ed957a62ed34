"""Layer-wise L2 normalisation across channels."""

from __future__ import annotations

import math

import numpy as np

from numseg import checks
from numseg.operator import Plan, Spec, operator
from numseg.ops.l2_norm.geometry import EPS_RULES, Geometry
from numseg.typing import Array, ArrayLike


@operator("x weight", outputs="y norm", saves="x weight norm")
def l2_norm(
    x: ArrayLike, weight: ArrayLike | None = None, eps: float = 1e-12, eps_rule: str = "max"
) -> Plan[Array]:
    """Divide each pixel's channels by their Euclidean norm, then scale each channel.

    ``y[n, c, p] = weight[c] * x[n, c, p] / d[n, p]`` with ``norm[n, p]`` the root of the sum of
    ``x[n, c, p]**2`` over c, and

    ==========  =========================  =====================================================
    eps_rule    d                          whose
    ==========  =========================  =====================================================
    "max"       ``max(norm, eps)``         PyTorch's ``normalize``; TensorFlow's with sqrt(eps)
    "inside"    ``sqrt(norm**2 + eps)``    Caffe's ``Normalize`` layer (SSD, ParseNet)
    "outside"   ``norm + eps``             PyTorch ports of SSD
    ==========  =========================  =====================================================

    Parameters
    ----------
    x : array, (N, C, ...), float32 or float64
        At least two axes.
    weight : array, (C,), dtype of x, optional
        1 if not given. SSD starts it at 20.
    eps : float, at least 0
    eps_rule : {"max", "inside", "outside"}
        Where eps keeps d away from 0.

    Returns
    -------
    array
        Shape and dtype of x. Where d is 0 (eps is 0, and so is x), y is 0, as in ONNX.

    Raises
    ------
    ArgumentError
        For a wrong rank, shape or dtype, a negative eps, or an unknown rule.

    Notes
    -----
    All arithmetic is in float64, and a float32 result is rounded once; a float64 norm is exact only
    while squares neither overflow nor vanish, from about 1e-154 to 1e154.

    Gradient: for x and weight; through the norm except where "max" takes eps (at ``norm == eps``
    the norm counts). At x = 0 the norm has the subgradient 0: ``grad_x = weight * grad_y / d``.

    Source: PyTorch 2.13, ``torch.nn.functional.normalize(x, dim=1, eps=eps)`` times a weight. Liu,
    Rabinovich and Berg, ParseNet, 2015.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.l2_norm(np.array([[3.0, 4.0]]), np.array([10.0, 20.0]))
    array([[ 6., 16.]])
    """
    dtype = checks.floats(x=x, weight=weight)
    (n, c), rest = checks.leading_axes("x", x, "n c")
    if weight is not None:
        checks.shape("weight", weight, (c,), "one value for each channel of x")
    spec, size = Spec(tuple(x.shape), dtype), math.prod(rest)
    rule = EPS_RULES.index(checks.choice("eps_rule", eps_rule, EPS_RULES))
    return Plan(
        outputs=(spec, Spec((n, *rest), np.dtype(np.float64))),
        geometry=Geometry(n, c, size, checks.real("eps", eps, 0.0), rule),
        flops=4 * spec.size,
    )
