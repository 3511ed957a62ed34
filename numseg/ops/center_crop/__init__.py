"""Central crop."""

from __future__ import annotations

from numseg import checks
from numseg.errors import ArgumentError
from numseg.geometry import center, shifted
from numseg.operator import Plan, Spec, operator
from numseg.ops.pad import pad as padding
from numseg.ops.pad.geometry import Geometry
from numseg.typing import Array, ArrayLike, Pair


@operator("x", linear="x", like=padding)
def center_crop(
    x: ArrayLike, output_size: Pair, rounding: str = "floor", pad: bool = False
) -> Plan[Array]:
    """The middle of an image.

    ``y[n, c, p, q] = x[n, c, p + (H - rows) // 2, q + (W - columns) // 2]``

    Parameters
    ----------
    x : array, (N, C, H, W), float32 or float64
    output_size : int or (rows, columns)
        At most (H, W), unless ``pad``.
    rounding : {"floor", "half_even"}
        Where the difference is odd, the extra row or column is cut off at the end; or half the
        difference is rounded to even, as torchvision does: the same for a difference of 1, 5, 9,
        ..., one pixel further for 3, 7, 11, ...
    pad : bool
        Let a crop be larger than the image: there are zeros around it, the odd row or column of
        them at the end.

    Returns
    -------
    array, (N, C, rows, columns), dtype of x

    Raises
    ------
    ArgumentError
        For a wrong rank or dtype, or a crop larger than the image without ``pad``.

    Notes
    -----
    Gradient: ``grad_y`` in the middle, 0 around it.

    Source: U-Net (Ronneberger, Fischer, Brox 2015), whose skip connections are cropped to the size
    of the unpadded decoder. torchvision 0.28 ``center_crop`` is ``rounding="half_even", pad=True``.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.center_crop(np.arange(25.0).reshape(1, 1, 5, 5), (1, 2))[0, 0]
    array([[11., 12.]])
    """
    dtype = checks.floats(x=x)
    n, c, h, w = checks.axes("x", x, "n c h w")
    rows, columns = checks.pair("output_size", output_size, minimum=0)
    if (rows > h or columns > w) and not checks.flag("pad", pad):
        raise ArgumentError(
            f"output_size is {rows} x {columns}, but x has {h} rows and {w} columns"
        )
    even = checks.choice("rounding", rounding, ("floor", "half_even")) == "half_even"
    top, left = center(h, rows, even), center(w, columns, even)
    return Plan(
        outputs=(Spec((n, c, rows, columns), dtype),),
        geometry=Geometry(n * c, h, w, rows, columns, -top, -left, 0.0, 0),
        reach=shifted(top, left),
    )
