"""conv2d beside im2col and NumPy's matmul, and beside PyTorch where it is installed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import numseg as ns
from numseg.bench.timing import Call, Case

ROWS: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "3x3 64>64 @128": ((1, 64, 128, 128), (64, 64, 3, 3), {"padding": 1}),
    "3x3 256>256 @32": ((1, 256, 32, 32), (256, 256, 3, 3), {"padding": 1}),
    "3x3 512>512 @16": ((1, 512, 16, 16), (512, 512, 3, 3), {"padding": 1}),
    "3x3 64>64 @56 batch 8": ((8, 64, 56, 56), (64, 64, 3, 3), {"padding": 1}),
    "3x3 3>64 @256": ((1, 3, 256, 256), (64, 3, 3, 3), {"padding": 1}),
    "3x3 dilation 2 256>256 @32": (
        (1, 256, 32, 32),
        (256, 256, 3, 3),
        {"padding": 2, "dilation": 2},
    ),
    "3x3 dilation 12 256>256 @32": (
        (1, 256, 32, 32),
        (256, 256, 3, 3),
        {"padding": 12, "dilation": 12},
    ),
    "3x3 stride 2 64>128 @128": ((1, 64, 128, 128), (128, 64, 3, 3), {"padding": 1, "stride": 2}),
    "7x7 stride 2 3>64 @224": ((1, 3, 224, 224), (64, 3, 7, 7), {"padding": 3, "stride": 2}),
    "1x1 256>64 @64": ((1, 256, 64, 64), (64, 256, 1, 1), {}),
    "depthwise 3x3 256 @64": ((1, 256, 64, 64), (256, 1, 3, 3), {"padding": 1, "groups": 256}),
    "depthwise 3x3 dilation 2 256 @64": (
        (1, 256, 64, 64),
        (256, 1, 3, 3),
        {"padding": 2, "dilation": 2, "groups": 256},
    ),
    "groups 32 3x3 256>256 @32": ((1, 256, 32, 32), (256, 8, 3, 3), {"padding": 1, "groups": 32}),
}

ROWS |= {
    f"{name} winograd4": (x, w, {**params, "algorithm": "winograd4"})
    for name, (x, w, params) in list(ROWS.items())[:4]
}


def cases(only: str = "", prefix: str = "") -> Iterator[Case]:
    """Forward, and forward and backward, of every row whose name, behind ``prefix``, contains
    ``only``.

    Contenders are compared with each other first: a fast wrong answer would be worth nothing.
    """
    rng = np.random.default_rng(0)
    for name, (x_shape, w_shape, params) in ROWS.items():
        row = prefix + name
        if only not in row:
            continue
        x, w, b = (rng.standard_normal(s, np.float32) for s in (x_shape, w_shape, w_shape[:1]))
        gy = rng.standard_normal(ns.conv2d.output_shape(x_shape, w_shape, **params), np.float32)
        common = {name: value for name, value in params.items() if name != "algorithm"}
        contenders = {
            "numseg": _numseg(x, w, b, gy, params),
            "numpy": _numpy(x, w, b, gy, **common),
        }
        if (torch := _torch(x, w, b, gy, **common)) is not None:
            contenders["torch"] = torch
        forward = {name: pair[0] for name, pair in contenders.items()}
        both = {name: pair[1] for name, pair in contenders.items()}
        _agree(row, forward)
        _agree(row, both)
        flops, size = ns.conv2d.cost(x_shape, w_shape, w_shape[:1], **params)
        yield Case(row, "forward", forward, flops, size)
        yield Case(row, "forward and backward", both, 3 * flops, 3 * size)


def _agree(row: str, calls: dict[str, Call]) -> None:
    expected = calls["numseg"]()
    for name, call in calls.items():
        for got, want in zip(call(), expected, strict=True):
            scale = float(np.abs(want).max())
            np.testing.assert_allclose(
                np.asarray(got), want, rtol=0, atol=1e-4 * scale, err_msg=f"{row}: {name}"
            )


def _numseg(x: Any, w: Any, b: Any, gy: Any, params: dict[str, Any]) -> tuple[Call, Call]:
    def forward() -> Any:
        return (ns.conv2d(x, w, b, **params),)

    def both() -> Any:
        y, saved = ns.conv2d.forward(x, w, b, **params)
        return (y, *ns.conv2d.backward(saved, gy))

    return forward, both


def _numpy(
    x: Any, w: Any, b: Any, gy: Any,
    stride: int = 1, padding: int = 0, dilation: int = 1, groups: int = 1,
) -> tuple[Call, Call]:  # fmt: skip
    """Im2col and matmul, written as well as NumPy allows; backward has forward's columns."""
    n, c, h, width = x.shape
    f, cg, kh, kw = w.shape
    _, _, oh, ow = gy.shape
    filters = w.reshape(groups, f // groups, cg * kh * kw)
    plain = kh == kw == stride == 1 and padding == 0

    def columns() -> Any:
        if plain:
            return x.reshape(n, groups, cg, h * width)
        padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
        window = dilation * (kh - 1) + 1, dilation * (kw - 1) + 1
        taps = np.lib.stride_tricks.sliding_window_view(padded, window, (2, 3))
        taps = taps[:, :, ::stride, ::stride, ::dilation, ::dilation]
        return taps.transpose(0, 1, 4, 5, 2, 3).reshape(n, groups, cg * kh * kw, oh * ow)

    def value(cols: Any) -> Any:
        y = np.matmul(filters, cols).reshape(n, f, oh, ow)
        y += b[:, None, None]
        return y

    def both() -> Any:
        cols = columns()
        y = value(cols)
        grads = gy.reshape(n, groups, f // groups, oh * ow)
        gw = np.matmul(grads, cols.swapaxes(2, 3)).sum(0).reshape(w.shape)
        gcols = np.matmul(filters.swapaxes(1, 2), grads)
        if plain:
            return y, gcols.reshape(x.shape), gw, gy.sum((0, 2, 3))
        gcols = gcols.reshape(n, c, kh, kw, oh, ow)
        padded = np.zeros((n, c, h + 2 * padding, width + 2 * padding), x.dtype)
        for i in range(kh):
            for j in range(kw):
                rows = slice(i * dilation, i * dilation + stride * (oh - 1) + 1, stride)
                places = slice(j * dilation, j * dilation + stride * (ow - 1) + 1, stride)
                padded[:, :, rows, places] += gcols[:, :, i, j]
        gx = padded[:, :, padding : padding + h, padding : padding + width]
        return y, gx, gw, gy.sum((0, 2, 3))

    return lambda: (value(columns()),), both


def _torch(
    x: Any, w: Any, b: Any, gy: Any,
    stride: int = 1, padding: int = 0, dilation: int = 1, groups: int = 1,
) -> tuple[Call, Call] | None:  # fmt: skip
    try:
        import torch
    except ImportError:
        return None
    tx, tw, tb, tgy = map(torch.from_numpy, (x, w, b, gy))

    def forward() -> Any:
        with torch.no_grad():
            y = torch.nn.functional.conv2d(tx, tw, tb, stride, padding, dilation, groups)
            return (y.numpy(),)

    def both() -> Any:
        (y,) = forward()
        grads = torch.ops.aten.convolution_backward(
            tgy, tx, tw, [len(b)], [stride] * 2, [padding] * 2, [dilation] * 2,
            False, [0, 0], groups, [True] * 3,
        )  # fmt: skip
        return (y, *(g.numpy() for g in grads))

    return forward, both
