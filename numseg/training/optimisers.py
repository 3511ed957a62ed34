"""Optimisers: pure functions from parameters, gradients and state to new parameters and state.

Parameters, gradients and state are flat dicts of arrays, so that a state is saved as parameters
are. Parameters without a gradient (running statistics) pass through. Formulas and the names in the
state are those of PyTorch 2.13 (``torch.optim.SGD``, ``torch.optim.Adam``).

``step(..., donate=True)`` may write into the given parameters and state, which the caller gives up:
the same numbers, without memory for another network. No two of them may share memory then.

Arrays on the GPU are updated there; a parameter, its gradient and its state must be on one side.
"""

from __future__ import annotations

import dataclasses
import importlib
import math
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from numseg import checks, device
from numseg.device import Host
from numseg.errors import ArgumentError
from numseg.training.devices import to_host
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
        self,
        params: Arrays,
        grads: Arrays,
        state: Arrays,
        lr: float | None = None,
        donate: bool = False,
    ) -> Updated:
        """New parameters and new state; unless they are donated, the arguments stay as they are."""
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
        return {f"momentum_buffer.{name}": _zeros_like(p) for name, p in params.items()}

    def step(
        self,
        params: Arrays,
        grads: Arrays,
        state: Arrays,
        lr: float | None = None,
        donate: bool = False,
    ) -> Updated:
        lr = self.lr if lr is None else lr
        new, after = dict(params), dict(state)
        for name in _with_gradients(params, grads):
            buffer = f"momentum_buffer.{name}"
            if cuda := _cuda(params[name], grads[name]):
                arrays = _named(params, state, grads, name, buffer)
                numbers = cuda.Sgd(lr, self.momentum, self.weight_decay)
                new[name], after[buffer] = cuda.sgd(arrays, numbers, donate)
                continue
            old = params[name], state[buffer]
            new[name], after[buffer] = targets = _targets(donate, *old)
            real = params[name].dtype.type
            for (p, b, grad), new_p, new_b in _blocks((*old, grads[name]), targets):
                g = grad + real(self.weight_decay) * p if self.weight_decay else grad
                np.add(real(self.momentum) * b, g, out=new_b)
                np.subtract(p, real(lr) * new_b, out=new_p)
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
            state[f"exp_avg.{name}"] = _zeros_like(p)
            state[f"exp_avg_sq.{name}"] = _zeros_like(p)
        return state

    def step(
        self,
        params: Arrays,
        grads: Arrays,
        state: Arrays,
        lr: float | None = None,
        donate: bool = False,
    ) -> Updated:
        lr = self.lr if lr is None else lr
        t = int(_here(state["step"])) + 1
        new, after = dict(params), {**state, "step": np.asarray(t, np.int64)}
        beta1, beta2 = self.betas
        scale, root = lr / (1 - beta1**t), math.sqrt(1 - beta2**t)
        for name in _with_gradients(params, grads):
            m_name, v_name = f"exp_avg.{name}", f"exp_avg_sq.{name}"
            if cuda := _cuda(params[name], grads[name]):
                arrays = _named(params, state, grads, name, m_name, v_name)
                numbers = cuda.AdamStep(
                    scale, root, 1 - beta1, beta2, 1 - beta2, self.eps, self.weight_decay
                )
                new[name], after[m_name], after[v_name] = cuda.adam(arrays, numbers, donate)
                continue
            old = params[name], state[m_name], state[v_name]
            new[name], after[m_name], after[v_name] = targets = _targets(donate, *old)
            real = params[name].dtype.type
            for (p, m, v, grad), new_p, new_m, new_v in _blocks((*old, grads[name]), targets):
                g = grad + real(self.weight_decay) * p if self.weight_decay else grad
                np.add(m, real(1 - beta1) * (g - m), out=new_m)
                np.add(real(beta2) * v, real(1 - beta2) * (g * g), out=new_v)
                step = new_m / (np.sqrt(new_v) / real(root) + real(self.eps))
                np.subtract(p, real(scale) * step, out=new_p)
        return new, after


def _with_gradients(params: Arrays, grads: Arrays) -> Iterator[str]:
    """The names of the parameters that have a gradient."""
    for name, grad in grads.items():
        if name not in params:
            raise ArgumentError(f"grads has {name!r}, which is not among the parameters")
        checks.shape(f"grads[{name!r}]", grad, params[name].shape, "the parameter's shape")
        yield name


def _zeros_like(array: Any) -> Any:
    """Where the array is."""
    where = device.of([array])
    return (
        np.zeros_like(array)
        if where is Host
        else where.from_host(np.zeros(array.shape, array.dtype))
    )


def _here(number: Any) -> Any:
    """A number that may have been moved to the GPU with the rest of the state."""
    return number if device.of([number]) is Host else to_host(number)


def _cuda(*arrays: Any) -> Any:
    """The kernels, if an array is on the GPU."""
    if device.of(list(arrays)) is Host:
        return None
    return importlib.import_module("numseg.training.cuda")


def _named(
    params: Arrays, state: Arrays, grads: Arrays, name: str, *buffers: str
) -> dict[str, Any]:
    """The arrays of one parameter's update, by names for errors."""
    kept = {f"state[{buffer!r}]": state[buffer] for buffer in buffers}
    return {f"params[{name!r}]": params[name], **kept, f"grads[{name!r}]": grads[name]}


def _targets(donate: bool, *arrays: Array) -> tuple[Array, ...]:
    """Where new values go: the donated arrays, as far as they can be written to in one run."""
    return tuple(
        array
        if donate and array.flags.c_contiguous and array.flags.writeable
        else np.empty(array.shape, array.dtype)
        for array in arrays
    )


BLOCK = 1 << 15
"""Numbers that are updated at once: they stay in the cache from the first operation to the last."""


def _blocks(given: tuple[Array, ...], targets: tuple[Array, ...]) -> Iterator[Any]:
    """The same part of every array, block after block: a tuple of those given, and the targets."""
    olds, news = [a.reshape(-1) for a in given], [a.reshape(-1) for a in targets]
    for first in range(0, olds[0].size, BLOCK):
        part = slice(first, first + BLOCK)
        yield (tuple(a[part] for a in olds), *(a[part] for a in news))
