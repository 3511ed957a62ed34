"""Every other operator of the U-Net slice beside its obvious NumPy formulation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import numseg as ns
from numseg.bench.timing import Call, Case

Twin = Callable[..., tuple[Any, Callable[[Any], tuple[Any, ...]]]]
"""NumPy's value, and the function that makes gradients of the value's gradient."""


def cases(only: str = "") -> Iterator[Case]:
    """Forward, and forward and backward, of every row whose name contains ``only``.

    Contenders are compared with each other first: a fast wrong answer would be worth nothing.
    """
    for row, (op, twin, arrays, params, tell) in _rows().items():
        if only not in row:
            continue
        y, saved = op.forward(*arrays, **params)
        first = y[0] if isinstance(y, tuple) else y
        gy = np.random.default_rng(1).standard_normal(first.shape).astype(first.dtype)
        told = {name: params[name] for name in tell}
        _agree(row, [first, *op.backward(saved, gy)], twin, arrays, told, gy)

        def forward(op: Any = op, arrays: Any = arrays, params: Any = params) -> Any:
            return op(*arrays, **params)

        def both(op: Any = op, arrays: Any = arrays, params: Any = params, gy: Any = gy) -> Any:
            y, saved = op.forward(*arrays, **params)
            return y, op.backward(saved, gy)

        def numpy(twin: Any = twin, arrays: Any = arrays, told: Any = told) -> Any:
            return twin(*arrays, **told)[0]

        def numpy_both(
            twin: Any = twin, arrays: Any = arrays, told: Any = told, gy: Any = gy
        ) -> Any:
            y, backward = twin(*arrays, **told)
            return y, backward(gy)

        flops, size = op.cost(*arrays, **params)
        yield Case(row, "forward", {"numseg": forward, "numpy": numpy}, flops, size)
        pair: dict[str, Call] = {"numseg": both, "numpy": numpy_both}
        yield Case(row, "forward and backward", pair, 2 * flops, 2 * size)


def _agree(row: str, ours: Any, twin: Twin, arrays: Any, params: Any, gy: Any) -> None:
    value, gradients = twin(*arrays, **params)
    theirs = [value, *gradients(gy)]
    for got, want in zip([a for a in ours if a is not None], theirs, strict=True):
        scale = max(float(np.abs(want).max()), 1e-30)
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-4 * scale, err_msg=row)


def _rows() -> dict[str, tuple[Any, Twin, Any, dict[str, Any], tuple[str, ...]]]:
    """Row: operator, NumPy's twin, arrays, parameters, and those of them that the twin is told."""
    rng = np.random.default_rng(0)

    def real(*shape: int) -> Any:
        return rng.standard_normal(shape, np.float32)

    x, small = real(4, 64, 128, 128), real(4, 64, 64, 64)
    pooled, indices = ns.max_pool2d(x, 2, return_indices=True)
    labels = rng.integers(0, 21, (2, 512, 512))
    logits = real(2, 21, 512, 512)
    window = {"kernel_size": 3, "stride": 2, "padding": 1}
    return {
        "max_pool2d 2x2/2 4x64@128": (ns.max_pool2d, _max_pool, [x], {"kernel_size": 2}, ()),
        "max_unpool2d 4x64 64>128": (
            ns.max_unpool2d, _max_unpool, [pooled, indices], {"kernel_size": 2}, (),
        ),
        "avg_pool2d 2x2/2 4x64@128": (ns.avg_pool2d, _avg_pool, [x], {"kernel_size": 2}, ()),
        "relu 4x64@128": (ns.relu, _relu, [x], {}, ()),
        "sigmoid 4x64@128": (ns.sigmoid, _sigmoid, [x], {}, ()),
        "softmax 2x21@512": (ns.softmax, _softmax, [logits], {}, ()),
        "batch_norm training 4x64@128": (ns.batch_norm, _batch_norm, [x], {"training": True}, ()),
        "cross_entropy 2x21@512": (ns.cross_entropy, _cross_entropy, [logits, labels], {}, ()),
        "nearest x2 4x64@64": (ns.upsample_nearest2d, _nearest, [small], {"scale_factor": 2}, ()),
        "bilinear x2 4x64@64": (ns.upsample_bilinear2d, _bilinear, [small],
                                {"scale_factor": 2}, ()),
        "bed_of_nails2d 2 4x64@64": (ns.bed_of_nails2d, _nails, [small], {"stride": 2}, ()),
        "pad 1 4x64@128": (ns.pad, _pad, [x], {"padding": 1}, ()),
        "center_crop 96 4x64@128": (ns.center_crop, _crop, [x], {"output_size": 96}, ()),
        "concat 2 4x64@128": (ns.concat, _concat, [[x, x]], {}, ()),
        "add 4x64@128": (ns.add, _add, [x, x], {}, ()),
        "im2col 3x3/2 64@128": (ns.im2col, _im2col, [x[:1]], window, ()),
        "linear 512x1024>1024": (ns.linear, _linear, [real(512, 1024), real(1024, 1024)], {}, ()),
        "conv_transpose2d 2x2/2 256>128@32": (
            ns.conv_transpose2d, _transposed, [real(1, 256, 32, 32), real(256, 128, 2, 2)],
            {"stride": 2}, ("stride",),
        ),
        "conv_transpose2d 4x4/2 21>21@32": (
            ns.conv_transpose2d, _transposed, [real(1, 21, 32, 32), real(21, 21, 4, 4)],
            {"stride": 2}, ("stride",),
        ),
        "conv_transpose2d 16x16/8 21>21@32": (
            ns.conv_transpose2d, _transposed, [real(1, 21, 32, 32), real(21, 21, 16, 16)],
            {"stride": 8}, ("stride",),
        ),
        "conv_transpose2d 64x64/32 21>21@16": (
            ns.conv_transpose2d, _transposed, [real(1, 21, 16, 16), real(21, 21, 64, 64)],
            {"stride": 32}, ("stride",),
        ),
    }  # fmt: skip


