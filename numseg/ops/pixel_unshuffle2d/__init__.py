"""Pixels to channels."""

from __future__ import annotations

from fractions import Fraction

from numseg import checks
from numseg.errors import ArgumentError
from numseg.geometry import Reach
from numseg.operator import Plan, Spec, operator
from numseg.ops.pixel_shuffle2d.geometry import MODES, cells
from numseg.typing import Array, ArrayLike


@operator("x", linear="x")
def pixel_unshuffle2d(x: ArrayLike, downscale_factor: int, mode: str = "CRD") -> Plan[Array]:
    """Cells of pixels become groups of channels: the inverse of :func:`pixel_shuffle2d`.

    ``y[n, (c*r + i)*r + j, p, q] = x[n, c, p*r + i, q*r + j]`` with ``r = downscale_factor``.

    Parameters
    ----------
    x : array, (N, C, H * r, W * r), float32 or float64
    downscale_factor : int
    mode : {"CRD", "DCR"}
        What the channels of y are, from the slowest to the fastest: the channel of x, then row and
        column within the cell (PyTorch); or row and column, then the channel of x, which writes
        ``y[n, (i*r + j)*C + c, p, q]`` (TensorFlow and ONNX).

    Returns
    -------
    array, (N, C * r * r, H, W), dtype of x

    Raises
    ------
    ArgumentError
        For a wrong rank or dtype, a factor below 1, rows or columns that are no multiple of it, or
        an unknown mode.

    Notes
    -----
    Gradient: each number of ``grad_y`` goes back to the place that it came from, which
    :func:`pixel_shuffle2d` does too.

    Source: ``torch.nn.functional.pixel_unshuffle`` of PyTorch 2.13; ONNX 13 ``SpaceToDepth``.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.pixel_unshuffle2d(np.arange(8.0).reshape(1, 1, 2, 4), 2)[0]
    array([[[0., 2.]],
    <BLANKLINE>
           [[1., 3.]],
    <BLANKLINE>
           [[4., 6.]],
    <BLANKLINE>
           [[5., 7.]]])
    """
    dtype = checks.floats(x=x)
    n, c, rows, columns = checks.axes("x", x, "n c h w")
    r = checks.integer("downscale_factor", downscale_factor, 1, checks.LARGEST)
    for what, count in ("rows", rows), ("columns", columns):
        if count % r:
            raise ArgumentError(
                f"downscale_factor is {r}, so x must have a multiple of {r} {what}, "
                f"but it has {count}"
            )
    h, w = rows // r, columns // r
    geometry = cells(n, c, h, w, r, checks.choice("mode", mode, MODES))
    reach = Reach(Fraction(r), Fraction(0), Fraction(r - 1))
    return Plan(
        outputs=(Spec((n, c * r * r, h, w), dtype),), geometry=geometry, reach=(reach, reach)
    )
