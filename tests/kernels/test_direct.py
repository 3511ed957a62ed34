"""Convolutions large enough to reach every path of the kernels: bit-exact on integers, for every
kind of vector, whatever the cut."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns
from numseg.kernels.conv import (
    choose,
    direct,
    packing,
    phase_by_phase,
    pixel_panels,
    weight_gradient,
    weight_gradient_small_images,
)
from numseg.kernels.conv.problem import Axis
from numseg.ops.conv2d import cpu

X = (2, 6, 9, 37)
CALLS = {
    "rows of vectors": (X, (17, 6, 3, 3), {"padding": 1}),
    "flat": ((1, 3, 20, 18), (9, 3, 3, 3), {"padding": 1}),
    "rows shorter than a vector": ((1, 5, 7, 5), (9, 5, 2, 3), {"padding": (0, 1, 2, 0)}),
    "a plain product": ((2, 7, 8, 12), (9, 7, 1, 1), {}),
    "a plain product of a prime number of pixels": ((1, 7, 1, 67), (9, 7, 1, 1), {}),
    "few filters": (X, (3, 6, 3, 2), {}),
    "one filter": (X, (1, 6, 3, 2), {}),
    "stride over the kernel": (X, (9, 6, 1, 2), {"stride": (2, 3)}),
    "stride under the kernel": ((1, 3, 15, 71), (9, 3, 5, 4), {"stride": (2, 2), "padding": 2}),
    "stride that divides the kernel": (
        (2, 6, 25, 41),
        (9, 2, 4, 4),
        {"stride": 2, "padding": 1, "groups": 3},
    ),
    "stride 4, uneven": ((1, 11, 21, 70), (5, 11, 7, 6), {"stride": 4, "padding": (3, 2, 5, 0)}),
    "stride 8": ((1, 3, 40, 90), (4, 3, 8, 16), {"stride": (4, 8), "padding": (2, 2, 4, 4)}),
    "more padding than stride": ((1, 5, 9, 37), (4, 5, 9, 9), {"stride": 2, "padding": 7}),
    "gaps that no tap meets": ((1, 9, 9, 37), (4, 9, 2, 1), {"stride": (3, 4), "padding": 1}),
    "stride along columns alone": (X, (5, 6, 3, 3), {"stride": (1, 3), "padding": 1}),
    "stride along rows alone": (X, (5, 6, 3, 3), {"stride": (3, 1), "padding": 1}),
    "stride, of many filters to few channels": (
        (1, 3, 20, 40),
        (24, 3, 7, 7),
        {"stride": 2, "padding": 3},
    ),
    "dilation": (X, (9, 6, 3, 3), {"padding": 4, "dilation": 4}),
    "more dilation than image": (X, (9, 6, 3, 3), {"padding": 12, "dilation": 12}),
    "stride and dilation": (X, (9, 6, 3, 3), {"stride": 4, "padding": 6, "dilation": 6}),
    "stride of a vector": ((2, 4, 40, 57), (6, 2, 7, 40), {"stride": (3, 17), "groups": 2}),
    "the same, padded": (
        (1, 3, 11, 70),
        (5, 3, 5, 40),
        {"stride": (5, 20), "padding": (2, 0, 9, 17)},
    ),
    "rows of taps that are vectors": (
        (2, 6, 20, 70),
        (10, 3, 7, 32),
        {"stride": (3, 16), "padding": (2, 5, 9, 0), "groups": 2},
    ),
    "more of them than a panel holds": ((1, 2, 60, 64), (3, 2, 54, 32), {"stride": (5, 32)}),
    "and few, of many channels": ((1, 9, 6, 90), (80, 9, 1, 16), {"stride": (1, 8), "padding": 3}),
    "and gaps between them": ((1, 5, 20, 90), (3, 5, 2, 16), {"stride": (4, 20)}),
    "the same, with gaps": ((1, 3, 9, 70), (5, 3, 2, 3), {"stride": (4, 20), "padding": 1}),
    "groups": (X, (9, 2, 3, 3), {"padding": 1, "groups": 3}),
    "depthwise, whole vectors": ((2, 3, 9, 32), (3, 1, 3, 3), {"padding": 1, "groups": 3}),
    "depthwise": (X, (12, 1, 4, 3), {"padding": 2, "dilation": (2, 1), "groups": 6}),
    "depthwise, rows apart": (
        (2, 3, 11, 40),
        (6, 1, 3, 3),
        {"padding": 2, "dilation": 2, "groups": 3},
    ),
    "depthwise, rows further apart than blocks": (
        (1, 2, 23, 35),
        (4, 1, 3, 3),
        {"padding": (5, 3, 0, 9), "dilation": (4, 3), "groups": 2},
    ),
    "depthwise, bands": ((2, 2, 100, 70), (2, 1, 3, 3), {"padding": 1, "groups": 2}),
    "depthwise, more padding than taps": (
        (1, 3, 8, 20),
        (3, 1, 3, 3),
        {"padding": (4, 0, 3, 2), "groups": 3},
    ),
    "depthwise, an image in the padding": (
        (1, 1, 2, 3),
        (1, 1, 3, 3),
        {"padding": (9, 3, 40, 5), "dilation": 2},
    ),
    "depthwise, few rows": ((1, 3, 3, 33), (3, 1, 3, 3), {"padding": 1, "groups": 3}),
    "groups of few filters": (
        (2, 24, 7, 32),
        (56, 3, 3, 3),
        {"padding": 1, "groups": 8},
    ),
    "groups of few filters, rows cut": (
        (2, 16, 11, 39),
        (40, 2, 3, 2),
        {"padding": 2, "stride": (2, 1), "dilation": (3, 2), "groups": 8},
    ),
    "depthwise with stride": (X, (6, 1, 3, 3), {"padding": 1, "stride": 2, "groups": 6}),
}


BY_PANELS = {
    "tiles across rows, and a last one of each length": (
        (2, 5, 9, 7),
        (40, 5, 3, 3),
        {"padding": 1},
    ),
    "a plain product of several blocks": ((1, 330, 7, 7), (20, 330, 1, 1), {}),
    "a plain product with a stride": ((2, 6, 9, 31), (32, 6, 1, 1), {"stride": 2}),
    "blocks of channels, the last one smaller": ((1, 37, 6, 11), (64, 37, 3, 3), {"padding": 1}),
    "uneven stride and padding": (
        (2, 4, 25, 36),
        (48, 4, 3, 5),
        {"stride": (2, 3), "padding": (2, 3, 0, 1)},
    ),
    "groups, dilated, filters that end within a tile": (
        (2, 24, 15, 17),
        (70, 12, 2, 3),
        {"dilation": (2, 3), "padding": 3, "groups": 2},
    ),
    "more dilation than image, of panels": (
        (1, 20, 7, 33),
        (33, 20, 3, 3),
        {"dilation": 9, "padding": 9},
    ),
    "stride and dilation, of panels": (
        (1, 3, 30, 29),
        (35, 3, 3, 3),
        {"stride": 4, "padding": 6, "dilation": 6},
    ),
    "rows of which there is no room for many channels": (
        (1, 3, 2, 40_000),
        (32, 3, 3, 1),
        {"padding": (1, 0)},
    ),
}
"""Filters enough for pixel_panels.py."""


SMALL = {
    "small images, stride 2": ((2, 40, 5, 4), (64, 40, 3, 3), {"stride": 2, "padding": 1}),
    "small images, phases that no tap meets": (
        (1, 33, 9, 8),
        (40, 33, 3, 3),
        {"stride": 2, "dilation": 2, "padding": (3, 1)},
    ),
    "small images, dilated beyond their size": (
        (2, 35, 3, 4),
        (40, 35, 3, 3),
        {"stride": (3, 2), "dilation": (5, 1), "padding": 5},
    ),
    "one small image of a plain product": ((1, 40, 5, 5), (64, 40, 1, 1), {}),
    "a plain product of many weights": ((1, 512, 16, 17), (512, 512, 1, 1), {}),
}
"""Whose gradients are products of matrices, and phases apart."""


@pytest.mark.parametrize("call", BY_PANELS | SMALL)
def test_the_kernels_that_are_meant_are_chosen(call):
    x, w, params = (BY_PANELS | SMALL)[call]
    p = cpu._problem(ns.conv2d.plan(np.empty(x), np.empty(w), **params).geometry, 4)
    assert choose.chosen(choose.FORWARD, p).plan is pixel_panels.forward
    if call in SMALL:
        gradient = choose.chosen(choose.WEIGHT_GRADIENT, p)
        assert gradient.plan is weight_gradient_small_images.weight_gradient
        assert phase_by_phase.suits_apart(p) == ("stride" in params)


@pytest.mark.parametrize("call", BY_PANELS)
def test_bits_do_not_depend_on_runs_and_chunks_of_panels(call, monkeypatch):
    x_shape, w_shape, params = BY_PANELS[call]
    rng = np.random.default_rng(2)
    x, w, b = (rng.standard_normal(shape) for shape in (x_shape, w_shape, w_shape[:1]))
    seen, cuts, planned = set(), set(), pixel_panels._cut
    for cut in planned, lambda *args: (args[4], 8), lambda *args: (2 * args[4], 24):

        def kept(*args, cut=cut):
            found = cut(*args)
            cuts.add(found)
            return found

        monkeypatch.setattr(pixel_panels, "_cut", kept)
        forget()
        y = ns.conv2d(x, w, b, **params)
        after = (ns.add, "x", {"other": y}), (ns.relu, "x", {})
        chained = ns.conv2d.fused({"x": x, "weight": w, "bias": b, **params}, after)
        seen.add((y.tobytes(), chained.tobytes()))
        np.testing.assert_array_equal(chained, np.maximum(y + y, 0))
    forget()
    assert len(seen) == 1
    assert len(cuts) > 1


@pytest.mark.parametrize(
    ("channels", "filters", "taps", "dilation", "columns"),
    [(40, 32, 3, 24, 120), (20, 32, 3, 1, 1000), (20, 8, 3, 12, 200), (30, 40, 1, 1, 500)],
)
def test_a_piece_of_an_image_gets_the_numbers_of_the_whole(
    channels, filters, taps, dilation, columns
):
    """The order of a sum does not depend on the image's size, nor on where a pixel lies in it."""
    rng, pad = np.random.default_rng(4), dilation * (taps // 2)
    x = rng.standard_normal((1, channels, 2 * pad + 5, columns), np.float32)
    w = rng.standard_normal((filters, channels, taps, taps), np.float32)
    b = rng.standard_normal(filters, np.float32)
    whole = ns.conv2d(x, w, b, padding=pad, dilation=dilation)
    for first, last in ((0, 2 * pad + 7), (columns // 3, columns // 2 + 2 * pad), (7, columns)):
        piece = ns.conv2d(x[..., first:last], w, b, padding=pad, dilation=dilation)
        kept = slice(first + pad if first else 0, last - pad if last < columns else columns)
        here = piece[..., kept.start - first : kept.stop - first]
        np.testing.assert_array_equal(here, whole[..., kept])


@pytest.mark.parametrize("params", [{"padding": 1}, {"stride": 2, "dilation": 2, "groups": 2}])
def test_weight_gradients_do_not_depend_on_blocks_chunks_and_bands(params, monkeypatch):
    """The last block and the last chunk are shorter than the others."""
    groups = params.get("groups", 1)
    x, w = integers((1, 5 * groups, 11, 16), 0, float), integers((140 * groups, 5, 3, 3), 1, float)
    y, saved = ns.conv2d.forward(x, w, **params)
    gy = integers(y.shape, 3, float)
    expected = ns.conv2d.reference.backward(ns.conv2d.reference.forward(x, w, **params)[1], gy)[1]
    planned = weight_gradient._cut
    for cut in (
        planned,
        lambda p, vector, longest, share: (2, vector, 3),
        lambda p, vector, longest, share: (5, 2 * vector, 1),
    ):
        monkeypatch.setattr(weight_gradient, "_cut", cut)
        forget()
        np.testing.assert_array_equal(ns.conv2d.backward(saved, gy)[1], expected)
        p = cpu._problem(ns.conv2d.plan(x, w, **params).geometry, 8)
        work = weight_gradient._plan(p)[0]
        assert work.slices == 1
        assert cut is planned or (work.chunks > 1 and work.blocks * work.bands > 1)
    forget()


def test_bands_of_columns_are_exact(monkeypatch):
    """Rows that end within a tile, strides that take columns apart, padding on either side."""
    monkeypatch.setattr(pixel_panels, "BLOCK_BYTES", 10_000)
    for params in ({"padding": 2, "dilation": 2}, {"stride": 2, "padding": 1}, {"stride": (1, 3)}):
        x, w, b = integers((2, 5, 9, 160), 0, float), integers((33, 5, 3, 3), 1, float), None
        p = cpu._problem(ns.conv2d.plan(x, w, **params).geometry, 8)
        assert pixel_panels._plan(p)[0].bands > 1
        forget()
        y = ns.conv2d(x, w, b, **params)
        np.testing.assert_array_equal(y, ns.conv2d.reference(x, w, b, **params))
        after = (ns.relu, "x", {})
        chained = ns.conv2d.fused({"x": x, "weight": w, "bias": b, **params}, (after,))
        np.testing.assert_array_equal(chained, np.maximum(y, 0))
    forget()


def forget():
    """What was chosen and planned."""
    for chosen in (cpu._forward, cpu._grad_x, cpu._grad_w, cpu.prepare):
        chosen.cache_clear()


def integers(shape, seed, dtype):
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("call", CALLS | BY_PANELS | SMALL)
def test_every_path_is_exact(call, dtype):
    x_shape, w_shape, params = (CALLS | BY_PANELS | SMALL)[call]
    x, w, b = (integers(s, i, dtype) for i, s in enumerate((x_shape, w_shape, w_shape[:1])))
    y, saved = ns.conv2d.forward(x, w, b, **params)
    expected, by_definition = ns.conv2d.reference.forward(x, w, b, **params)
    np.testing.assert_array_equal(y, expected)
    gy = integers(y.shape, 3, dtype)
    for got, want in zip(
        ns.conv2d.backward(saved, gy), ns.conv2d.reference.backward(by_definition, gy), strict=True
    ):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("columns", [32, 35])
def test_no_pixel_but_its_own_reaches_a_depthwise_gradient(columns):
    """Where rows are not whole vectors, vectors overlap: infinity times nothing would be NaN."""
    x, w = np.ones((1, 1, 9, columns), np.float32), np.ones((1, 1, 3, 3), np.float32)
    x[0, 0, 4] = np.inf
    y, saved = ns.conv2d.forward(x, w, padding=(0, 1))
    _, gw, _ = ns.conv2d.backward(saved, np.ones_like(y))
    assert np.isposinf(gw).all()
    gy = np.ones_like(y)
    gy[0, 0, 0] = np.inf  # with 1 in each row that it meets, and 0 in the padding
    x[0, 0, 4] = 1
    _, gw, _ = ns.conv2d.backward(ns.conv2d.forward(x, w, padding=(0, 1))[1], gy)
    assert np.isposinf(gw[..., 1]).all()


@pytest.mark.parametrize("filters", [24, 40])
def test_bits_do_not_depend_on_threads_nor_on_the_cut(filters, monkeypatch):
    """Bands of all heights add up the same products in the same order."""
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal((1, 16, 40, 40)), rng.standard_normal((filters, 16, 3, 3))
    seen = set()
    for threads in (1, 2, 3):
        with ns.num_threads(threads):
            y, saved = ns.conv2d.forward(x, w, padding=1)
            grads = ns.conv2d.backward(saved, y, needs=["x", "weight"])
            seen.add((y.tobytes(), grads[0].tobytes(), grads[1].tobytes()))
    assert len(seen) == 1
    for size in (10_000, 100_000):
        monkeypatch.setattr(direct, "SCRATCH_BYTES", size)
        forget()
        again, saved = ns.conv2d.forward(x, w, padding=1)
        assert again.tobytes() == y.tobytes()
    forget()


def test_the_scratch_of_a_band_stays_in_the_cache():
    rows = Axis(size=56, outputs=56, taps=3, stride=1, dilation=1, pad=1)
    scratch = packing.layout(rows, rows, channels=64, band=10, itemsize=4)
    assert (scratch.rows, scratch.width) == (12, 58)  # a row above and below, a column each side


@pytest.mark.parametrize(
    ("stride", "dilation", "taps"), [(1, 3, 4), (2, 1, 3), (4, 6, 3), (3, 1, 2)]
)
def test_offsets_lead_to_the_pixels_of_the_definition(stride, dilation, taps):
    size, pad = 31, 2
    outputs = (size + 2 * pad - dilation * (taps - 1) - 1) // stride + 1
    axis = Axis(size, outputs, taps, stride, dilation, pad)
    whole = -(-outputs // packing.residue_classes(axis))
    scratch = packing.layout(axis, axis, 1, whole, 8)
    image = 1.0 + np.arange(size * size).reshape(size, size)
    padded = np.pad(image, [(pad, pad + 99)] * 2)
    offsets = packing.tap_offsets(scratch, axis, axis, 1)[:, 0]
    for residue in range(scratch.residues):
        cells = packing.scratch_for(scratch, image)
        packing.pack(cells, image.reshape(-1), 1, residue, 0, scratch)
        for t, u in enumerate(range(residue, outputs, scratch.residues)):
            for v in range(outputs):
                here = cells[t * scratch.width + v + offsets]
                at = np.ix_(
                    u * stride + dilation * np.arange(taps), v * stride + dilation * np.arange(taps)
                )
                np.testing.assert_array_equal(here, padded[at])
