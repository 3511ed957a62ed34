"""Dice loss, in the conventions of V-Net, MONAI and kornia."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numseg import checks, reductions
from numseg.errors import ArgumentError
from numseg.operator import Plan, Spec, operator
from numseg.ops.dice_loss.geometry import ACTIVATIONS, Geometry
from numseg.typing import Array, ArrayLike


@operator(
    "x target",
    outputs="y sums",
    saves="x target sums",
    differentiable="x",
    integers="target",
    finite="grad_y",
)
def dice_loss(
    x: ArrayLike,
    target: ArrayLike,
    activation: str = "softmax",
    squared: bool = False,
    smooth_nr: float = 1e-5,
    smooth_dr: float = 1e-5,
    batch: bool = False,
    micro: bool = False,
    ignore_index: int | None = None,
    reduction: str = "mean",
    empty: str = "zero",
) -> Plan[Array]:
    """Dice loss: 1 minus twice the overlap of prediction and target, divided by their sizes.

    ``1 - (2 sum(p t) + smooth_nr) / (sum(p) + sum(t) + smooth_dr)`` for each image and class, the
    sums over its pixels.

    Parameters
    ----------
    x : array, (N, C, ...), float32 or float64
        Scores (logits) of C classes, or their probabilities.
    target : array, (N, ...) of any integer dtype, or (N, C, ...) of the dtype of x
        Labels in [0, C), or ``ignore_index``, which stand for one mask per class; or the masks
        themselves, t in [0, 1] (not checked).
    activation : {"softmax", "sigmoid", "none"}
        What makes probabilities p of x: softmax over the classes, each by itself, or nothing.
    squared : bool
        Divide by ``sum(p**2) + sum(t**2)`` instead, as V-Net does.
    smooth_nr, smooth_dr : float
        Added above and below, at least 0. Where both are 0, a class that is in neither is 0 / 0.
    batch : bool
        Sum over the images too: one loss per class.
    micro : bool
        Sum over the classes too: one loss per image, or in all.
    ignore_index : int, optional
        Pixels with this label count for nothing, neither in p nor in t.
    reduction : {"mean", "sum", "none"}
        Over what is left of images and classes.
    empty : {"zero", "nan"}
        What the mean over no image or class is.

    Returns
    -------
    array, () or what is left of (N, C), dtype of x

    Raises
    ------
    ArgumentError
        For a wrong rank, shape or dtype, negative smoothing, labels outside [0, C) that are not
        ignored, and an ignore_index for masks.

    Notes
    -----
    A class that no pixel has is not left out: its loss is ``1 - smooth_nr / (sum(p) + smooth_dr)``.

    Gradient: with D the denominator and R the quotient, ``grad_p = grad_y / D * (R - 2 t)``, or
    ``grad_y / D * (2 p R - 2 t)`` if squared, and from p to x by the activation. No kinks.

    Source: Milletari et al. 2016 (V-Net); MONAI, ``DiceLoss``; kornia, ``dice_loss``.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> scores = np.log([[[1.0, 3.0], [3.0, 1.0]]])  # softmax 1/4, 3/4 and 3/4, 1/4
    >>> ns.dice_loss(scores, np.array([[1, 0]]), smooth_nr=0, smooth_dr=0)
    array(0.25)
    """
    dtype = checks.floats(x=x)
    (n, c), rest = checks.leading_axes("x", x, "n c")
    labels = np.dtype(target.dtype).kind in "iu"
    if labels:
        checks.shape("target", target, (n, *rest), "a label for each pixel of x")
    else:
        checks.floats(x=x, target=target)
        checks.shape("target", target, (n, c, *rest), "the shape of x, or labels without classes")
    if ignore_index is not None and not labels:
        raise ArgumentError(f"ignore_index is {ignore_index}, but target has masks, not labels")
    ignored = 0
    if ignore_index is not None:
        ignored = checks.integer("ignore_index", ignore_index, -(2**63), 2**63 - 1)
    left = (1 if checks.flag("batch", batch) else n, 1 if checks.flag("micro", micro) else c)
    sizes = tuple(size for size, gone in zip(left, (batch, micro), strict=True) if not gone)
    divisor, each = reductions.divisor(reduction, empty, math.prod(left)), reduction == "none"
    return Plan(
        outputs=(Spec(sizes if each else (), dtype), Spec((n, c, 3), np.dtype(np.float64))),
        geometry=Geometry(
            n=n,
            c=c,
            size=math.prod(rest),
            labels=labels,
            activation=ACTIVATIONS.index(checks.choice("activation", activation, ACTIVATIONS)),
            squared=checks.flag("squared", squared),
            smooth_nr=checks.real("smooth_nr", smooth_nr, minimum=0),
            smooth_dr=checks.real("smooth_dr", smooth_dr, minimum=0),
            batch=bool(batch),
            micro=bool(micro),
            ignores=ignore_index is not None,
            ignore_index=ignored,
            each=each,
            divisor=divisor,
        ),
        flops=10 * n * c * math.prod(rest),
        reach=None,
    )


def check(x: Any, target: Array, g: Geometry) -> None:
    """Every label is a class or ignored."""
    if g.labels:
        checks.labels("target", target, g.c, (g.ignore_index if g.ignores else None,))
