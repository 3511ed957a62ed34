"""Positions, as features of a Gaussian filter."""

from __future__ import annotations

from typing import Any

from numseg import checks
from numseg.geometry import POINTWISE
from numseg.operator import Plan, Spec, operator
from numseg.ops.bilateral_features import check_width
from numseg.ops.bilateral_features.geometry import Geometry
from numseg.typing import Array, ArrayLike


@operator("x width", saves="width", differentiable="width", examines="width")
def spatial_features(x: ArrayLike, width: ArrayLike) -> Plan[Array]:
    """Features of a Gaussian filter over an image: each pixel's position, divided by the kernel's
    standard deviations.

    Parameters
    ----------
    x : array, (N, C, H, W), float32 or float64
        The image; only its rows and columns count.
    width : array, (2,), dtype of x
        Standard deviations of the column and of the row, in pixels.

    Returns
    -------
    array, (1, 2, H, W), dtype of x
        ``column / width[0]`` and ``row / width[1]``, the same for all images.

    Raises
    ------
    ArgumentError
        For a wrong rank, shape or dtype, and a width that is not positive and finite.

    Notes
    -----
    Gradient: ``grad_width = -sum(grad_y * position) / width**2``. There is none for x, of whose
    values nothing depends. No kinks.

    Source: Krähenbühl and Koltun 2011, equation 3; the order of pydensecrf's
    ``addPairwiseGaussian``; its ``create_pairwise_gaussian`` has rows first.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> image = np.zeros((1, 3, 2, 2))
    >>> ns.spatial_features(image, np.array([2.0, 4.0])).tolist()
    [[[[0.0, 0.5], [0.0, 0.5]], [[0.0, 0.0], [0.25, 0.25]]]]
    """
    dtype = checks.floats(x=x, width=width)
    _, _, h, w = checks.axes("x", x, "n c h w")
    checks.shape("width", width, (2,), "column and row")
    return Plan(
        outputs=(Spec((1, 2, h, w), dtype),),
        geometry=Geometry(1, 0, h, w),
        flops=2 * h * w,
        reach=POINTWISE,
        grid=None,
    )


def check(x: Any, width: Array, g: Geometry) -> None:
    """Standard deviations are positive."""
    check_width(width)
