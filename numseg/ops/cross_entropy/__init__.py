"""Cross-entropy of class scores, pixel by pixel."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from numseg import checks
from numseg.errors import ArgumentError
from numseg.operator import Plan, Spec, operator
from numseg.typing import Array, ArrayLike, Shape


class Geometry(NamedTuple):
    n: int
    c: int
    size: int
    """Pixels: the product of the trailing axes."""
    ignores: bool
    ignore_index: int
    """Counts only where ``ignores``."""
    per_pixel: bool
    """No reduction."""
    mean: bool
    """Divide the sum."""


@operator(
    "x target weight",
    outputs="y largest total divisor",
    saves="x target weight largest total divisor",
    differentiable="x",
    integers="target",
)
def cross_entropy(
    x: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    ignore_index: int | None = None,
    reduction: str = "mean",
) -> Plan[Array]:
    """Cross-entropy loss: ``-weight[t] * log softmax(x)[t]`` for each pixel with label ``t``.

    Parameters
    ----------
    x : array, (N, C, ...), float32 or float64
        Scores (logits) of C classes.
    target : array, (N, ...), any integer dtype
        Labels in [0, C), or ``ignore_index``.
    weight : array, (C,), dtype of x, optional
        How much a pixel of each class counts; 1 if not given.
    ignore_index : int, optional
        Pixels with this label count for nothing. None, the default, ignores no label; PyTorch's
        default of -100 is spelled out here, as is the usual 255.
    reduction : {"mean", "sum", "none"}
        "sum" adds up the pixels' losses. "mean" divides the sum by the weights of the pixels that
        are not ignored, as PyTorch does, not by their number.

    Returns
    -------
    array, () or the shape of target, dtype of x
        The loss; with "none" one for each pixel, 0 where it is ignored.

    Raises
    ------
    ArgumentError
        For a wrong rank, shape or dtype, and for a label outside [0, C) that is not ignored.

    Notes
    -----
    The softmax is part of the computation: the largest score is subtracted first, the sum of exps,
    its logarithm and the sum over pixels are float64. Scores of 1000 give finite losses, and the
    small loss and gradient of a confident pixel keep their digits. A class with score -inf has loss
    inf; NaN, inf, or nothing but -inf among a pixel's scores make its loss NaN. The scores of an
    ignored pixel do not matter, NaN included.

    The mean over no weight at all (every pixel ignored, or no pixel) is 0 and has gradient 0.
    PyTorch gives NaN with gradient 0 (pytorch#70348).

    Gradient: ``grad_x = grad_y * weight[t] * (softmax(x) - onehot(t))``, divided by the mean's
    divisor; exactly 0 where the factor before the brackets is 0.

    Source: PyTorch 2.13, ``torch.nn.functional.cross_entropy``, up to rounding.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> scores = np.array([[1000.0, 1000.0], [0.0, 2000.0]])
    >>> ns.cross_entropy(scores, np.array([0, 255]), ignore_index=255)
    array(0.69314718)
    """
    dtype = checks.floats(x=x, weight=weight)
    checks.integers(target=target)
    (n, c), rest = checks.leading_axes("x", x, "n c")
    checks.shape("target", target, (n, *rest), "a label for each pixel of x")
    if weight is not None:
        checks.shape("weight", weight, (c,), f"one for each of the {c} classes of x")
    checks.choice("reduction", reduction, ("mean", "sum", "none"))
    ignored = 0
    if ignore_index is not None:
        ignored = checks.integer("ignore_index", ignore_index, -(2**63), 2**63 - 1)
    size = math.prod(rest)
    result: Shape = (n, *rest) if reduction == "none" else ()
    return Plan(
        outputs=(
            Spec(result, dtype),
            Spec((n, size), dtype),
            Spec((n, size), np.dtype(np.float64)),
            Spec((), np.dtype(np.float64)),
        ),
        geometry=Geometry(
            n, c, size, ignore_index is not None, ignored, reduction == "none", reduction == "mean"
        ),
        flops=4 * n * c * size + 4 * n * size,
        reach=None,
    )


def check(x: ArrayLike, target: Array, weight: ArrayLike | None, g: Geometry) -> None:
    """Every label is a class or ignored."""
    wrong = (target < 0) | (target >= g.c)
    if g.ignores:
        wrong &= target != g.ignore_index
    if wrong.any():
        label = int(target[wrong][0])
        count = np.count_nonzero(target == label)
        ignored = g.ignore_index if g.ignores else None
        raise ArgumentError(
            f"target has the label {label} in {count} place{'s' if count > 1 else ''}, "
            f"expected labels in [0, {g.c}) or ignore_index = {ignored}"
        )
