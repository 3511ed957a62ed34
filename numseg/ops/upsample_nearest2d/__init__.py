"""Nearest-neighbour upsampling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from numseg import checks, geometry
from numseg.operator import Plan, Spec, operator
from numseg.typing import Array, ArrayLike, Pair


class Geometry(NamedTuple):
    n: int
    c: int
    h: int
    w: int
    oh: int
    ow: int
    fy: float
    """Rows of the output for a row of x; 0 where it is OH / H."""
    fx: float


@operator("x", linear="x")
def upsample_nearest2d(
    x: ArrayLike,
    size: Pair | None = None,
    scale_factor: float | Sequence[float] | None = None,
) -> Plan[Array]:
    """Each output pixel is a copy of an input pixel.

    ``y[n, c, p, q] = x[n, c, source(p), source(q)]``, ``source(p) = floor(p * H / OH)``, and for
    columns likewise. Despite the name it looks up the pixel at the top left of the output pixel,
    as the frameworks do, not the one nearest to its centre: 3 to 7 pixels are 0 0 0 1 1 2 2.

    Parameters
    ----------
    x : array, (N, C, H, W), float32 or float64
    size : int or (rows, columns), optional
        Output size. Either this or ``scale_factor``.
    scale_factor : float or (rows, columns), optional
        Output size ``floor(H * scale_factor)``; and ``source(p) = min(floor(p / scale_factor), H -
        1)``, unless OH is H or 2 H: then it is the same as by size.

    Returns
    -------
    array, (N, C, OH, OW), dtype of x

    Raises
    ------
    ArgumentError
        For a wrong rank or dtype, both or neither of size and scale_factor, a size below 1, a
        factor that is not positive or that leaves no pixels, or a size for an x without pixels.

    Notes
    -----
    By size, all is integer arithmetic; ``p / scale_factor`` is rounded to float64. PyTorch 2.13
    (``torch.nn.functional.interpolate(mode="nearest")``) multiplies p by ``H / OH`` or by
    ``1 / scale_factor``, rounded to float32, and may land one pixel off where the exact value is an
    integer: from 2 to 82 pixels it reads pixel 0 for p = 41, where 41 * 2 / 82 is 1. Of the pairs
    of sizes 1 to 64 and 1 to 199, 200 in 12736 differ in a pixel. It also reads by size where OH is
    H or 2 H, whatever the factor.

    Gradient: a pixel gets the sum of ``grad_y`` over its copies, rows first; 0 if it has none.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.upsample_nearest2d(np.array([[[[1.0, 2.0, 3.0]]]]), (1, 7))[0, 0]
    array([[1., 1., 1., 2., 2., 3., 3.]])
    """
    dtype = checks.floats(x=x)
    n, c, h, w = checks.axes("x", x, "n c h w")
    (oh, ow), factors = geometry.resized(size, scale_factor, (h, w))
    fy, fx = (
        0.0 if o in (i, 2 * i) else factor
        for i, o, factor in zip((h, w), (oh, ow), factors, strict=True)
    )
    return Plan(
        outputs=(Spec((n, c, oh, ow), dtype),),
        geometry=Geometry(n, c, h, w, oh, ow, fy, fx),
        reach=(geometry.nearest_reach(h, oh, fy), geometry.nearest_reach(w, ow, fx)),
    )
