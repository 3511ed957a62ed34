"""Adaptive average pooling."""

from __future__ import annotations

from collections.abc import Sequence

from numseg import checks
from numseg.errors import ArgumentError
from numseg.geometry import adaptive_reach
from numseg.operator import Plan, Spec, operator
from numseg.ops.adaptive_avg_pool2d.geometry import Geometry
from numseg.typing import Array, ArrayLike


@operator("x", linear="x")
def adaptive_avg_pool2d(x: ArrayLike, output_size: int | Sequence[int | None]) -> Plan[Array]:
    """Mean of each of OH x OW bins, whatever the size of the image.

    ``y[n, c, p, q]`` is the mean of the rows from ``floor(p * H / OH)`` up to, not including,
    ``ceil((p + 1) * H / OH)``, and columns alike. Where OH does not divide H, neighbouring bins
    share a row.

    Parameters
    ----------
    x : array, (N, C, H, W), float32 or float64
    output_size : int or (rows, columns)
        OH and OW; None in a pair keeps the size of x. May be larger than the image.

    Returns
    -------
    array, (N, C, OH, OW), dtype of x

    Raises
    ------
    ArgumentError
        For a wrong rank or dtype, a negative output_size, or an image without pixels.

    Notes
    -----
    Gradient: each pixel of a bin gets ``grad_y`` divided by the pixels of the bin.

    Source: PyTorch 2.13, ``torch.nn.functional.adaptive_avg_pool2d``; the bins are those of He et
    al. 2014, "Spatial pyramid pooling", appendix A.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> x = np.array([[[[1.0, 2.0, 3.0, 4.0, 5.0]]]])
    >>> ns.adaptive_avg_pool2d(x, (None, 2))[0, 0]  # {1 2 3} {3 4 5}
    array([[2., 4.]])
    """
    dtype = checks.floats(x=x)
    g = bins_geometry(x, output_size)
    return Plan(
        outputs=(Spec((g.n, g.c, g.oh, g.ow), dtype),),
        geometry=g,
        flops=g.n * g.c * (g.h * g.w + g.oh * g.ow),
        reach=(adaptive_reach(g.h, g.oh), adaptive_reach(g.w, g.ow)),
    )


def bins_geometry(x: ArrayLike, output_size: int | Sequence[int | None]) -> Geometry:
    """The checked geometry of the bins over an image; that of the other bin poolings too."""
    n, c, h, w = checks.axes("x", x, "n c h w")
    if isinstance(output_size, (tuple, list)) and len(output_size) == 2:
        output_size = [i if o is None else o for i, o in zip((h, w), output_size, strict=True)]
    oh, ow = checks.pair("output_size", output_size, minimum=0)
    if h == 0 or w == 0:
        raise ArgumentError(f"x has shape {(n, c, h, w)}, expected an image with pixels")
    return Geometry(n, c, h, w, oh, ow)
