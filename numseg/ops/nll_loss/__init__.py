"""Negative log-likelihood of logarithms of shares, pixel by pixel."""

from __future__ import annotations

import math

import numpy as np

from numseg import checks, reductions
from numseg.operator import Plan, Spec, operator
from numseg.ops.nll_loss.geometry import Geometry
from numseg.typing import Array, ArrayLike, Shape


@operator(
    "x target weight",
    outputs="y divisor",
    saves="target weight divisor",
    differentiable="x",
    integers="target",
)
def nll_loss(
    x: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    ignore_index: int | None = None,
    reduction: str = "mean",
    empty: str = "zero",
) -> Plan[Array]:
    """Negative log-likelihood loss: ``-weight[t] * x[t]`` for each pixel with label ``t``.

    Of ``log_softmax(scores)`` it is ``cross_entropy(scores)``, which keeps more digits.

    Parameters
    ----------
    x : array, (N, C, ...), float32 or float64
        Logarithms of the shares of C classes; any numbers are taken.
    target : array, (N, ...), any integer dtype
        Labels in [0, C), or ``ignore_index``.
    weight : array, (C,), dtype of x, optional
        How much a pixel of each class counts; 1 if not given.
    ignore_index : int, optional
        Pixels with this label count for nothing. None, the default, ignores no label; PyTorch's
        default of -100 is spelled out here.
    reduction : {"mean", "sum", "none"}
        "sum" adds up the pixels' losses. "mean" divides the sum by the weights of the pixels that
        are not ignored, as PyTorch does, not by their number.
    empty : {"zero", "nan"}
        What the mean over no weight is (every pixel ignored, or no pixel). PyTorch's is NaN.

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
    Sums are taken in float64 and rounded once. The numbers of an ignored pixel do not matter, NaN
    included, nor do those of other classes than the label's.

    Gradient: ``-grad_y * weight[t]``, divided by what the sum was, for the number of the label; 0
    for all others, and 0 everywhere for the mean over no weight. The loss is linear in x.

    Source: PyTorch 2.13, ``torch.nn.functional.nll_loss``; ONNX 13 ``NegativeLogLikelihoodLoss``.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> x = np.array([[-0.5, -1.0], [-2.0, -0.25]])
    >>> ns.nll_loss(x, np.array([0, 1]))
    array(0.375)
    """
    dtype = checks.floats(x=x, weight=weight)
    checks.integers(target=target)
    (n, c), rest = checks.leading_axes("x", x, "n c")
    checks.shape("target", target, (n, *rest), "a label for each pixel of x")
    if weight is not None:
        checks.shape("weight", weight, (c,), f"one for each of the {c} classes of x")
    size = math.prod(rest)
    reductions.divisor(reduction, empty, n * size)
    ignored = 0
    if ignore_index is not None:
        ignored = checks.integer("ignore_index", ignore_index, -(2**63), 2**63 - 1)
    result: Shape = (n, *rest) if reduction == "none" else ()
    return Plan(
        outputs=(Spec(result, dtype), Spec((), np.dtype(np.float64))),
        geometry=Geometry(
            n=n,
            c=c,
            size=size,
            ignores=ignore_index is not None,
            ignore_index=ignored,
            per_pixel=reduction == "none",
            mean=reduction == "mean",
            empty_is_nan=empty == "nan",
        ),
        flops=2 * n * size,
        reach=None,
    )


def check(x: ArrayLike, target: Array, weight: ArrayLike | None, g: Geometry) -> None:
    """Every label is a class or ignored."""
    checks.labels("target", target, g.c, (g.ignore_index if g.ignores else None,))
