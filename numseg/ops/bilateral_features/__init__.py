"""Positions and colours, as features of a bilateral filter."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg import checks
from numseg.errors import ArgumentError
from numseg.geometry import POINTWISE
from numseg.operator import Plan, Spec, operator
from numseg.ops.bilateral_features.geometry import Geometry
from numseg.typing import Array, ArrayLike


@operator("x width", saves="x width", examines="width")
def bilateral_features(x: ArrayLike, width: ArrayLike) -> Plan[Array]:
    """Features of a bilateral filter: each pixel's position and colour, divided by the kernel's
    standard deviations.

    Parameters
    ----------
    x : array, (N, C, H, W), float32 or float64
        The image, in the units of ``width``: 0 to 255 for the widths of most papers.
    width : array, (2 + C,), dtype of x
        Standard deviations: of the column and of the row, in pixels, then one for each channel.

    Returns
    -------
    array, (N, 2 + C, H, W), dtype of x
        ``column / width[0]``, ``row / width[1]``, ``x[:, c] / width[2 + c]``: what
        :func:`numseg.gaussian_filter` and :func:`numseg.dense_crf` take.

    Raises
    ------
    ArgumentError
        For a wrong rank, shape or dtype, and a width that is not positive and finite.

    Notes
    -----
    Gradient: ``grad_x[:, c] = grad_y[:, 2 + c] / width[2 + c]``, and ``grad_width`` is
    ``-sum(grad_y * v) / width**2`` over a feature's pixels, v being its position or colour: kernel
    widths can be learned. No kinks.

    Source: Krähenbühl and Koltun 2011, equation 3; the order of pydensecrf's
    ``addPairwiseBilateral``; its ``create_pairwise_bilateral`` has rows first.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> image = np.array([[[[10.0, 20.0]]]])
    >>> ns.bilateral_features(image, np.array([2.0, 2.0, 5.0])).tolist()
    [[[[0.0, 0.5]], [[0.0, 0.0]], [[2.0, 4.0]]]]
    """
    dtype = checks.floats(x=x, width=width)
    n, c, h, w = checks.axes("x", x, "n c h w")
    checks.shape("width", width, (2 + c,), f"column, row and {c} channels of x")
    return Plan(
        outputs=(Spec((n, 2 + c, h, w), dtype),),
        geometry=Geometry(n, c, h, w),
        flops=n * (2 + c) * h * w,
        reach=POINTWISE,
        grid=None,
    )


def check(x: Any, width: Array, g: Geometry) -> None:
    """Standard deviations are positive."""
    check_width(width)


def check_width(width: Array) -> None:
    wrong = ~((width > 0) & np.isfinite(width))
    if wrong.any():
        place = int(np.argmax(wrong))
        raise ArgumentError(
            f"width[{place}] is {width[place]:g}, expected a positive, finite standard deviation"
        )
