"""Local response normalisation."""

from __future__ import annotations

import math

from numseg import checks
from numseg.operator import Plan, Spec, operator
from numseg.ops.local_response_norm.geometry import Geometry
from numseg.typing import Array, ArrayLike


@operator("x", saves="x")
def local_response_norm(
    x: ArrayLike,
    size: int,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 1.0,
    *,
    extra: str = "before",
) -> Plan[Array]:
    """Divide each number by a power of the squares in the channels around it.

    ``y[n, c] = x[n, c] / (k + alpha / size * sum of x[n, j]**2)**beta``, the sum over the ``size``
    channels j from ``c - size // 2`` to ``c + (size - 1) // 2``, as far as they exist.

    Parameters
    ----------
    x : array, (N, C, ...), float32 or float64
        At least two axes.
    size : int
        Channels in a window, at least 1. The sum is divided by it at the borders too.
    alpha, k : float, at least 0
    beta : float
    extra : {"before", "after"}
        Of which side a window of an even size has one channel more: PyTorch's, or ONNX's.

    Returns
    -------
    array
        Shape and dtype of x.

    Raises
    ------
    ArgumentError
        For a wrong rank or dtype, a size below 1, an alpha or k that is negative or not finite, a
        beta that is not finite, or an unknown word.

    Notes
    -----
    All arithmetic is in float64: float32 results are rounded once.

    Gradient: with ``s`` what is raised to beta, ``grad_y / s**beta - 2 alpha beta / size * x * sum
    of grad_y x / s**(beta + 1)``, the sum over the channels whose windows hold this one.

    Source: ``torch.nn.functional.local_response_norm`` of PyTorch 2.13 (which wants a third axis);
    ONNX 13 ``LRN``; Caffe's ``LRN``. Krizhevsky, Sutskever and Hinton 2012, "ImageNet
    classification with deep convolutional neural networks", whose alpha is not divided by size.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.local_response_norm(np.array([[1.0, 2.0, 2.0]]), 3, alpha=3.0, beta=1.0, k=0.0)
    array([[0.2       , 0.22222222, 0.25      ]])
    """
    dtype = checks.floats(x=x)
    (n, c), rest = checks.leading_axes("x", x, "n c")
    window = checks.integer("size", size, 1, checks.LARGEST)
    shorter, longer = (window - 1) // 2, window // 2
    if checks.choice("extra", extra, ("before", "after")) == "after":
        shorter, longer = longer, shorter
    spec = Spec(tuple(x.shape), dtype)
    geometry = Geometry(
        n,
        c,
        math.prod(rest),
        min(longer, c),
        min(shorter, c),
        checks.real("alpha", alpha, 0.0) / window,
        checks.real("beta", beta),
        checks.real("k", k, 0.0),
    )
    channels = min(window, c)
    return Plan(outputs=(spec,), geometry=geometry, flops=(2 * channels + 4) * spec.size)
