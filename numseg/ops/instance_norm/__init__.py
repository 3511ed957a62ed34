"""Instance normalisation."""

from __future__ import annotations

import math

import numpy as np

from numseg import checks
from numseg.errors import ArgumentError
from numseg.geometry import POINTWISE
from numseg.operator import Plan, Spec, operator
from numseg.ops.instance_norm.geometry import Geometry
from numseg.typing import Array, ArrayLike


@operator(
    "x running_mean running_var weight bias",
    outputs="y running_mean running_var mean var",
    saves="x weight running_mean running_var mean var",
    differentiable="x weight bias",
    updates={"running_mean": "running_mean", "running_var": "running_var"},
)
def instance_norm(
    x: ArrayLike,
    running_mean: ArrayLike | None = None,
    running_var: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    return_running: bool = False,
) -> Plan[Array | tuple[Array, Array, Array]]:
    """Normalise each channel of each image: ``y = (x - mean) / sqrt(var + eps) * weight + bias``.

    With ``use_input_stats``, ``mean`` and the biased ``var`` are those of the ``m`` pixels of that
    channel of that image, and the running statistics move towards their means over the images::

        running_mean' = (1 - momentum) * running_mean + momentum * mean over n of mean
        running_var'  = (1 - momentum) * running_var  + momentum * mean over n of var * m / (m - 1)

    Without, ``mean`` and ``var`` are the running statistics. Nothing is modified: the new running
    statistics are results (``return_running=True``), and always in what ``forward`` saves.

    Parameters
    ----------
    x : array, (N, C, ...), float32 or float64
        At least two axes.
    running_mean, running_var : array, (C,), dtype of x, optional
        Both or none. Required without ``use_input_stats``; with it they start at 0 and 1 if not
        given.
    weight, bias : array, (C,), dtype of x, optional
        1 and 0 if not given.
    use_input_stats : bool
        Also in inference, unless running statistics are to be used there.
    momentum : float in [0, 1]
        The share of the new statistics.
    eps : float, at least 0
    return_running : bool
        Also return the running statistics.

    Returns
    -------
    y : array, shape and dtype of x
    running_mean, running_var : array, (C,), dtype of x
        Only if asked for. Without ``use_input_stats`` they are copies.

    Raises
    ------
    ArgumentError
        For a wrong rank, shape or dtype, a negative eps, and without ``use_input_stats`` for
        running statistics that are not given.

    Notes
    -----
    A plane of a single value has variance 0: y is the bias, and ``m / (m - 1)`` counts as 1. An x
    without any value leaves the running statistics as they are.

    By the statistics of x it is :func:`group_norm` of one group for each channel, by the running
    ones it is :func:`batch_norm` in inference, with their kernels. All arithmetic is in float64:
    float32 results are rounded once.

    Gradient: for x, weight and bias; with ``use_input_stats`` through mean and var as well. The
    running statistics have none.

    Source: PyTorch 2.13, ``torch.nn.functional.instance_norm``, which updates the running
    statistics in place, and refuses a single value; ONNX 22 ``InstanceNormalization``. Ulyanov,
    Vedaldi and Lempitsky 2016, "Instance normalization".

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.instance_norm(np.array([[[1.0, 3.0], [10.0, 30.0]]]), eps=0.0)
    array([[[-1.,  1.],
            [-1.,  1.]]])
    """
    vectors = {"running_mean": running_mean, "running_var": running_var} | {
        "weight": weight,
        "bias": bias,
    }
    dtype = checks.floats(x=x, **vectors)
    (n, c), rest = checks.leading_axes("x", x, "n c")
    for name, vector in vectors.items():
        if vector is not None:
            checks.shape(name, vector, (c,), "one value for each channel of x")
    if (running_mean is None) != (running_var is None):
        missing = "running_mean" if running_mean is None else "running_var"
        raise ArgumentError(f"{missing} is not given, but the other running statistic is")
    if not checks.flag("use_input_stats", use_input_stats) and running_mean is None:
        raise ArgumentError("running_mean is not given, but use_input_stats=False normalises by it")
    m = math.prod(rest)
    spec, statistic = Spec(tuple(x.shape), dtype), Spec((c,), dtype)
    used = Spec((n if use_input_stats else 1, c), np.dtype(np.float64))
    share = checks.real("momentum", momentum, 0.0, 1.0)
    return Plan(
        outputs=(spec, statistic, statistic, used, used),
        geometry=Geometry(
            n,
            c,
            m,
            of_input=bool(use_input_stats),
            momentum=share if n * m else 0.0,
            correction=m / (m - 1) if m > 1 else 1.0,
            eps=checks.real("eps", eps, 0.0),
        ),
        results=3 if checks.flag("return_running", return_running) else 1,
        flops=spec.size * (7 if use_input_stats else 3),
        reach=None if use_input_stats else POINTWISE,
    )
