"""Channels to pixels."""

from __future__ import annotations

from fractions import Fraction

from numseg import checks
from numseg.errors import ArgumentError
from numseg.geometry import Reach
from numseg.operator import Plan, Spec, operator
from numseg.ops.pixel_shuffle2d.geometry import MODES, cells
from numseg.typing import Array, ArrayLike


@operator("x", linear="x")
def pixel_shuffle2d(x: ArrayLike, upscale_factor: int, mode: str = "CRD") -> Plan[Array]:
    """Groups of channels become cells of pixels: sub-pixel convolution's last step.

    ``y[n, c, r*p + i, r*q + j] = x[n, (c*r + i)*r + j, p, q]`` with ``r = upscale_factor``.

    Parameters
    ----------
    x : array, (N, C * r * r, H, W), float32 or float64
    upscale_factor : int
    mode : {"CRD", "DCR"}
        What the channels of x are, from the slowest to the fastest: the channel of y, then row and
        column within the cell (PyTorch); or row and column, then the channel of y, which reads
        ``x[n, (i*r + j)*C + c, p, q]`` (TensorFlow, and ONNX by default).

    Returns
    -------
    array, (N, C, H * r, W * r), dtype of x

    Raises
    ------
    ArgumentError
        For a wrong rank or dtype, a factor below 1, channels that are no multiple of its square, or
        an unknown mode.

    Notes
    -----
    Gradient: each number of ``grad_y`` goes back to the place that it came from, which
    :func:`pixel_unshuffle2d` does too.

    Source: ``torch.nn.functional.pixel_shuffle`` of PyTorch 2.13; ONNX 13 ``DepthToSpace``. Shi et
    al. 2016, "Real-time single image and video super-resolution using an efficient sub-pixel
    convolutional neural network".

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.pixel_shuffle2d(np.arange(8.0).reshape(1, 4, 1, 2), 2)[0, 0]
    array([[0., 2., 1., 3.],
           [4., 6., 5., 7.]])
    """
    dtype = checks.floats(x=x)
    n, channels, h, w = checks.axes("x", x, "n c h w")
    r = checks.integer("upscale_factor", upscale_factor, 1, checks.LARGEST)
    c, rest = divmod(channels, r * r)
    if rest:
        raise ArgumentError(
            f"upscale_factor is {r}, so x must have a multiple of {r * r} channels, "
            f"but it has {channels}"
        )
    geometry = cells(n, c, h, w, r, checks.choice("mode", mode, MODES))
    reach = Reach(Fraction(1, r), Fraction(1 - r, r))
    return Plan(
        outputs=(Spec((n, c, h * r, w * r), dtype),),
        geometry=geometry,
        reach=(reach, reach),
    )
