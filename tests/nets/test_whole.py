"""The check of whole networks' gradients sees what it is for."""

from __future__ import annotations

import numpy as np
import pytest
import whole

from numseg import Graph, nets

NETS = {
    "unet": (lambda: nets.unet(1, 2, 2, 1, padding="same", norm=True), (6, 8)),
    "googlenet": (lambda: nets.googlenet(1, 2, width=0.05, aux=True), (47, 51)),
}


def wrong(fault, of):
    """A backward that is as it should be, but for the gradient of this parameter."""

    def backward(graph, tape, grad_y):
        grads = graph.backward(tape, grad_y)
        return grads | {of: fault(grads[of])}

    return backward


FAULTS = {
    "missing": np.zeros_like,
    "of the other sign": np.negative,
    "one part in a thousand too long": lambda grad: grad * 1.001,
    "mirrored": lambda grad: np.flip(grad).copy(),
}


@pytest.mark.parametrize("which", NETS)
def test_a_wrong_gradient_of_any_parameter_is_seen(which: str):
    make, size = NETS[which]
    graph, x = make(), whole.image(size, batch=2, channels=1)
    names = [*graph.trainable, "x"]
    for name in names if len(names) < 40 else names[::40]:
        for what, fault in FAULTS.items():
            if what == "mirrored" and (name == "x" or _size(graph, name) == 1):
                continue
            with pytest.raises(AssertionError):
                whole.check_gradients(graph, x, modes=[False], backward=wrong(fault, name))
    whole.check_gradients(graph, x, modes=[False])


def _size(graph: Graph, name: str) -> int:
    return next(param.size for param in graph.params if param.name == name)
