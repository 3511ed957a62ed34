"""Batch normalisation."""

from __future__ import annotations

import math

import numpy as np

from numseg import checks
from numseg.errors import ArgumentError
from numseg.geometry import POINTWISE
from numseg.operator import Plan, Spec, operator
from numseg.ops.batch_norm.geometry import Geometry
from numseg.typing import Array, ArrayLike


@operator(
    "x running_mean running_var weight bias",
    outputs="y running_mean running_var mean var",
    saves="x weight running_mean running_var mean var",
    differentiable="x weight bias",
    updates={"running_mean": "running_mean", "running_var": "running_var"},
)
def batch_norm(
    x: ArrayLike,
    running_mean: ArrayLike | None = None,
    running_var: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    return_running: bool = False,
    *,
    unbiased: bool = True,
    momentum_of: str = "new",
    allow_single: bool = False,
) -> Plan[Array | tuple[Array, Array, Array]]:
    """Normalise each channel: ``y = (x - mean) / sqrt(var + eps) * weight + bias``.

    In training, ``mean`` and ``var`` are those of the channel's ``m`` values in x, and the running
    statistics move towards them::

        running_mean' = (1 - momentum) * running_mean + momentum * mean
        running_var'  = (1 - momentum) * running_var  + momentum * var * m / (m - 1)

    In inference, ``mean`` and ``var`` are the running statistics. Nothing is modified: the new
    running statistics are results (``return_running=True``), and always in what ``forward`` saves.

    Parameters
    ----------
    x : array, (N, C, ...), float32 or float64
        At least two axes.
    running_mean, running_var : array, (C,), dtype of x, optional
        Both or none. Required in inference; in training they start at 0 and 1 if not given.
    weight, bias : array, (C,), dtype of x, optional
        1 and 0 if not given.
    training : bool
    momentum : float in [0, 1]
    eps : float, at least 0
    return_running : bool
        Also return the running statistics.
    unbiased : bool
        The running variance gets the unbiased variance (PyTorch, Caffe, TensorFlow's fused kernel).
        If False, the biased one, without ``m / (m - 1)`` (ONNX).
    momentum_of : {"new", "old"}
        Whose share momentum is: that of the new statistics (PyTorch), or that of the old ones
        (ONNX, TensorFlow, Keras: their 0.9 is PyTorch's 0.1).
    allow_single : bool
        In training, take a single value per channel too: its variance is 0, y is the bias, and
        ``m / (m - 1)`` counts as 1 (Caffe, TensorFlow). PyTorch refuses it.

    Returns
    -------
    y : array, shape and dtype of x
    running_mean, running_var : array, (C,), dtype of x
        Only if asked for. In inference they are copies.

    Raises
    ------
    ArgumentError
        For a wrong rank, shape or dtype, in training for a single value per channel unless that is
        allowed, and in inference without running statistics.

    Notes
    -----
    y is always normalised by the biased variance (divisor m). An x without any value leaves the
    running statistics as they are.

    All arithmetic is in float64, and the variance is computed about a value of the channel, or for
    float64 about the mean: float32 results are rounded once, also where the mean is many standard
    deviations from 0.

    Gradient: for x, weight and bias; in training through the statistics of the batch as well. The
    running statistics have none.

    Source: PyTorch 2.13, ``torch.nn.functional.batch_norm``, which updates the running statistics
    in place. Ioffe and Szegedy 2015 for the gradient.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> x = np.array([[1.0], [3.0]])
    >>> y, mean, var = ns.batch_norm(x, training=True, eps=0.0, return_running=True)
    >>> y.ravel(), mean, var
    (array([-1.,  1.]), array([0.2]), array([1.1]))
    """
    dtype = checks.floats(
        x=x, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias
    )
    (n, c), rest = checks.leading_axes("x", x, "n c")
    vectors = {"running_mean": running_mean, "running_var": running_var} | {
        "weight": weight,
        "bias": bias,
    }
    for name, vector in vectors.items():
        if vector is not None:
            checks.shape(name, vector, (c,), "one value for each channel of x")
    values = n * math.prod(rest)
    training = checks.flag("training", training)
    single = checks.flag("allow_single", allow_single)
    _check_statistics(x, values, training, single, running_mean, running_var)
    momentum = checks.real("momentum", momentum, 0.0, 1.0)
    of_old = checks.choice("momentum_of", momentum_of, ("new", "old")) == "old"
    corrected = checks.flag("unbiased", unbiased) and values > 1
    spec, statistic = Spec(tuple(x.shape), dtype), Spec((c,), np.dtype(np.float64))
    return Plan(
        outputs=(spec, Spec((c,), dtype), Spec((c,), dtype), statistic, statistic),
        geometry=Geometry(
            n,
            c,
            math.prod(rest),
            of_batch=training and values > 0,
            momentum=1 - momentum if of_old else momentum,
            correction=values / (values - 1) if corrected else 1.0,
            eps=checks.real("eps", eps, 0.0),
        ),
        results=3 if checks.flag("return_running", return_running) else 1,
        flops=spec.size * (7 if training else 3),
        reach=None if training else POINTWISE,
    )


def _check_statistics(
    x: ArrayLike,
    values: int,
    training: bool,
    allow_single: bool,
    running_mean: ArrayLike | None,
    running_var: ArrayLike | None,
) -> None:
    if (running_mean is None) != (running_var is None):
        missing = "running_mean" if running_mean is None else "running_var"
        raise ArgumentError(f"{missing} is not given, but the other running statistic is")
    if not training and running_mean is None:
        raise ArgumentError("running_mean is not given, but training=False normalises by it")
    if training and values == 1 and not allow_single:
        raise ArgumentError(
            f"x has shape {tuple(x.shape)}, 1 value per channel, "
            "but training=True needs at least 2 for a variance (or allow_single=True)"
        )
