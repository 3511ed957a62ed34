"""Places that an affine map gives, for grid_sample."""

from __future__ import annotations

from collections.abc import Sequence

from numseg import checks
from numseg.errors import ArgumentError, shown
from numseg.operator import Plan, Spec, operator
from numseg.ops.affine_grid.geometry import Geometry
from numseg.typing import Array, ArrayLike


@operator("theta", linear="theta")
def affine_grid(theta: ArrayLike, size: Sequence[int], align_corners: bool = False) -> Plan[Array]:
    """The place of each output pixel by an affine map: a grid for :func:`grid_sample`.

    ``grid[n, i, j] = theta[n] @ (x(j), y(i), 1)``, where x and y run from -1 to 1 over the output.

    Parameters
    ----------
    theta : array, (N, 2, 3), float32 or float64
    size : sequence of 4 int
        (N, C, H, W) of the output of grid_sample. C does not matter.
    align_corners : bool
        -1 and 1 are the centres of the pixels at the border, not their outer edges: ``x(j) = 2 j /
        (W - 1) - 1`` (0 if W is 1) in the place of ``(2 j + 1) / W - 1``.

    Returns
    -------
    array, (N, H, W, 2), dtype of theta

    Raises
    ------
    ArgumentError
        For a wrong shape or dtype, or a size of another number of images or without pixels.

    Notes
    -----
    Gradient: the sums of ``grad_y`` over the pixels, times x, times y, and by themselves.

    Source: PyTorch 2.13, ``torch.nn.functional.affine_grid``; ONNX 20 ``AffineGrid``.

    Examples
    --------
    The image mirrored from left to right:

    >>> import numpy as np, numseg as ns
    >>> theta = np.array([[[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    >>> ns.affine_grid(theta, (1, 1, 1, 2))
    array([[[[ 0.5,  0. ],
             [-0.5,  0. ]]]])
    """
    dtype = checks.floats(theta=theta)
    n, _, _ = checks.axes("theta", theta, "n 2 3")
    checks.shape("theta", theta, (n, 2, 3), "a map of the plane for each image")
    if not checks.is_sequence(size) or len(size) != 4:
        raise ArgumentError(f"size must be (N, C, H, W), got {shown(size)}")
    least = (0, 0, 1, 1)
    images, _, h, w = (
        checks.integer(f"size[{i}]", value, least[i], checks.LARGEST)
        for i, value in enumerate(size)
    )
    if images != n:
        raise ArgumentError(f"size has {images} images, but theta has {n}")
    return Plan(
        outputs=(Spec((n, h, w, 2), dtype),),
        geometry=Geometry(n, h, w, checks.flag("align_corners", align_corners)),
        flops=8 * n * h * w,
        reach=None,
    )
