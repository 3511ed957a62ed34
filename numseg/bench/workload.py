"""The workload table: every operator beside PyTorch's or torchvision's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

import numseg as ns
from numseg.bench import conv2d, networks
from numseg.bench.timing import Call, Case
from numseg.bench.torch_nodes import agree
from numseg.graph import bilinear_weights


class Row(NamedTuple):
    """One operator on one size, and what it is called in PyTorch."""

    op: Any
    arrays: list[Any]
    """The first one is differentiated, and the weights, where there are any."""
    params: dict[str, Any]
    peer: Callable[..., Any]
    """Of tensors and a dict of the parameters."""
    needs: tuple[str, ...] = ("x",)


def cases(only: str = "") -> Iterator[Case]:
    """Forward, and forward and backward, of every row whose name contains ``only``.

    Contenders are compared with each other first: a fast wrong answer would be worth nothing.
    """
    import torch

    for case in conv2d.cases(only, prefix="conv "):
        yield case._replace(calls={name: case.calls[name] for name in ("numseg", "torch")})
    for name, make in _rows().items():
        if only not in name:
            continue
        row = make()
        ours, theirs = _numseg(row), _torch(torch, row)
        flops, size = row.op.cost(*row.arrays, **row.params)
        for times, direction in enumerate(("forward", "forward and backward")):
            calls = {"numseg": ours[times], "torch": theirs[times]}
            agree(name, calls)
            yield Case(name, direction, calls, (1 + times) * flops, (1 + times) * size)
    yield from networks.cases(only)


def _first(y: Any) -> Any:
    return y[0] if isinstance(y, tuple) else y


def _gradient(row: Row) -> Any:
    shape = row.op.plan(*row.arrays, **row.params).outputs[0].shape
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


def _numseg(row: Row) -> tuple[Call, Call]:
    gy = _gradient(row)

    def forward() -> Any:
        return [_first(row.op(*row.arrays, **row.params))]

    def both() -> Any:
        y, saved = row.op.forward(*row.arrays, **row.params)
        grads = row.op.backward(saved, gy, needs=row.needs)
        return [_first(y), *(g for g in grads if g is not None)]

    return forward, both


def _torch(torch: Any, row: Row) -> tuple[Call, Call]:
    gy = torch.from_numpy(_gradient(row))
    tensors = [torch.from_numpy(a) for a in row.arrays]
    leaves = []
    for name, tensor in zip(row.op.inputs, tensors, strict=False):
        if name in row.needs:
            leaves.append(tensor.requires_grad_())

    def forward() -> Any:
        with torch.no_grad():
            return [_first(row.peer(*tensors))]

    def both() -> Any:
        y = _first(row.peer(*tensors))
        return [y, *torch.autograd.grad(y, leaves, gy)]

    return forward, both


def _rows() -> dict[str, Callable[[], Row]]:
    import torch
    import torchvision

    f, tv = torch.nn.functional, torchvision.ops
    rng = np.random.default_rng(0)

    def real(*shape: int) -> Any:
        return rng.standard_normal(shape, np.float32)

    def transposed(n: int, c: int, o: int, k: int, s: int, size: int) -> Callable[[], Row]:
        return lambda: Row(
            ns.conv_transpose2d, [real(n, c, size, size), real(c, o, k, k)], {"stride": s},
            lambda x, w: f.conv_transpose2d(x, w, stride=s), ("x", "weight"),
        )  # fmt: skip

    def bilinear(k: int, s: int, size: int) -> Callable[[], Row]:
        """FCN's upsampling of 21 classes: its weights interpolate, and are not trained."""
        w = bilinear_weights(21, k, dtype=np.float32)
        return lambda: Row(ns.conv_transpose2d, [real(1, 21, size, size), w], {"stride": s},
                           lambda x, w: f.conv_transpose2d(x, w, stride=s))  # fmt: skip

    def simple(op: Any, x: Any, peer: Any, **params: Any) -> Callable[[], Row]:
        return lambda: Row(op, [real(*x)], params, peer)

    def unpool() -> Row:
        x, indices = ns.max_pool2d(real(4, 64, 128, 128), 2, return_indices=True)
        return Row(ns.max_unpool2d, [x, indices], {"kernel_size": 2},
                   lambda x, i: f.max_unpool2d(x, i, 2), ("x",))  # fmt: skip

    def cross_entropy() -> Row:
        target = rng.integers(0, 21, (2, 512, 512))
        target[rng.random(target.shape) < 0.1] = 255
        return Row(ns.cross_entropy, [real(2, 21, 512, 512), target], {"ignore_index": 255},
                   lambda x, t: f.cross_entropy(x, t, ignore_index=255))  # fmt: skip

    def regions(op: Any, peer: Any, **params: Any) -> Callable[[], Row]:
        def make() -> Row:
            start = rng.uniform(0, 0.7, (512, 2))
            end = np.minimum(start + rng.uniform(0.1, 0.6, (512, 2)), 1)
            corners = 16 * np.concatenate([start, end], 1) * (50, 50, 50, 50)
            boxes = np.concatenate([np.zeros((512, 1)), corners], 1).astype(np.float32)
            params.update(output_size=7, spatial_scale=1 / 16)
            return Row(op, [real(1, 256, 50, 50), boxes], params, lambda x, b: peer(x, b, **params))

        return make

    def deformable() -> Row:
        offset = real(1, 18, 64, 64)
        arrays = [real(1, 64, 64, 64), offset, real(64, 64, 3, 3)]
        needs = ("x", "offset", "weight")
        return Row(ns.deform_conv2d, arrays, {"padding": 1},
                   lambda x, o, w: tv.deform_conv2d(x, o, w, padding=1), needs)  # fmt: skip

    big = (4, 64, 128, 128)
    return {
        "conv_transpose 2x2/2 256>128 @32": transposed(1, 256, 128, 2, 2, 32),
        "conv_transpose 4x4/2 21>21 @32": transposed(1, 21, 21, 4, 2, 32),
        "conv_transpose 16x16/8 21>21 @32": transposed(1, 21, 21, 16, 8, 32),
        "conv_transpose 64x64/32 21>21 @16": transposed(1, 21, 21, 64, 32, 16),
        "conv_transpose 4x4/2 21>21 @32 bilinear": bilinear(4, 2, 32),
        "conv_transpose 16x16/8 21>21 @32 bilinear": bilinear(16, 8, 32),
        "conv_transpose 64x64/32 21>21 @16 bilinear": bilinear(64, 32, 16),
        "max_pool 2x2/2 4x64 @128": simple(
            ns.max_pool2d, big, lambda x: f.max_pool2d(x, 2, return_indices=True), kernel_size=2,
            return_indices=True),
        "max_pool 3x3/2 4x64 @128": simple(
            ns.max_pool2d, big, lambda x: f.max_pool2d(x, 3, 2, 1, return_indices=True),
            kernel_size=3, stride=2, padding=1, return_indices=True),
        "max_unpool 4x64 64>128": unpool,
        "avg_pool 3x3/2 256 @64": simple(
            ns.avg_pool2d, (1, 256, 64, 64), lambda x: f.avg_pool2d(x, 3, 2, 1), kernel_size=3,
            stride=2, padding=1),
        "bilinear x8 21 @64": simple(
            ns.upsample_bilinear2d, (1, 21, 64, 64),
            lambda x: f.interpolate(x, scale_factor=8, mode="bilinear"), scale_factor=8),
        "bilinear x4 256 @32": simple(
            ns.upsample_bilinear2d, (1, 256, 32, 32),
            lambda x: f.interpolate(x, scale_factor=4, mode="bilinear"), scale_factor=4),
        "bicubic x2 64 @64": simple(
            ns.upsample_bicubic2d, (1, 64, 64, 64),
            lambda x: f.interpolate(x, scale_factor=2, mode="bicubic"), scale_factor=2),
        "batch_norm training 4x64 @128": simple(
            ns.batch_norm, big, lambda x: f.batch_norm(x, None, None, training=True),
            training=True),
        "relu 4x64 @128": simple(ns.relu, big, f.relu),
        "cross_entropy 2x21 @512": cross_entropy,
        "roi_align sr 2, 512 x 256": regions(ns.roi_align, tv.roi_align, sampling_ratio=2),
        "roi_align adaptive, 512 x 256": regions(ns.roi_align, tv.roi_align, sampling_ratio=-1),
        "roi_pool 512 x 256": regions(ns.roi_pool, tv.roi_pool),
        "deform_conv 3x3 64>64 @64": deformable,
    }  # fmt: skip
