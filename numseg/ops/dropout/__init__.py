"""Dropout with an explicit seed."""

from __future__ import annotations

import math

from numseg import checks
from numseg.errors import ArgumentError
from numseg.operator import Plan, Spec, operator
from numseg.ops.dropout.geometry import Geometry
from numseg.typing import Array, ArrayLike

UNITS = {"number": None, "channel": 2, "image": 1}
"""How many axes number the units; None for all."""


@operator("x", linear="x")
def dropout(
    x: ArrayLike,
    p: float = 0.5,
    *,
    seed: int | None = None,
    training: bool = True,
    inverted: bool = True,
    unit: str = "number",
) -> Plan[Array]:
    """Set a share ``p`` of the numbers to 0, at random, and divide the others by ``1 - p``.

    Parameters
    ----------
    x : array, any shape, float32 or float64
    p : float in [0, 1]
    seed : int in [0, 2**63)
        Required in training. Which numbers are dropped depends on the seed and on their place in x
        (counted in C order), on nothing else: not on values, dtype, device or threads. Give every
        call of a network and every training step a seed of its own.
    training : bool
        If False, y is a copy of x. (Bayesian networks drop in inference too: leave it True.)
    inverted : bool
        Scale in training, so that inference has nothing to do (PyTorch, TensorFlow, ONNX, BVLC
        Caffe). If False, training scales nothing, and inference multiplies by ``1 - p`` (Srivastava
        et al. 2014, Caffe's forks with ``scale_train: false``).
    unit : {"number", "channel", "image"}
        What is dropped as a whole: each number by itself, each channel of each image (axes from the
        third on; PyTorch's dropout2d), or each image (axes from the second on; stochastic depth).

    Returns
    -------
    array
        Shape and dtype of x.

    Raises
    ------
    ArgumentError
        For a wrong dtype, p outside [0, 1], in training without a seed, and for an x that has not
        the axes of the unit.

    Notes
    -----
    What is dropped is 0 even where x is NaN or infinite (elsewhere NaN times 0, which is NaN); the
    others are x times the float64 number ``1 / (1 - p)``, rounded once. With p = 1 all is dropped.

    The generator is SplitMix64 (Steele, Lea and Flood 2014), read at any place. With ``mix`` its
    output function, ``gamma = 0x9E3779B97F4A7C15`` and arithmetic modulo 2**64, number i is dropped
    if the upper 53 bits of ``mix(mix(seed + gamma) + (i + 1) * gamma)`` are below ``p * 2**53``.
    Larger units are numbered likewise, in C order.

    Gradient: ``grad_y`` times the same number where x was kept, else 0. Nothing is saved: backward
    draws the mask again.

    Source: ``torch.nn.functional.dropout`` and ``dropout2d`` of PyTorch 2.13 and
    ``torchvision.ops.stochastic_depth(mode="row")`` of 0.28 for the meaning of p; their masks come
    from a hidden state.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.dropout(np.ones(8), 0.5, seed=1)
    array([0., 2., 0., 2., 0., 2., 2., 0.])
    """
    dtype = checks.floats(x=x)
    p = checks.real("p", p, 0.0, 1.0)
    number = 0 if seed is None else checks.integer("seed", seed, 0, 2**63 - 1)
    if checks.flag("training", training) and seed is None:
        raise ArgumentError("seed is not given, but training=True chooses by it what to drop")
    if checks.flag("inverted", inverted):
        scale = 1 / (1 - p) if training and p < 1 else 1.0
    else:
        scale = 1.0 if training else 1 - p
    spec = Spec(tuple(x.shape), dtype)
    geometry = Geometry(spec.size, _run(x, unit), number, p if training else 0.0, scale)
    return Plan(outputs=(spec,), geometry=geometry, flops=spec.size)


def _run(x: ArrayLike, unit: str) -> int:
    """How many numbers a unit has."""
    axes = UNITS[checks.choice("unit", unit, tuple(UNITS))]
    if axes is None:
        return 1
    if len(x.shape) < axes:
        raise ArgumentError(
            f"unit='{unit}' wants at least {axes} axes, but x has shape {tuple(x.shape)}"
        )
    return math.prod(x.shape[axes:])
