"""Binary cross-entropy of logits, with Mask R-CNN's choice of a class."""

from __future__ import annotations

from numseg import checks, reductions
from numseg.errors import ArgumentError
from numseg.operator import Plan, Spec, operator
from numseg.ops.binary_cross_entropy_with_logits.geometry import Geometry
from numseg.typing import Array, ArrayLike, Shape


@operator(
    "x target weight pos_weight labels",
    saves="x target weight pos_weight labels",
    differentiable="x target",
    integers="labels",
)
def binary_cross_entropy_with_logits(
    x: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    pos_weight: ArrayLike | None = None,
    reduction: str = "mean",
    labels: ArrayLike | None = None,
    empty: str = "zero",
) -> Plan[Array]:
    """Cross-entropy of independent yes-or-no answers, given as logits.

    ``weight * (pos_weight * t * softplus(-x) + (1 - t) * softplus(x))`` for target t, with
    ``softplus(x) = log(1 + exp(x))``.

    Parameters
    ----------
    x : array, any shape, float32 or float64
        Logits; (N, C, ...) with ``labels``.
    target : array, shape and dtype of x
        Probabilities of yes, usually 0 or 1 (not checked). (N, ...), without C, with ``labels``.
    weight : array that broadcasts to the shape of target, dtype of x, optional
        How much an element counts.
    pos_weight : array that broadcasts to the shape of target, dtype of x, optional
        How much yes counts; for classes in (N, C, H, W) its shape is (C, 1, 1).
    reduction : {"mean", "sum", "none", "batch_size"}
        "mean" divides the sum by the number of elements, not by their weights; "batch_size" by the
        size of the first axis.
    labels : array, (N,), any integer dtype, optional
        Mask R-CNN's mask loss: of ``x[n]`` only class ``labels[n]`` counts.
    empty : {"zero", "nan"}
        What the mean over no element is; PyTorch's is NaN.

    Returns
    -------
    array, () or the shape of target, dtype of x

    Raises
    ------
    ArgumentError
        For a wrong dtype, shapes that do not fit, and labels outside [0, C).

    Notes
    -----
    Nothing overflows and nothing cancels: the loss of a confident element keeps its digits. At
    infinite logits a term whose factor is 0 is 0 (PyTorch gives NaN).

    Gradient: ``grad_x = grad_y * weight * ((1 - t) sigmoid(x) - pos_weight * t * sigmoid(-x))``, 0
    for the classes not chosen, and ``grad_target = grad_y * weight * (pos_weight * softplus(-x) -
    softplus(x))``. No kinks.

    Source: PyTorch 2.13, ``torch.nn.functional.binary_cross_entropy_with_logits``, and torchvision
    0.28, ``maskrcnn_loss``.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> x, target = np.array([0.0, 1000.0]), np.array([0.0, 1.0])
    >>> ns.binary_cross_entropy_with_logits(x, target, reduction="none")
    array([0.69314718, 0.        ])
    """
    dtype = checks.floats(x=x, target=target, weight=weight, pos_weight=pos_weight)
    shape, classes, reason = tuple(x.shape), 0, "the shape of x"
    if labels is not None:
        checks.integers(labels=labels)
        (n, classes), rest = checks.leading_axes("x", x, "n c")
        checks.shape("labels", labels, (n,), "one for each n of x")
        shape, reason = (n, *rest), "the shape of x without its classes"
    checks.shape("target", target, shape, reason)
    for name, factors in (("weight", weight), ("pos_weight", pos_weight)):
        if factors is not None and not _broadcasts(tuple(factors.shape), shape):
            raise ArgumentError(
                f"{name} has shape {tuple(factors.shape)}, which does not broadcast to {shape}"
            )
    spec, each = Spec(shape, dtype), reduction == "none"
    images = shape[0] if shape else 1
    divisor = reductions.divisor(reduction, empty, spec.size, images, ["batch_size"])
    return Plan(
        outputs=(spec if each else Spec((), dtype),),
        geometry=Geometry(spec.size, classes, each, divisor),
        flops=12 * spec.size,
        reach=None,
    )


def _broadcasts(shape: Shape, to: Shape) -> bool:
    tail = to[len(to) - len(shape) :]
    return len(shape) <= len(to) and all(a in (1, b) for a, b in zip(shape, tail, strict=True))


def check(
    x: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None,
    pos_weight: ArrayLike | None,
    labels: Array | None,
    g: Geometry,
) -> None:
    """Every label is a class."""
    if labels is not None:
        checks.labels("labels", labels, g.classes)