def _cells(x: Any) -> Any:
    """(n, c, h/2, w/2, 4): the four pixels of each cell."""
    n, c, h, w = x.shape
    return x.reshape(n, c, h // 2, 2, w // 2, 2).swapaxes(3, 4).reshape(n, c, h // 2, w // 2, 4)


def _from_cells(cells: Any) -> Any:
    n, c, h, w, _ = cells.shape
    return cells.reshape(n, c, h, w, 2, 2).swapaxes(3, 4).reshape(n, c, 2 * h, 2 * w)


def _max_pool(x: Any) -> Any:
    cells = _cells(x)
    winner = cells.argmax(-1)[..., None]

    def backward(gy: Any) -> Any:
        spread = np.zeros_like(cells)
        np.put_along_axis(spread, winner, gy[..., None], -1)
        return (_from_cells(spread),)

    return np.take_along_axis(cells, winner, -1)[..., 0], backward


def _max_unpool(y: Any, indices: Any) -> Any:
    n, c, h, w = y.shape
    out = np.zeros((n, c, 4 * h * w), y.dtype)
    places = indices.reshape(n, c, -1)
    np.put_along_axis(out, places, y.reshape(n, c, -1), -1)

    def backward(gy: Any) -> Any:
        return (np.take_along_axis(gy.reshape(n, c, -1), places, -1).reshape(y.shape),)

    return out.reshape(n, c, 2 * h, 2 * w), backward


def _avg_pool(x: Any) -> Any:
    n, c, h, w = x.shape
    y = x.reshape(n, c, h // 2, 2, w // 2, 2).mean((3, 5))
    return y, lambda gy: (_repeat(gy / 4),)


def _repeat(x: Any) -> Any:
    return x.repeat(2, 2).repeat(2, 3)


def _nearest(x: Any) -> Any:
    n, c, h, w = x.shape
    return _repeat(x), lambda gy: (gy.reshape(n, c, h, 2, w, 2).sum((3, 5)),)


def _bilinear(x: Any) -> Any:
    """Rows, then columns: each a product with the matrix of weights."""
    rows, columns = (_weights(size).astype(x.dtype) for size in x.shape[2:])
    y = np.matmul(np.matmul(rows, x), columns.T)
    return y, lambda gy: (np.matmul(np.matmul(rows.T, gy), columns),)


def _weights(size: int) -> Any:
    source = np.maximum((np.arange(2 * size) + 0.5) / 2 - 0.5, 0)
    low = source.astype(int)
    weights = np.zeros((2 * size, size))
    places = np.arange(2 * size)
    np.add.at(weights, (places, low), 1 - (source - low))
    np.add.at(weights, (places, np.minimum(low + 1, size - 1)), source - low)
    return weights


def _nails(x: Any) -> Any:
    n, c, h, w = x.shape
    y = np.zeros((n, c, 2 * h, 2 * w), x.dtype)
    y[:, :, ::2, ::2] = x
    return y, lambda gy: (gy[:, :, ::2, ::2].copy(),)


def _relu(x: Any) -> Any:
    return np.maximum(x, 0), lambda gy: (np.where(x > 0, gy, np.float32(0)),)


def _sigmoid(x: Any) -> Any:
    y = 1 / (1 + np.exp(-x))
    return y, lambda gy: (gy * y * (1 - y),)


def _softmax(x: Any) -> Any:
    y = np.exp(x - x.max(1, keepdims=True))
    y /= y.sum(1, keepdims=True)
    return y, lambda gy: (y * (gy - (gy * y).sum(1, keepdims=True)),)


def _batch_norm(x: Any) -> Any:
    axes = (0, 2, 3)
    mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    rstd = 1 / np.sqrt(var + np.float32(1e-5))
    y = (x - mean) * rstd

    def backward(gy: Any) -> Any:
        slope = (gy * y).mean(axes, keepdims=True)
        return ((gy - gy.mean(axes, keepdims=True) - y * slope) * rstd,)

    return y, backward


def _cross_entropy(x: Any, target: Any) -> Any:
    shifted = x - x.max(1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    chosen = np.take_along_axis(logs, target[:, None], 1)

    def backward(gy: Any) -> Any:
        grad = np.exp(logs)
        at = np.take_along_axis(grad, target[:, None], 1)
        np.put_along_axis(grad, target[:, None], at - 1, 1)
        grad *= gy / np.float32(target.size)
        return (grad,)

    return -chosen.mean(dtype=np.float64), backward


def _pad(x: Any) -> Any:
    sides = ((0, 0), (0, 0), (1, 1), (1, 1))
    return np.pad(x, sides), lambda gy: (gy[:, :, 1:-1, 1:-1].copy(),)


def _crop(x: Any) -> Any:
    def backward(gy: Any) -> Any:
        gx = np.zeros_like(x)
        gx[:, :, 16:112, 16:112] = gy
        return (gx,)

    return x[:, :, 16:112, 16:112].copy(), backward


def _concat(xs: Any) -> Any:
    half = xs[0].shape[1]
    return np.concatenate(xs, 1), lambda gy: (gy[:, :half].copy(), gy[:, half:].copy())


def _add(x: Any, y: Any) -> Any:
    return x + y, lambda gy: (gy.copy(), gy.copy())


def _im2col(x: Any) -> Any:
    n, c, h, w = x.shape
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    taps = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))[:, :, ::2, ::2]
    oh, ow = taps.shape[2:4]

    def backward(gy: Any) -> Any:
        gy = gy.reshape(n, c, 3, 3, oh, ow)
        out = np.zeros_like(padded)
        for i in range(3):
            for j in range(3):
                out[:, :, i : i + 2 * oh : 2, j : j + 2 * ow : 2] += gy[:, :, i, j]
        return (out[:, :, 1 : 1 + h, 1 : 1 + w],)

    return taps.transpose(0, 1, 4, 5, 2, 3).reshape(n, c * 9, oh * ow), backward


def _linear(x: Any, w: Any) -> Any:
    return x @ w.T, lambda gy: (gy @ w, gy.T @ x)


def _transposed(x: Any, w: Any, stride: int) -> Any:
    """matmul to columns, then col2im; backward im2col, then matmul."""
    n, c, h, width = x.shape
    _, f, k, _ = w.shape
    filters, pixels = w.reshape(c, f * k * k), x.reshape(n, c, h * width)
    columns = np.matmul(filters.T, pixels).reshape(n, f, k, k, h, width)
    y = np.zeros((n, f, stride * (h - 1) + k, stride * (width - 1) + k), x.dtype)
    spans = stride * (h - 1) + 1, stride * (width - 1) + 1
    for i in range(k):
        for j in range(k):
            y[:, :, i : i + spans[0] : stride, j : j + spans[1] : stride] += columns[:, :, i, j]

    def backward(gy: Any) -> Any:
        taps = np.lib.stride_tricks.sliding_window_view(gy, (k, k), (2, 3))
        taps = taps[:, :, ::stride, ::stride].transpose(0, 1, 4, 5, 2, 3)
        cols = taps.reshape(n, f * k * k, h * width)
        gw = np.matmul(pixels, cols.swapaxes(1, 2)).sum(0).reshape(w.shape)
        return np.matmul(filters, cols).reshape(x.shape), gw

    return y, backward
