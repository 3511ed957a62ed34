"""Cross-entropy of class scores, pixel by pixel."""

from __future__ import annotations

import math

import numpy as np

from numseg import checks, reductions
from numseg.errors import ArgumentError
from numseg.operator import Plan, Spec, operator
from numseg.ops.cross_entropy.geometry import Geometry
from numseg.typing import Array, ArrayLike, Shape


@operator(
    "x target weight",
    outputs="y largest total divisor",
    saves="x target weight largest total divisor",
    differentiable="x",
    integers="target",
    finite="weight grad_y",
)
def cross_entropy(
    x: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    ignore_index: int | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    gamma: float = 0.0,
    min_probability: float = 0.0,
    empty: str = "zero",
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
    reduction : {"mean", "sum", "none", "valid", "full", "batch_size"}
        "sum" adds up the pixels' losses. "mean" divides the sum by the weights of the pixels that
        are not ignored, as PyTorch does, not by their number. The other three are Caffe's: they
        divide by the number of pixels that are not ignored, of all pixels, or of images, and by 1
        if that is 0. FCN's ``normalize: false`` is "batch_size".
    label_smoothing : float
        In [0, 1]: how much of the target is spread evenly over all classes.
    gamma : float
        Focal loss: multiply a pixel's loss by ``(1 - softmax(x)[t])**gamma``.
    min_probability : float
        In [0, 1]: softmax(x)[t] counts as at least this. Caffe has the smallest normal float32, so
        no pixel's loss is above 87.3365. Only one of the last three may be given.
    empty : {"zero", "nan"}
        What the mean over no weight is (every pixel ignored, or no pixel). PyTorch's is NaN.

    Returns
    -------
    array, () or the shape of target, dtype of x
        The loss; with "none" one for each pixel, 0 where it is ignored.

    Raises
    ------
    ArgumentError
        For a wrong rank, shape or dtype, a number out of its range, and for a label outside [0, C)
        that is not ignored.

    Notes
    -----
    The softmax is part of the computation: the largest score is subtracted first, the sum of exps,
    its logarithm and the sum over pixels are float64. Scores of 1000 give finite losses, and the
    small loss and gradient of a confident pixel keep their digits. A class with score -inf has loss
    inf; NaN, inf, or nothing but -inf among a pixel's scores make its loss NaN. The scores of an
    ignored pixel do not matter, NaN included.

    The mean over no weight at all has gradient 0, be it 0 or, as in PyTorch, NaN (pytorch#70348).

    With ``label_smoothing = e`` a pixel's loss is ``(1 - e) weight[t] l[t] + e / C * sum over c of
    weight[c] l[c]``, ``l = -log softmax(x)``; the mean still divides by the sum of ``weight[t]``.

    Gradient: ``grad_x = grad_y * weight[t] * (softmax(x) - onehot(t))``, divided by the reduction's
    divisor; exactly 0 where the factor before the brackets is 0. Label smoothing puts ``(1 - e)
    onehot(t) + e / C`` in the place of the one-hot target, for classes of equal weight. With gamma,
    for ``p = softmax(x)[t]``, it is multiplied by ``(1 - p)**gamma - gamma p (1 - p)**(gamma - 1)
    log p``. ``min_probability`` has no part in it, as in Caffe: a wrong pixel goes on learning.

    Source: PyTorch 2.13, ``torch.nn.functional.cross_entropy``, up to rounding; Caffe,
    ``softmax_loss_layer.cpp``.

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
    size = math.prod(rest)
    divisor = reductions.divisor(reduction, empty, n * size, n, ["valid", "full", "batch_size"])
    smoothing = checks.real("label_smoothing", label_smoothing, 0, 1)
    gamma = checks.real("gamma", gamma, minimum=0)
    floor = checks.real("min_probability", min_probability, 0, 1)
    if np.count_nonzero([smoothing, gamma, floor]) > 1:
        raise ArgumentError(
            "label_smoothing, gamma and min_probability exclude each other, "
            f"got {smoothing}, {gamma} and {floor}"
        )
    ignored = 0
    if ignore_index is not None:
        ignored = checks.integer("ignore_index", ignore_index, -(2**63), 2**63 - 1)
    result: Shape = (n, *rest) if reduction == "none" else ()
    return Plan(
        outputs=(
            Spec(result, dtype),
            Spec((n, size), dtype),
            Spec((n, size), np.dtype(np.float64)),
            Spec((), np.dtype(np.float64)),
        ),
        geometry=Geometry(
            n=n,
            c=c,
            size=size,
            ignores=ignore_index is not None,
            ignore_index=ignored,
            per_pixel=reduction == "none",
            mean=reduction == "mean",
            valid=reduction == "valid",
            divisor=divisor,
            empty_is_nan=empty == "nan",
            smoothing=smoothing,
            gamma=gamma,
            worst=-math.log(floor) if floor else math.inf,
        ),
        flops=4 * n * c * size + 4 * n * size,
        reach=None,
    )


def check(x: ArrayLike, target: Array, weight: ArrayLike | None, g: Geometry) -> None:
    """Every label is a class or ignored."""
    checks.labels("target", target, g.c, (g.ignore_index if g.ignores else None,))
