"""Nearest-neighbour upsampling."""

from __future__ import annotations

from collections.abc import Sequence

from numseg import checks
from numseg.geometry import COORDINATES, grid_of, line, nearest_reach, resized
from numseg.operator import Plan, Spec, operator
from numseg.ops.upsample_nearest2d.geometry import ROUNDINGS, Geometry
from numseg.typing import Array, ArrayLike, Pair


@operator("x", linear="x")
def upsample_nearest2d(
    x: ArrayLike,
    size: Pair | None = None,
    scale_factor: float | Sequence[float] | None = None,
    recompute_scale_factor: bool = False,
    coordinates: str = "nearest",
    rounding: str = "floor",
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
    recompute_scale_factor : bool
        Let the factor decide the size only.
    coordinates : str
        Where output pixels lie on the input, before rounding; ``f`` is scale_factor or ``OH / H``.
        "nearest" is ``p / f`` as above, "nearest-exact" ``(p + 1/2) / f``, which looks up the pixel
        under the centre; or one of ONNX's names, which make no difference where OH is H or 2 H:

        - "asymmetric": ``p / f``
        - "half_pixel": ``(p + 1/2) / f - 1/2``
        - "pytorch_half_pixel": the same, 0 if OH is 1
        - "half_pixel_symmetric": ``(p + 1/2 - OH/2) / f + H/2 - 1/2``
        - "align_corners": ``p * (H - 1) / (OH - 1)``, 0 if OH is 1
        - "tf_half_pixel_for_nn": ``(p + 1/2) / f``
    rounding : {"floor", "ceil", "round_prefer_floor", "round_prefer_ceil"}
        To which pixel a position between two goes; the last two go to the nearer one, and from the
        middle to the one they name. A pixel outside the image is then the one at the border.

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
    (oh, ow), factors = resized(size, scale_factor, recompute_scale_factor, (h, w))
    own = {"nearest": "asymmetric", "nearest-exact": "tf_half_pixel_for_nn"}
    checks.choice("coordinates", coordinates, (*own, *COORDINATES))
    if coordinates == "nearest":
        whole = oh in (h, 2 * h), ow in (w, 2 * w)
        factors = 0.0 if whole[0] else factors[0], 0.0 if whole[1] else factors[1]
    rows = line(h, oh, factors[0], own.get(coordinates, coordinates))
    columns = line(w, ow, factors[1], own.get(coordinates, coordinates))
    number = ROUNDINGS.index(checks.choice("rounding", rounding, ROUNDINGS))
    return Plan(
        outputs=(Spec((n, c, oh, ow), dtype),),
        geometry=Geometry(n, c, h, w, oh, ow, *rows, *columns, number),
        reach=(
            nearest_reach(h, oh, rows, rounding),
            nearest_reach(w, ow, columns, rounding),
        ),
        grid=grid_of(rows[1], columns[1]),
    )
