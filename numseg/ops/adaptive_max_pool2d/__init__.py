"""Adaptive max pooling, with indices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from numseg import checks
from numseg.geometry import adaptive_reach
from numseg.operator import Plan, Spec, operator
from numseg.ops.adaptive_avg_pool2d import bins_geometry
from numseg.typing import Array, ArrayLike


@operator("x", outputs="y indices", saves="indices")
def adaptive_max_pool2d(
    x: ArrayLike,
    output_size: int | Sequence[int | None],
    return_indices: bool = False,
) -> Plan[Array | tuple[Array, Array]]:
    """Maximum of each of OH x OW bins, whatever the size of the image, and where it stood.

    ``y[n, c, p, q]`` is the maximum of the rows from ``floor(p * H / OH)`` up to, not including,
    ``ceil((p + 1) * H / OH)``, and columns alike. Where OH does not divide H, neighbouring bins
    share a row.

    Parameters
    ----------
    x : array, (N, C, H, W), float32 or float64
    output_size : int or (rows, columns)
        OH and OW; None in a pair keeps the size of x. May be larger than the image.
    return_indices : bool
        Also return the indices.

    Returns
    -------
    y : array, (N, C, OH, OW), dtype of x
    indices : array, (N, C, OH, OW), int64
        Only if asked for: the flat index ``row * W + column`` of the winner in its (H, W) plane.

    Raises
    ------
    ArgumentError
        For a wrong rank or dtype, a negative output_size, or an image without pixels.

    Notes
    -----
    Ties and NaN as in :data:`~numseg.max_pool2d`: the first maximum in row-major order wins; NaN
    wins over every number, and the index is that of the last NaN.

    Gradient: each ``grad_y`` goes to the pixel at its index; where bins share a winner they add
    up, in row-major order of the bins.

    Source: PyTorch 2.13, ``torch.nn.functional.adaptive_max_pool2d(return_indices=True)``, bit for
    bit.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> x = np.array([[[[1.0, 2.0, 6.0, 4.0, 5.0]]]])
    >>> ns.adaptive_max_pool2d(x, (1, 2), return_indices=True)  # {1 2 6} {6 4 5}
    (array([[[[6., 6.]]]]), array([[[[2, 2]]]]))
    """
    dtype = checks.floats(x=x)
    g = bins_geometry(x, output_size)
    shape = (g.n, g.c, g.oh, g.ow)
    return Plan(
        outputs=(Spec(shape, dtype), Spec(shape, np.dtype(np.int64))),
        geometry=g,
        results=2 if checks.flag("return_indices", return_indices) else 1,
        flops=g.n * g.c * g.h * g.w,
        reach=(adaptive_reach(g.h, g.oh), adaptive_reach(g.w, g.ow)),
        linear=False,
    )
