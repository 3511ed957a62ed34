"""DeepLab's Interp layer."""

from __future__ import annotations

from numseg import checks
from numseg.errors import ArgumentError, shown
from numseg.geometry import linear_reach, zoomed
from numseg.operator import Plan, Spec, operator
from numseg.ops.interp2d.geometry import Geometry
from numseg.typing import Array, ArrayLike, Pair


@operator("x", linear="x")
def interp2d(
    x: ArrayLike,
    size: Pair | None = None,
    zoom_factor: int | None = None,
    shrink_factor: int | None = None,
    pad_beg: int = 0,
    pad_end: int = 0,
) -> Plan[Array]:
    """Bilinear interpolation by DeepLab's rules for sizes: corners stay where they are.

    The image is cropped by ``-pad_beg`` and ``-pad_end`` pixels, then it is
    ``upsample_bilinear2d(..., size, align_corners=True)``. Of H rows that are left,
    ``shrink_factor`` makes ``H = (H - 1) // shrink_factor + 1``, and then ``zoom_factor`` makes
    ``OH = H + (H - 1) * (zoom_factor - 1)``: it puts ``zoom_factor - 1`` rows between any two.

    Parameters
    ----------
    x : array, (N, C, H, W), float32 or float64
    size : int or (rows, columns), optional
        Either this or factors.
    zoom_factor, shrink_factor : int, optional
        One of them, or both.
    pad_beg, pad_end : int
        At most 0: so many rows and columns are cut off at the top and left, at the bottom and
        right. The names are those of the layer.

    Returns
    -------
    array, (N, C, OH, OW), dtype of x

    Raises
    ------
    ArgumentError
        For a wrong rank or dtype, a size and a factor or neither, numbers below 1, a ``pad_beg``
        or ``pad_end`` above 0, or a crop that leaves nothing.

    Notes
    -----
    Gradient: that of ``upsample_bilinear2d``, 0 around the crop.

    Source: Chen et al., DeepLab (arXiv 1412.7062, 1606.00915), layer ``Interp`` of its Caffe.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> x = np.array([[[[0.0, 4.0, 6.0]]]])
    >>> ns.interp2d(x, zoom_factor=2)[0, 0]
    array([[0., 2., 4., 5., 6.]])
    >>> ns.interp2d.output_shape((1, 21, 41, 41), zoom_factor=8)
    (1, 21, 321, 321)
    """
    dtype = checks.floats(x=x)
    n, c, h, w = checks.axes("x", x, "n c h w")
    first = checks.integer("pad_beg", pad_beg, -checks.LARGEST, 0)
    last = checks.integer("pad_end", pad_end, -checks.LARGEST, 0)
    eh, ew = h + first + last, w + first + last
    if min(eh, ew) < 1:
        raise ArgumentError(f"pad_beg {first} and pad_end {last} leave nothing of {h} x {w} pixels")
    if (size is None) == (zoom_factor is None and shrink_factor is None):
        raise ArgumentError(
            f"give size, or zoom_factor and shrink_factor: got {shown(size)}, "
            f"{shown(zoom_factor)} and {shown(shrink_factor)}"
        )
    if size is not None:
        oh, ow = checks.pair("size", size, minimum=1)
    else:
        shrink, zoom = (
            1 if factor is None else checks.integer(name, factor, 1, checks.LARGEST)
            for name, factor in (("shrink_factor", shrink_factor), ("zoom_factor", zoom_factor))
        )
        oh, ow = (zoomed((i - 1) // shrink + 1, zoom) for i in (eh, ew))
    g = Geometry(n, c, h, w, -first, -first, eh, ew, oh, ow)
    sampled = g.upsampling
    rows, columns = (linear_reach((line, 0.0)) for line in (sampled.rows, sampled.columns))
    return Plan(
        outputs=(Spec((n, c, oh, ow), dtype),),
        geometry=g,
        flops=n * c * oh * (3 * ew + 3 * ow),
        reach=(
            rows._replace(first=rows.first - first, last=rows.last - first),
            columns._replace(first=columns.first - first, last=columns.last - first),
        ),
    )
