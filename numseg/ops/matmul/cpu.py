"""matmul on the CPU: a product for each pair of matrices; one for all where other is one."""

from __future__ import annotations

import math

import numpy as np

from numseg.broadcasting import Geometry as Broadcast
from numseg.faces import module
from numseg.kernels.conv.matmul import matmul
from numseg.ops.add import add
from numseg.ops.matmul.geometry import Geometry
from numseg.typing import Array


def forward(x: Array, other: Array, y: Array, g: Geometry) -> None:
    x, other = _matrices(x, g.left), _matrices(other, g.right)
    if len(other) == 1:
        matmul(_rows(x), other[0], _rows(_matrices(y, g.shape)))
        return
    for out, (i, j) in zip(_matrices(y, g.shape), g.pairs, strict=True):
        matmul(x[i], other[j], out)


def backward(
    x: Array, other: Array, gy: Array, gx: Array | None, gother: Array | None, g: Geometry
) -> None:
    x, other, gy = _matrices(x, g.left), _matrices(other, g.right), _matrices(gy, g.shape)
    if gx is not None:
        of_x = _room(gx, g.left, g)
        if len(other) == 1:
            matmul(_rows(gy), other[0].T, _rows(of_x))
        else:
            for out, grad, (_, j) in zip(of_x, gy, g.pairs, strict=True):
                matmul(grad, other[j].T, out)
        _summed(of_x, gx, g.left, g)
    if gother is None:
        return
    if len(other) == 1 and len(x) == len(gy):
        matmul(_rows(x).T, _rows(gy), gother.reshape(other.shape[1:]))
        return
    of_other = _room(gother, g.right, g)
    for out, grad, (i, _) in zip(of_other, gy, g.pairs, strict=True):
        matmul(x[i].T, grad, out)
    _summed(of_other, gother, g.right, g)


def _matrices(array: Array, shape: tuple[int, ...]) -> Array:
    return array.reshape(math.prod(shape[:-2]), *shape[-2:])


def _rows(matrices: Array) -> Array:
    """Of all of them, as one matrix."""
    stacks, rows, columns = matrices.shape
    return matrices.reshape(stacks * rows, columns)


def _room(grad: Array, shape: tuple[int, ...], g: Geometry) -> Array:
    """For a gradient of each product: the gradient itself, if no matrix is repeated."""
    if math.prod(shape[:-2]) == len(g.pairs):
        return _matrices(grad, shape)
    return np.empty((len(g.pairs), *shape[-2:]), grad.dtype)


def _summed(terms: Array, grad: Array, shape: tuple[int, ...], g: Geometry) -> None:
    if terms.size != grad.size:
        whole = (*g.shape[:-2], *shape[-2:])
        terms.flags.writeable = False  # as inputs are
        module(add, "cpu").backward(terms, None, grad, Broadcast(whole, shape))
