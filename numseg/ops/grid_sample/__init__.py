"""Samples of an image at given places."""

from __future__ import annotations

from numseg import checks
from numseg.errors import ArgumentError
from numseg.operator import Plan, Spec, operator
from numseg.ops.grid_sample.geometry import MODES, PADDINGS, Geometry
from numseg.typing import Array, ArrayLike


@operator("x grid", saves="x grid", linear="x", finite="grad_y")
def grid_sample(
    x: ArrayLike,
    grid: ArrayLike,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool = False,
) -> Plan[Array]:
    """Each output pixel is a sample of the image at a place of its own.

    A place is (along the columns, along the rows), from -1 to 1 over the image: along one axis it
    is at ``s = ((place + 1) * W - 1) / 2``, between whose neighbours is interpolated.

    Parameters
    ----------
    x : array, (N, C, H, W), float32 or float64
    grid : array, (N, OH, OW, 2), dtype of x
        The column first, then the row, as in PyTorch.
    mode : {"bilinear", "nearest", "bicubic"}
        A mean of the 2 x 2 pixels around the place; the nearest one, of two as near the even one;
        or a sum over 4 x 4 by cubic convolution with the coefficient -3/4.
    padding_mode : {"zeros", "border", "reflection"}
        The image goes on with zeros; with the pixels at its border; or is mirrored at the border
        ("bilinear" and "nearest" move the place itself, "bicubic" each of the pixels).
    align_corners : bool
        -1 and 1 are the centres of the pixels at the border, ``s = (place + 1) / 2 * (W - 1)``, not
        their outer edges; images are mirrored at these centres.

    Returns
    -------
    array, (N, C, OH, OW), dtype of x

    Raises
    ------
    ArgumentError
        For a wrong rank or dtype, a grid of another number of images or without two coordinates, an
        image without pixels, or an unknown word.

    Notes
    -----
    NaN is taken for -1, as in PyTorch, and so is what is 2^30 pixels away where images are
    mirrored. Pixels on the image are read with a weight of 0 too. On the CPU places are float64.

    Gradient: to x, samples in order, the same bits every time; to the grid, the slope between the
    pixels, at a pixel that towards the next one. It is 0 for "nearest", and where "border" or
    "reflection" hold a place at the border.

    Source: PyTorch 2.13, ``torch.nn.functional.grid_sample``; ONNX 20 ``GridSample``.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> x = np.array([[[[0.0, 4.0], [8.0, 16.0]]]])
    >>> grid = np.array([[[[0.0, 0.0], [0.5, -0.5], [1.0, 0.0]]]])
    >>> ns.grid_sample(x, grid)[0, 0]
    array([[7., 4., 5.]])
    """
    dtype = checks.floats(x=x, grid=grid)
    n, c, h, w = checks.axes("x", x, "n c h w")
    images, oh, ow, two = checks.axes("grid", grid, "n oh ow 2")
    if images != n or two != 2:
        checks.shape("grid", grid, (n, oh, ow, 2), "a place for each output pixel of each image")
    mode = checks.choice("mode", mode, MODES)
    padding = checks.choice("padding_mode", padding_mode, PADDINGS)
    align = checks.flag("align_corners", align_corners)
    if n * oh * ow > 0 and h * w == 0:
        raise ArgumentError(f"grid has places, but x has no pixels: {h} x {w}")
    taps = {"nearest": 1, "bilinear": 4, "bicubic": 16}[mode]
    return Plan(
        outputs=(Spec((n, c, oh, ow), dtype),),
        geometry=Geometry(n, c, h, w, oh, ow, MODES.index(mode), PADDINGS.index(padding), align),
        flops=2 * taps * n * c * oh * ow,
        reach=None,
    )
