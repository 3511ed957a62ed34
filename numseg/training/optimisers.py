"""Optimisers: pure functions from parameters, gradients and state to new parameters and state.

Parameters, gradients and state are flat dicts of arrays, so that a state is saved as parameters
are. Parameters without a gradient (running statistics) pass through. Formulas and the names in the
state are those of PyTorch 2.13 (``torch.optim.SGD``, ``torch.optim.Adam``).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Protocol

import numpy as np

from numseg import checks
from numseg.errors import ArgumentError
from numseg.typing import Array

Arrays = Mapping[str, Array]
Updated = tuple[dict[str, Array], dict[str, Array]]


class Optimiser(Protocol):
    """What the training loop asks of an optimiser."""

    @property
    def lr(self) -> float: ...

    def start(self, params: Arrays) -> dict[str, Array]:
        """The state before the first step."""
        ...

    def step(
        self, params: Arrays, grads: Arrays, state: Arrays, lr: float | None = None
    ) -> Updated:
        """New parameters and new state; the arguments stay as they are."""
        ...


@dataclasses.dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent with momentum.

    ``b = momentum * b + g`` and ``p = p - lr * b``, where ``g = grad + weight_decay * p`` and b
    starts at zero (PyTorch starts it at the first g, which is the same).

    Parameters
    ----------
    lr : float
        The learning rate; ``step(..., lr=...)`` overrides it for one step.
    momentum : float, in [0, 1]
    weight_decay : float
        L2 penalty, on every parameter that has a gradient.

    Examples
    --------
    >>> import numpy as np
    >>> sgd, params, grads = SGD(lr=0.5), {"w": np.array([1.0])}, {"w": np.array([1.0])}
    >>> params, state = sgd.step(params, grads, sgd.start(params))
    >>> params, state = sgd.step(params, grads, state)
    >>> params["w"]  # 1 - 0.5 * 1 - 0.5 * 1.9
    array([-0.45])
    """

    lr: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        checks.real("lr", self.lr, minimum=0)
        checks.real("momentum", self.momentum, 0, 1)
        checks.real("weight_decay", self.weight_decay, minimum=0)

    def start(self, params: Arrays) -> dict[str, Array]:
        return {f"momentum_buffer.{name}": np.zeros_like(p) for name, p in params.items()}

    def step(
        self, params: Arrays, grads: Arrays, state: Arrays, lr: float | None = None
    ) -> Updated:
        lr = self.lr if lr is None else lr
        new, after = dict(params), dict(state)
        for name, p, g in _updated(params, grads, self.weight_decay):
            buffer = f"momentum_buffer.{name}"
            after[buffer] = p.dtype.type(self.momentum) * state[buffer] + g
            step = np.asarray(p.dtype.type(lr) * after[buffer])
            new[name] = np.subtract(p, step, out=step)  # fresh memory takes longer than the sum
        return new, after


@dataclasses.dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba, 2015).

    ``m = beta1 m + (1 - beta1) g``, ``v = beta2 v + (1 - beta2) g^2``, and in step t
    ``p = p - lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps)``, where
    ``g = grad + weight_decay * p``.

    Parameters
    ----------
    lr : float
        The learning rate; ``step(..., lr=...)`` overrides it for one step.
    betas : (float, float), in [0, 1)
    eps : float
    weight_decay : float
        L2 penalty, on every parameter that has a gradient.
    """

    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        checks.real("lr", self.lr, minimum=0)
        checks.real("eps", self.eps, minimum=0)
        checks.real("weight_decay", self.weight_decay, minimum=0)
        for i, beta in enumerate(self.betas):
            checks.real(f"betas[{i}]", beta, 0, math.nextafter(1, 0))

    def start(self, params: Arrays) -> dict[str, Array]:
        state = {"step": np.zeros((), np.int64)}
        for name, p in params.items():
            state[f"exp_avg.{name}"] = np.zeros_like(p)
            state[f"exp_avg_sq.{name}"] = np.zeros_like(p)
        return state

    def step(
        self, params: Arrays, grads: Arrays, state: Arrays, lr: float | None = None
    ) -> Updated:
        lr = self.lr if lr is None else lr
        t = int(state["step"]) + 1
        new, after = dict(params), {**state, "step": np.asarray(t, np.int64)}
        beta1, beta2 = self.betas
        scale, root = lr / (1 - beta1**t), math.sqrt(1 - beta2**t)
        for name, p, g in _updated(params, grads, self.weight_decay):
            real = p.dtype.type
            m = state[f"exp_avg.{name}"]
            m = m + real(1 - beta1) * (g - m)
            v = real(beta2) * state[f"exp_avg_sq.{name}"] + real(1 - beta2) * (g * g)
            new[name] = p - real(scale) * (m / (np.sqrt(v) / real(root) + real(self.eps)))
            after[f"exp_avg.{name}"], after[f"exp_avg_sq.{name}"] = m, v
        return new, after


def _updated(params: Arrays, grads: Arrays, weight_decay: float) -> list[tuple[str, Array, Array]]:
    """Name, value and decayed gradient of every parameter that has a gradient."""
    found = []
    for name, grad in grads.items():
        if name not in params:
            raise ArgumentError(f"grads has {name!r}, which is not among the parameters")
        p = params[name]
        checks.shape(f"grads[{name!r}]", grad, p.shape, "the parameter's shape")
        found.append((name, p, grad + p.dtype.type(weight_decay) * p if weight_decay else grad))
    return found
