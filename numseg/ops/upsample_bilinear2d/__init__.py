"""Bilinear upsampling."""

from __future__ import annotations

from collections.abc import Sequence

from numseg.geometry import Filter, linear_reach
from numseg.operator import Plan, operator
from numseg.ops.upsample_bilinear2d.geometry import Geometry
from numseg.ops.upsampling import excluded, places
from numseg.typing import Array, ArrayLike, Pair


@operator("x", linear="x")
def upsample_bilinear2d(
    x: ArrayLike,
    size: Pair | None = None,
    scale_factor: float | Sequence[float] | None = None,
    align_corners: bool = False,
    recompute_scale_factor: bool = False,
    antialias: bool = False,
    coordinates: str | None = None,
    exclude_outside: bool | None = None,
) -> Plan[Array]:
    """Each output pixel lies among four input pixels, and is their weighted mean.

    Along one axis, output pixel p is at ``s = (p + 1/2) * H / OH - 1/2``, clamped to [0, H - 1],
    and takes ``1 - f`` of pixel ``floor(s)`` and ``f`` of the next one, where ``f = s - floor(s)``.

    Parameters
    ----------
    x : array, (N, C, H, W), float32 or float64
    size : int or (rows, columns), optional
        Output size. Either this or ``scale_factor``.
    scale_factor : float or (rows, columns), optional
        Output size ``floor(H * scale_factor)``; and ``s = (p + 1/2) / scale_factor - 1/2``, which
        is something else than by size if the output size was rounded; but ``s = p`` if OH is H.
    align_corners : bool
        ``s = p * (H - 1) / (OH - 1)`` instead, 0 if OH is 1: the centres of the corner pixels stay
        where they are. The factor then decides the size only.
    recompute_scale_factor : bool
        Let the factor decide the size only.
    antialias : bool
        Where the image shrinks, average over it: pixel i weighs ``1 - |i - s| / t`` if that is
        positive, where t is ``H / OH`` (or ``1 / scale_factor``), at least 1, and s is not clamped.
        The weights are divided by their sum.
    coordinates : str, optional
        ``s`` before it is clamped, by the names of ONNX; ``f`` is scale_factor, or ``OH / H``:

        - "half_pixel": ``(p + 1/2) / f - 1/2``, also where OH is H
        - "pytorch_half_pixel": the same, 0 if OH is 1
        - "half_pixel_symmetric": ``(p + 1/2 - OH/2) / f + H/2 - 1/2``
        - "align_corners": ``p * (H - 1) / (OH - 1)``, 0 if OH is 1
        - "asymmetric": ``p / f``
        - "tf_half_pixel_for_nn": ``(p + 1/2) / f``
    exclude_outside : bool, optional
        With ``antialias``: pixels outside of the image do not count, as in PyTorch. False is ONNX's
        default: the pixels at the border stand for them. (Without, both are the same.)

    Returns
    -------
    array, (N, C, OH, OW), dtype of x

    Raises
    ------
    ArgumentError
        For a wrong rank or dtype, both or neither of size and scale_factor, a size below 1, a
        factor that is not positive or that leaves no pixels, a size for an x without pixels, or
        an unknown name.

    Notes
    -----
    Positions are exact, or float64 if they come from a factor; weights are rounded to the dtype of
    x. Pixels of a row are blended first, then rows. All four pixels are read, with a weight of 0
    too (0 * NaN is NaN); after the last pixel comes the last pixel again.

    When it shrinks an image it skips pixels, unless told to antialias.

    Gradient: a pixel gets the weighted ``grad_y`` of the output pixels that read it, in row-major
    order, rows first. The same bits every time, which ``torch.nn.functional.interpolate`` does not
    promise on CUDA (pytorch#68961).

    Source: PyTorch 2.13, ``torch.nn.functional.interpolate(mode="bilinear")``, which computes
    positions in the dtype of x: in float32 its weights are off by as much as ``1e-7 * W``.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> x = np.array([[[[0.0, 4.0]]]])
    >>> ns.upsample_bilinear2d(x, (1, 4))[0, 0]
    array([[0., 1., 3., 4.]])
    >>> ns.upsample_bilinear2d(x, (1, 5), align_corners=True)[0, 0]
    array([[0., 1., 2., 3., 4.]])
    """
    at = places(x, size, scale_factor, align_corners, recompute_scale_factor, coordinates)
    n, c, _, w, oh, ow = at.sizes
    kind = Filter(1, 0.0, *excluded(exclude_outside, antialias))
    plain = linear_reach(at.rows), linear_reach(at.columns)
    return Plan(
        outputs=(at.y,),
        geometry=Geometry(*at.sizes, *at.rows, *at.columns, *kind[2:]),
        flops=at.flops(kind) if kind.antialias else n * c * oh * (3 * w + 3 * ow),
        reach=at.reach(kind) if kind.antialias else plain,
        grid=at.grid,
    )
