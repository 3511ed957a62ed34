"""Global max pooling, with indices."""

from __future__ import annotations

import numpy as np

from numseg import checks
from numseg.geometry import adaptive_reach
from numseg.operator import Plan, Spec, operator
from numseg.ops.adaptive_avg_pool2d import bins_geometry
from numseg.ops.adaptive_max_pool2d import adaptive_max_pool2d
from numseg.typing import Array, ArrayLike


@operator("x", outputs="y indices", saves="indices", like=adaptive_max_pool2d)
def global_max_pool2d(
    x: ArrayLike, return_indices: bool = False
) -> Plan[Array | tuple[Array, Array]]:
    """Maximum of each plane, and where it stood.

    ``y[n, c, 0, 0] = max over h, w of x[n, c, h, w]``

    Parameters
    ----------
    x : array, (N, C, H, W), float32 or float64
    return_indices : bool
        Also return the indices.

    Returns
    -------
    y : array, (N, C, 1, 1), dtype of x
    indices : array, (N, C, 1, 1), int64
        Only if asked for: the flat index ``row * W + column`` of the winner in its (H, W) plane.

    Raises
    ------
    ArgumentError
        For a wrong rank or dtype, or an image without pixels.

    Notes
    -----
    Ties and NaN as in :data:`~numseg.max_pool2d`: the first maximum in row-major order wins; NaN
    wins over every number, and the index is that of the last NaN.

    Gradient: ``grad_y`` goes to the pixel at the index.

    Source: ONNX ``GlobalMaxPool``, which has no indices; PyTorch 2.13,
    ``adaptive_max_pool2d(x, 1, return_indices=True)``, bit for bit.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.global_max_pool2d(np.array([[[[1.0, 6.0], [3.0, 6.0]]]]), return_indices=True)
    (array([[[[6.]]]]), array([[[[1]]]]))
    """
    dtype = checks.floats(x=x)
    g = bins_geometry(x, 1)
    shape = (g.n, g.c, 1, 1)
    return Plan(
        outputs=(Spec(shape, dtype), Spec(shape, np.dtype(np.int64))),
        geometry=g,
        results=2 if checks.flag("return_indices", return_indices) else 1,
        flops=g.n * g.c * g.h * g.w,
        reach=(adaptive_reach(g.h, 1), adaptive_reach(g.w, 1)),
        linear=False,
    )
