"""Leaky rectified linear unit."""

from __future__ import annotations

from numseg import checks
from numseg.operator import Plan
from numseg.ops.pointwise import planned, pointwise
from numseg.typing import Array, ArrayLike


@pointwise()
def leaky_relu(x: ArrayLike, negative_slope: float = 0.01) -> Plan[Array]:
    """Leaky rectified linear unit: ``y = x`` where ``x > 0``, else ``negative_slope * x``.

    Parameters
    ----------
    x : array, any shape, float32 or float64
    negative_slope : float
        PyTorch's and ONNX's default is 0.01; TensorFlow's is 0.2, Caffe's (ReLU) is 0.

    Returns
    -------
    array
        Same shape and dtype. NaN stays NaN. The product is computed in float64, then rounded.

    Raises
    ------
    ArgumentError
        If the dtype is neither float32 nor float64, or negative_slope is not a finite number.

    Notes
    -----
    Gradient: ``grad_y`` where ``x > 0``, else ``negative_slope * grad_y``: also at the kink and
    where x is NaN.

    Source: PyTorch 2.13, ``torch.nn.functional.leaky_relu``, which rounds the slope to float32
    before it multiplies float32 numbers. Maas, Hannun and Ng 2013.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.leaky_relu(np.array([-2.0, 0.0, 2.0]), 0.25)
    array([-0.5,  0. ,  2. ])
    """
    return planned(x, checks.real("negative_slope", negative_slope), flops=1)
