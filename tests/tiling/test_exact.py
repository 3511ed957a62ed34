"""Tiles give the numbers of the whole image, to the last bit, or are refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numseg as ns
from numseg import ArgumentError, nets, tiling
from numseg.graph import Graph, image_channels
from numseg.interop import weights
from numseg.nets import blocks
from numseg.tiling.cut import Cut

NETS: dict[str, Any] = {
    "unet": lambda: nets.unet(3, 4, width=3, depth=2, padding="same", norm=True),
    "unet, bilinear": lambda: nets.unet(1, 3, width=2, depth=2, padding="same", up="bilinear"),
    "unet, valid": lambda: nets.unet(1, 3, width=2, depth=2, padding="valid"),
    "pnet": lambda: nets.pnet(),
    "fcn8s": lambda: nets.fcn8s(3, 4, width=1),
    "deeplabv2_vgg16": lambda: nets.deeplabv2_vgg16(3, 4, width=1),
}


def _params(graph: Graph, seed: int = 0) -> dict[str, Any]:
    """None of them zero or one, variances positive."""
    rng = np.random.default_rng(seed)
    found = graph.init(seed)
    return {
        name: array + np.abs(rng.standard_normal(array.shape)).astype(array.dtype) / 16
        for name, array in found.items()
    }


def _trained(graph: Graph) -> dict[str, Any]:
    """P-Net's own weights."""
    path = Path(os.environ.get("NUMSEG_MODELS", "")) / "pnet.pt"
    if not path.is_file():
        pytest.skip("needs $NUMSEG_MODELS/pnet.pt")
    return weights.match(graph, weights.load(path))


@pytest.mark.parametrize("name", [*NETS, "pnet, trained"])
def test_tiles_equal_the_whole_image(name: str) -> None:
    """Of random sizes, batches and tiles; one of each network whose halo is large."""
    graph, rng = NETS[name.split(", t")[0]](), np.random.default_rng(len(name))
    params = _trained(graph) if name.endswith("trained") else _params(graph)
    sizes = graph.legal_inputs()
    around = tiling.halo(graph)
    least = [halo.before + halo.after + 2 * halo.step for halo in around]
    small = max(least) < 64
    for _ in range(20 if name.startswith("pnet") else 5 if small else 1):
        h, w = (
            axis.from_on(
                n + (40 if small else 0) + int(rng.integers(halo.step, 3 * halo.step + 24))
            )
            for axis, n, halo in zip((sizes.rows, sizes.columns), least, around, strict=True)
        )
        x = rng.random((1, image_channels(graph), h, w), np.float32)
        tile = int(rng.integers(1, 2 * around[0].step + 16)) if small else max(h, w) // 2
        batch = int(rng.integers(1, 4))
        assert len(Cut(graph, x.shape).tiles(tile)) > 1
        whole, tiled = graph.run(params, x), tiling.run(graph, params, x, tile, batch)
        outputs = zip(*(y if isinstance(y, tuple) else (y,) for y in (whole, tiled)), strict=True)
        for one, other in outputs:
            assert np.ptp(one) > 0
            np.testing.assert_array_equal(other, one)


def test_several_images_and_files(tmp_path: Any) -> None:
    """Memory-mapped ones, of which tiles are read."""
    graph = NETS["unet"]()
    params, x = _params(graph), np.random.default_rng(0).random((2, 3, 88, 64), np.float32)
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.testing.assert_array_equal(tiling.run(graph, params, mapped, 16), graph.run(params, x))


def _net(make: Any) -> Graph:
    net = Graph.build()
    x = net.input("x")
    h = blocks.conv(net, "conv", x, 1, 2, 3, padding=1)
    return net.output(make(net, x, h))


def _gated(net: Any, x: Any, h: Any) -> Any:
    mean = net.add(ns.global_avg_pool2d, h, name="mean")
    return net.add(ns.multiply, h, mean, name="gate")


def _interpolated(net: Any, x: Any, h: Any) -> Any:
    pooled = net.add(ns.max_pool2d, h, 2, name="pool")
    return net.add(ns.upsample_bilinear2d, pooled, x.size, align_corners=True, name="up")


