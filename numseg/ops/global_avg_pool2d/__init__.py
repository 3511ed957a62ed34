"""Global average pooling."""

from __future__ import annotations

from numseg import checks
from numseg.geometry import adaptive_reach
from numseg.operator import Plan, Spec, operator
from numseg.ops.adaptive_avg_pool2d import adaptive_avg_pool2d, bins_geometry
from numseg.typing import Array, ArrayLike


@operator("x", linear="x", like=adaptive_avg_pool2d)
def global_avg_pool2d(x: ArrayLike) -> Plan[Array]:
    """Mean of each plane: ``y[n, c, 0, 0] = mean over h, w of x[n, c, h, w]``.

    Parameters
    ----------
    x : array, (N, C, H, W), float32 or float64

    Returns
    -------
    array, (N, C, 1, 1), dtype of x

    Raises
    ------
    ArgumentError
        For a wrong rank or dtype, or an image without pixels.

    Notes
    -----
    Gradient: every pixel gets ``grad_y / (H * W)``.

    Source: Lin et al. 2013, "Network in network"; ONNX ``GlobalAveragePool``. It is
    :data:`~numseg.adaptive_avg_pool2d` with one bin.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.global_avg_pool2d(np.array([[[[1.0, 2.0], [3.0, 6.0]]]]))
    array([[[[3.]]]])
    """
    dtype = checks.floats(x=x)
    g = bins_geometry(x, 1)
    return Plan(
        outputs=(Spec((g.n, g.c, 1, 1), dtype),),
        geometry=g,
        flops=g.n * g.c * (g.h * g.w + 1),
        reach=(adaptive_reach(g.h, 1), adaptive_reach(g.w, 1)),
    )
