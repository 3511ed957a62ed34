"""Padding, which may also crop."""

from __future__ import annotations

from numseg import checks
from numseg.errors import ArgumentError
from numseg.geometry import padded_reach, sides
from numseg.operator import Plan, Spec, operator
from numseg.ops.pad.geometry import MODES, Geometry
from numseg.typing import Array, ArrayLike, Sides


@operator("x", linear="x")
def pad(x: ArrayLike, padding: Sides, value: float = 0.0, mode: str = "constant") -> Plan[Array]:
    """Rows and columns around an image: a constant, or the image continued.

    ``y[n, c, p, q] = x[n, c, p - top, q - left]`` where that is on the image, else ``value``; or,
    in another mode, always ``x[n, c, source(p - top), source(q - left)]``.

    Parameters
    ----------
    x : array, (N, C, H, W), float32 or float64
    padding : int, (rows, columns), (top, bottom, left, right) or ((top, bottom), (left, right))
        Rows first, as everywhere in numseg. PyTorch's ``F.pad`` takes the last axis first:
        (left, right, top, bottom). In mode "constant" a negative side crops the image.
    value : float
        Infinity and NaN are allowed.
    mode : {"constant", "reflect", "replicate", "circular", "symmetric"}
        How the image goes on; of the row ``abcd``:

        - "reflect": ``cb|abcd|cb``, mirrored about the last pixel
        - "replicate": ``aa|abcd|dd``
        - "circular": ``cd|abcd|ab``
        - "symmetric": ``ba|abcd|dc``, mirrored about the border

        As far as it is asked to: mirrored images are mirrored again. One pixel reflects itself.

    Returns
    -------
    array, (N, C, top + H + bottom, left + W + right), dtype of x

    Raises
    ------
    ArgumentError
        For a wrong rank or dtype, if cropping leaves less than nothing, or to continue an image
        without pixels or with a negative side.

    Notes
    -----
    Gradient: ``grad_y`` where the image is; 0 for pixels cropped away; a pixel that was repeated
    adds up its copies, rows first. ``pad.matrix`` leaves out
    ``value``, which is added to the product.

    Source: PyTorch 2.13, ``torch.nn.functional.pad``, bit for bit but for the order of the sides. A
    side may crop the image wholly and the other pad it again; PyTorch refuses that, and to go round
    or to mirror more than once. "symmetric" is that of ``numpy.pad`` and ``tf.pad``.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> x = np.array([[[[1.0, 2.0, 3.0]]]])
    >>> ns.pad(x, (1, 0, 2, -1))[0, 0]
    array([[0., 0., 0., 0.],
           [0., 0., 1., 2.]])
    """
    dtype = checks.floats(x=x)
    n, c, h, w = checks.axes("x", x, "n c h w")
    top, bottom, left, right = sides("padding", padding, minimum=None)
    oh, ow = top + h + bottom, left + w + right
    if oh < 0 or ow < 0:
        raise ArgumentError(
            f"padding (top {top}, bottom {bottom}, left {left}, right {right}) crops more than x "
            f"has: {h} rows, {w} columns"
        )
    number = checks.real("value", value, finite=False)
    how = MODES.index(checks.choice("mode", mode, MODES))
    if how and (min(top, bottom, left, right) < 0 or (h == 0 < oh) or (w == 0 < ow)):
        raise ArgumentError(
            f"mode {mode!r} needs sides of at least 0 and pixels to repeat, got padding "
            f"(top {top}, bottom {bottom}, left {left}, right {right}) of {h} x {w} pixels"
        )
    return Plan(
        outputs=(Spec((n, c, oh, ow), dtype),),
        geometry=Geometry(n * c, h, w, oh, ow, top, left, number, how),
        reach=(
            padded_reach(h, top, bottom, mode),
            padded_reach(w, left, right, mode),
        ),
    )
