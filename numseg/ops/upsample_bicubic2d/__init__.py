"""Bicubic upsampling."""

from __future__ import annotations

from collections.abc import Sequence

from numseg import checks
from numseg.geometry import Filter
from numseg.operator import Plan, operator
from numseg.ops.upsample_bicubic2d.geometry import Geometry
from numseg.ops.upsampling import excluded, places
from numseg.typing import Array, ArrayLike, Pair


@operator("x", linear="x")
def upsample_bicubic2d(
    x: ArrayLike,
    size: Pair | None = None,
    scale_factor: float | Sequence[float] | None = None,
    align_corners: bool = False,
    recompute_scale_factor: bool = False,
    antialias: bool = False,
    coordinates: str | None = None,
    cubic_coeff_a: float | None = None,
    exclude_outside: bool | None = None,
) -> Plan[Array]:
    """Each output pixel is a weighted mean of the 4 x 4 input pixels around its place.

    Along one axis, output pixel p is at ``s = (p + 1/2) * H / OH - 1/2``, and takes ``f(i - s)`` of
    each pixel i less than 2 away, where ``f(t)`` is ``(a + 2) |t|^3 - (a + 3) t^2 + 1`` for
    ``|t| <= 1`` and ``a (|t| - 1) (|t| - 2)^2`` beyond.

    Parameters
    ----------
    x : array, (N, C, H, W), float32 or float64
    size : int or (rows, columns), optional
        Output size. Either this or ``scale_factor``.
    scale_factor : float or (rows, columns), optional
        Output size ``floor(H * scale_factor)``; and ``s = (p + 1/2) / scale_factor - 1/2``, which
        is something else than by size if the output size was rounded; but ``s = p`` if OH is H.
    align_corners : bool
        ``s = p * (H - 1) / (OH - 1)`` instead, 0 if OH is 1. The factor then decides the size only.
    recompute_scale_factor : bool
        Let the factor decide the size only.
    antialias : bool
        Where the image shrinks, the filter is as many times as wide: pixel i weighs ``f((i - s) /
        t)`` if that is less than 2 away, where t is ``H / OH`` (or ``1 / scale_factor``), at least
        1. The weights are divided by their sum.
    coordinates : str, optional
        ``s`` by the names of ONNX; see :func:`upsample_bilinear2d`. It is not clamped.
    cubic_coeff_a : float, optional
        a. By default -3/4; -1/2 with ``antialias``, as in PyTorch and Pillow.
    exclude_outside : bool, optional
        Pixels outside of the image do not count, and the weights of the others are divided by their
        sum. Else the pixels at the border stand for them. By default as ``antialias``.

    Returns
    -------
    array, (N, C, OH, OW), dtype of x

    Raises
    ------
    ArgumentError
        For a wrong rank or dtype, both or neither of size and scale_factor, a size below 1, a
        factor that is not positive or that leaves no pixels, a size for an x without pixels, an
        unknown name, or a coefficient that is not finite.

    Notes
    -----
    Positions are exact, or float64 if they come from a factor; weights are rounded to the dtype of
    x. Pixels of a column are summed up first, then those of a row. Weights are negative between 1
    and 2 pixels away: a result may be larger than all pixels, or smaller.

    Gradient: a pixel gets the weighted ``grad_y`` of the output pixels that read it. The same bits
    every time.

    Source: PyTorch 2.13, ``torch.nn.functional.interpolate(mode="bicubic")``; ONNX 19 ``Resize``
    "cubic"; R. Keys, Cubic convolution interpolation for digital image processing, 1981.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> x = np.array([[[[0.0, 64.0]]]])
    >>> ns.upsample_bicubic2d(x, (1, 4))[0, 0]
    array([[-6.75, 14.5 , 49.5 , 70.75]])
    >>> ns.upsample_bicubic2d(x, (1, 4), exclude_outside=True)[0, 0].round(2)
    array([[-8.73, 14.68, 49.32, 72.73]])
    """
    at = places(x, size, scale_factor, align_corners, recompute_scale_factor, coordinates)
    antialias, exclude = excluded(exclude_outside, antialias)
    a = -0.5 if antialias else -0.75
    if cubic_coeff_a is not None:
        a = checks.real("cubic_coeff_a", cubic_coeff_a)
    kind = Filter(2, a, antialias, exclude)
    return Plan(
        outputs=(at.y,),
        geometry=Geometry(*at.sizes, *at.rows, *at.columns, a, antialias, exclude),
        flops=at.flops(kind),
        reach=at.reach(kind),
        grid=at.grid,
    )