def _enlarged(net: Any, x: Any, h: Any) -> Any:
    """By a factor whose inverse is rounded: so are positions, each in its own way."""
    pooled = net.add(ns.max_pool2d, h, 3, name="pool")
    return net.add(ns.upsample_bilinear2d, pooled, scale_factor=3.0, name="up")


def _placed(net: Any, x: Any, h: Any) -> Any:
    return net.add(ns.spatial_features, h, net.param("widths", (2,), ns.graph.he_normal), name="at")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (
            _gated,
            r"mean \(global_avg_pool2d\) depends on the size of its map: a pixel measures 512",
        ),
        (_enlarged, r"up \(upsample_bilinear2d\) depends on where in the image a pixel lies"),
        (_placed, r"at \(spatial_features\) depends on where in the image a pixel lies"),
        (_interpolated, r"up \(upsample_bilinear2d\) depends on the size of its map"),
        (
            lambda net, x, h: net.add(ns.adaptive_avg_pool2d, h, 4, name="bins"),
            r"bins \(adaptive_avg_pool2d\) depends on the size of its map",
        ),
    ],
)
def test_what_cannot_be_cut_is_refused_by_name(make: Any, reason: str) -> None:
    graph = _net(make)
    with pytest.raises(tiling.Inexact, match=f"^{reason}") as caught:
        tiling.run(graph, graph.init(), np.zeros((1, 1, 64, 64), np.float32), 16)
    assert "\n" not in str(caught.value)
    with pytest.raises(ArgumentError, match=f"^{reason}"):
        tiling.halo(graph)


@pytest.mark.parametrize(("algorithm", "step"), [("winograd2", 4), ("winograd4", 8)])
def test_winograds_tiles_are_met(algorithm: str, step: int) -> None:
    """Its tiles are of 2 x 2 or 4 x 4 pixels, here of every second: ours begin where they do."""

    def halved(net: Any, x: Any, h: Any) -> Any:
        h = blocks.conv(net, "more", net.add(ns.max_pool2d, h, 2), 2, 2, 3, padding=1)
        return net.add(ns.upsample_nearest2d, h, scale_factor=2)

    graph = _net(halved).using(ns.conv2d, algorithm=algorithm)
    assert [halo.step for halo in tiling.halo(graph)] == [step, step]
    params, x = _params(graph), np.random.default_rng(5).random((1, 1, 90, 74), np.float32)
    for tile in (8, 13, 20):
        np.testing.assert_array_equal(tiling.run(graph, params, x, tile), graph.run(params, x))


def test_halo_and_step() -> None:
    """A 3 x 3 kernel reads one pixel around; after halving, two, from the first of two."""
    graph = _net(lambda net, x, h: h)
    assert tiling.halo(graph) == ((1, 1, 1), (1, 1, 1))

    def deeper(net: Any, x: Any, h: Any) -> Any:
        h = blocks.conv(net, "more", net.add(ns.max_pool2d, h, 2), 2, 2, 3, padding=1)
        return net.add(ns.upsample_nearest2d, h, scale_factor=2)

    # pixels 2 and 3 read pooled pixels 0 to 2, which are pixels 0 to 5, and one more around
    assert tiling.halo(_net(deeper)) == ((4, 4, 2), (4, 4, 2))


def test_a_tile_that_reads_too_little_is_found() -> None:
    """The proof, not the halo, is what says that tiles are exact."""
    from numseg.tiling import proof

    graph = NETS["unet"]()
    whole, part = graph.plans((1, 3, 128, 64)), graph.plans((1, 3, 64, 64))
    assert proof.check(graph, whole, part, 0, 32, range(64, 68)) == 32
    with pytest.raises(tiling.Inexact, match=r"of a tile's map are read, but it has"):
        proof.check(graph, whole, part, 0, 32, range(40, 68))
    with pytest.raises(tiling.Inexact, match=r"would begin at pixel 33/2 of its map$"):
        proof.check(graph, whole, part, 0, 33, range(64, 68))
    assert (
        proof.check(graph, whole, part, 0, 64, range(100, 128)) == 64
    )  # ends where the image does
