"""Tiles beside the whole image, to the last bit: ``python -m benchmarks.exact_tiles``.

P-Net has its trained weights ($NUMSEG_MODELS/pnet.pt), the others random ones whose layers all
count. Of each network so many random sizes of images, tiles and batches; the largest difference is
to be 0. It fails otherwise. ``--width`` is that of the others' layers, as a share of the published.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from numseg import nets, tiling
from numseg.graph import Graph, image_channels
from numseg.interop import weights
from numseg.tiling.cut import Cut

NETS: dict[str, Callable[[float], Graph]] = {
    "pnet": lambda share: nets.pnet(),
    "unet": lambda share: nets.unet(3, 4, width=_of(64, share), depth=4, padding="same"),
    "unet, valid": lambda share: nets.unet(1, 2, width=_of(64, share), depth=3, padding="valid"),
    "fcn8s": lambda share: nets.fcn8s(3, 21, width=_of(64, share)),
    "deeplabv2_vgg16": lambda share: nets.deeplabv2_vgg16(3, 21, width=_of(64, share)),
}


def _of(width: int, share: float) -> int:
    return max(round(width * share), 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("nets", nargs="*", choices=[*NETS, []], help="all by default")
    parser.add_argument("--sizes", type=int, default=20, help="of images (20)")
    parser.add_argument("--width", type=float, default=1 / 16, help="share of the layers' (1/16)")
    args = parser.parse_args()
    worst = 0.0
    for name in args.nets or NETS:
        graph = NETS[name](args.width)
        difference, told = compared(graph, parameters(name, graph), args.sizes)
        print(f"{name:<16} {told}: largest difference {difference:g}", flush=True)
        worst = max(worst, difference)
    raise SystemExit(int(worst != 0))


def parameters(name: str, graph: Graph) -> dict[str, Any]:
    if name == "pnet":
        path = Path(os.environ.get("NUMSEG_MODELS", "")) / "pnet.pt"
        return weights.match(graph, weights.load(path))
    rng, found = np.random.default_rng(0), graph.init(0)
    return {
        name: array + np.abs(rng.standard_normal(array.shape)).astype(array.dtype) / 64
        for name, array in found.items()
    }


def compared(graph: Graph, params: dict[str, Any], count: int) -> tuple[float, str]:
    """The largest difference, and of what."""
    rng, sizes, halos = np.random.default_rng(1), graph.legal_inputs(), tiling.halo(graph)
    worst, tiles, pixels = 0.0, 0, []
    for _ in range(count):
        h, w = (
            axis.from_on(halo.before + halo.after + int(rng.integers(2 * halo.step, 300)))
            for axis, halo in zip((sizes.rows, sizes.columns), halos, strict=True)
        )
        x = rng.random((1, image_channels(graph), h, w), np.float32)
        step = halos[0].step
        while len(found := Cut(graph, x.shape).tiles(tile := int(rng.integers(step, 250)))) < 2:
            pass
        tiles, pixels = tiles + len(found), [*pixels, h * w]
        whole = graph.run(params, x)
        tiled = tiling.run(graph, params, x, tile, int(rng.integers(1, 4)))
        both = zip(*(y if isinstance(y, tuple) else (y,) for y in (whole, tiled)), strict=True)
        for one, other in both:
            assert np.ptp(one) > 0
            worst = max(worst, float(np.abs(one.astype(np.float64) - other).max()))
            worst = worst if np.array_equal(one, other) else max(worst, np.inf)
    return worst, f"{count} images of {min(pixels)} to {max(pixels)} pixels, {tiles} tiles"


if __name__ == "__main__":
    main()
