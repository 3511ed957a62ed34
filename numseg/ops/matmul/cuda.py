"""matmul on CUDA: a thread owns a number of a product."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from numseg.broadcasting import Geometry as Broadcast
from numseg.cuda.arrays import Cuda
from numseg.cuda.launch import Ints, Reals, kernel, launch, next_plane, quotient, thread
from numseg.cuda.runtime import empty
from numseg.faces import module
from numseg.ops.add import add
from numseg.ops.matmul.geometry import Geometry


class Sizes(NamedTuple):
    """``out[m, n] = sum over k of a[m, k] * b[k, n]``, for each product."""

    products: int
    m: int
    n: int
    k: int
    a_row: int
    a_step: int
    b_step: int
    b_column: int


@kernel
def _multiply(a: Reals, b: Reals, out: Reals, lefts: Ints, rights: Ints, s: Sizes) -> None:
    number, product = thread()
    if number >= s.m * s.n:
        return
    m = quotient(number, s.n)
    n = number - m * s.n
    while product < s.products:
        here = lefts[product] * s.m * s.k + m * s.a_row
        there = rights[product] * s.k * s.n + n * s.b_column
        total = a.dtype.type(0)
        for k in range(s.k):
            total += a[here + k * s.a_step] * b[there + k * s.b_step]
        out[product * s.m * s.n + number] = total
        product = next_plane(product)


def forward(x: Any, other: Any, y: Any, g: Geometry) -> None:
    m, k, n = *g.left[-2:], g.right[-1]
    lefts, rights = zip(*g.pairs, strict=True)
    _products(x, other, y, lefts, rights, Sizes(len(g.pairs), m, n, k, k, 1, n, 1))


def backward(x: Any, other: Any, gy: Any, gx: Any, gother: Any, g: Geometry) -> None:
    m, k, n = *g.left[-2:], g.right[-1]
    lefts, rights = zip(*g.pairs, strict=True) if g.pairs else ((), ())
    count = len(g.pairs)
    if gx is not None and gx.size:
        sizes = Sizes(count, m, k, n, n, 1, 1, n)
        _summed(gy, other, gx, range(count), rights, sizes, g.left, g)
    if gother is not None and gother.size:
        sizes = Sizes(count, k, n, m, 1, k, n, 1)
        _summed(x, gy, gother, lefts, range(count), sizes, g.right, g)


def _products(a: Any, b: Any, out: Any, lefts: Any, rights: Any, sizes: Sizes) -> None:
    tables = (Cuda.from_host(np.array(numbers, np.int32)) for numbers in (lefts, rights))
    launch(_multiply, sizes.products, sizes.m * sizes.n, a, b, out, *tables, sizes)


def _summed(
    a: Any, b: Any, grad: Any, lefts: Any, rights: Any, sizes: Sizes, shape: Any, g: Geometry
) -> None:
    whole = (*g.shape[:-2], *shape[-2:])
    terms = grad if tuple(grad.shape) == whole else empty(whole, grad.dtype)
    _products(a, b, terms, lefts, rights, sizes)
    if terms is not grad:
        module(add, "cuda").backward(terms, None, grad, Broadcast(whole, shape))
