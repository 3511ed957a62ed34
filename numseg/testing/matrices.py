"""The Jacobian as an array."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg import checks
from numseg.testing.gradients import settings
from numseg.testing.lines import Line
from numseg.testing.subject import Function, Inputs, Slot, Subject, unit
from numseg.typing import Array


def jacobian(
    function: Function,
    inputs: Inputs,
    *,
    argument: str | None = None,
    method: str = "backward",
    eps: float | None = None,
    dtype: Any = None,
) -> Array:
    """The derivative of every number of the result by every number of an argument.

    Parameters
    ----------
    function, inputs, dtype
        As for :func:`~numseg.testing.gradcheck`; "forward" takes (forward, backward, jvp).
    argument : str, optional
        By which argument: its name, ``"xs[0]"`` for one of a sequence. By default the first array
        of floats.
    method : {"backward", "forward", "differences"}
        By rows, from ``backward``; by columns, from ``jvp``; by columns, from central differences.
    eps : float, optional
        The step of the differences.

    Returns
    -------
    array, float64
        Of shape ``y.shape + x.shape``; ``.reshape(y.size, x.size)`` is the matrix.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> from numseg.testing import jacobian
    >>> x = np.array([[1.0, 3.0, 2.0, 2.0]]).reshape(1, 1, 1, 4)
    >>> jacobian(ns.max_pool2d, [x, (1, 2)]).reshape(2, 4)
    array([[0., 1., 0., 0.],
           [0., 0., 1., 0.]])
    """
    subject = Subject(function, inputs, dtype)
    slots = {slot.label: slot for slot in subject.slots}
    checks.choice("method", method, ("backward", "forward", "differences"))
    name = next(iter(slots), "") if argument is None else argument
    slot = slots[checks.choice("argument", name, tuple(slots))]
    y, _ = subject.start()
    x = subject.array(slot)
    if method == "backward":
        rows = [_row(subject, slot, unit(y, o)) for o in range(y.size)]
        matrix = np.array(rows, np.float64).reshape(y.size, x.size)
    else:
        by_column = _pushed if method == "forward" else _differences
        columns = [by_column(subject, slot, y, unit(x, i), eps) for i in range(x.size)]
        matrix = np.array(columns, np.float64).reshape(x.size, y.size).T
    return matrix.reshape(y.shape + x.shape)


def _row(subject: Subject, slot: Slot, grad_y: Array) -> Array:
    gradients = subject.pullback(grad_y)
    return gradients[slot] if slot in gradients else np.zeros(subject.array(slot).shape)


def _pushed(subject: Subject, slot: Slot, y: Array, step: Array, eps: float | None) -> Array:
    return subject.pushforward({slot: step})


def _differences(subject: Subject, slot: Slot, y: Array, step: Array, eps: float | None) -> Array:
    _, h, _ = settings(subject, y, eps, None)
    x, step = subject.array(slot), subject.movable(slot, step)
    return Line(
        lambda t: subject.run({slot: (x + t * h * step).astype(subject.dtype)})[0], y, h
    ).derivative()
