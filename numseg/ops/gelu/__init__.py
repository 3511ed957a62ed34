"""Gaussian error linear unit."""

from __future__ import annotations

from numseg import checks
from numseg.operator import Plan
from numseg.ops.pointwise import planned, pointwise
from numseg.typing import Array, ArrayLike


@pointwise()
def gelu(x: ArrayLike, approximate: str = "none") -> Plan[Array]:
    """Gaussian error linear unit: ``y = x * Phi(x)``.

    Phi is the normal distribution's cumulative function, ``Phi(x) = erfc(-x / sqrt(2)) / 2``.

    Parameters
    ----------
    x : array, any shape, float32 or float64
    approximate : {"none", "tanh"}
        "tanh" takes ``(1 + tanh(u)) / 2`` with ``u = sqrt(2 / pi) * (x + 0.044715 * x**3)`` in the
        place of Phi(x), which changes y by up to 0.00048.

    Returns
    -------
    array
        Same shape and dtype. NaN stays NaN, inf stays inf; -inf gives NaN, as infinity times 0
        does. Far below zero, where both kinds fall like ``exp(-x**2 / 2)`` and faster, y keeps all
        its digits.

    Raises
    ------
    ArgumentError
        If the dtype is neither float32 nor float64, or approximate is another word.

    Notes
    -----
    Gradient: ``grad_y * (Phi(x) + x * exp(-x**2 / 2) / sqrt(2 * pi))``; for "tanh", with
    ``s = (1 + tanh(u)) / 2``, ``grad_y * (s + x * 2 * s * (1 - s) * du/dx)``. At both infinities it
    is NaN.

    Source: PyTorch 2.13, ``torch.nn.functional.gelu``; ONNX ``Gelu``. Hendrycks and Gimpel 2016.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.gelu(np.array([-1.0, 0.0, 1.0]))
    array([-0.15865525,  0.        ,  0.84134475])
    >>> ns.gelu(np.array([-1.0, 0.0, 1.0]), approximate="tanh")
    array([-0.15880801,  0.        ,  0.84119199])
    """
    kind = checks.choice("approximate", approximate, ("none", "tanh"))
    return planned(x, float(kind == "tanh"), flops=8)
