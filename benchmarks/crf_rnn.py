"""What a CRF that is trained behind a network adds: ``python -m benchmarks.crf_rnn``.

A small network of stride 4, whose scores are upsampled, is trained on generated scenes. From there
it is trained further, once as it is and once with a CRF behind it (CRF-as-RNN: compatibilities and
kernel widths are learned), by the same recipe on the same pictures. Printed is the mean IoU of both
on scenes that neither has seen, and what was learned. Everything follows from the seed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

import numseg as ns
from numseg.crf import Settings, Term
from numseg.data import Dataset, scenes
from numseg.graph import Graph
from numseg.nets import blocks
from numseg.nets.crf import with_crf
from numseg.training import Recipe, Sampling, evaluate, scores, train

CLASSES, WIDTH = 8, 12
START = Settings((Term(1, 2), Term(2, 12, 12)), iterations=5, normalization="after")
"""Of scenes of 64 pixels: published settings are of pictures of 500."""


def network() -> Graph:
    """Four convolutions, the first two of which have a stride of 2; scores upsampled by 4."""
    net = Graph.build()
    x = h = blocks.image(net, 3)
    channels = 3
    for number, stride in enumerate((2, 2, 1, 1), 1):
        filters = WIDTH * min(2 ** (number - 1), 4)
        h = blocks.conv(
            net, f"conv{number}", h, channels, filters, 3, stride=stride, padding=1,
            norm="batch_norm", activation="relu",
        )  # fmt: skip
        channels = filters
    h = blocks.conv(net, "score", h, channels, CLASSES, 1)
    return net.output(net.add(ns.upsample_bilinear2d, h, x.size, name="upscore"))


def recipe(epochs: int, lr: float, groups: dict[str, Any], seed: int) -> Recipe:
    sampling = Sampling(crop=64, batch=8, seed=seed)
    return Recipe(epochs=epochs, lr=lr, sampling=sampling, groups=groups)


def mean_iou(graph: Graph, params: dict[str, Any], data: Dataset) -> float:
    return float(scores(evaluate(graph, params, data)).mean_iou)


def run(seed: int, pictures: int, first: int, further: int) -> dict[str, Any]:
    seen, unseen = scenes(pictures, 64, seed), scenes(40, 64, 1000 + seed)
    plain = network()
    crf = with_crf(
        plain, 3, CLASSES, settings=START, compat="matrix", colour_unit=1 / 255,
        output="logits",
    )  # fmt: skip
    began = train(plain, seen, unseen, recipe(first, 4e-3, {}, seed)).params
    found: dict[str, Any] = {"seed": seed, "begin": mean_iou(plain, began, unseen)}
    untrained = crf.init() | began
    found["crf, untrained"] = mean_iou(crf, untrained, unseen)
    # Adam's steps are of the learning rate's size: larger ones for numbers of the size of widths
    groups = {"crf.compat*": {"lr": 10.0}, "crf.width*": {"lr": 50.0}}
    for name, graph, start, more in (
        ("without", plain, began, {}),
        ("with", crf, untrained, groups),
    ):
        more_seed = seed + 1
        trained = train(graph, seen, unseen, recipe(further, 1e-3, more, more_seed), weights=start)
        found[name] = mean_iou(graph, trained.params, unseen)
        if graph is crf:
            learned = {n: np.asarray(p).round(3).tolist() for n, p in trained.params.items()
                       if n.startswith("crf.")}  # fmt: skip
            found["learned"] = learned
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--pictures", type=int, default=64)
    parser.add_argument("--first", type=int, default=30, help="epochs of the network alone")
    parser.add_argument("--further", type=int, default=10, help="epochs from there")
    parser.add_argument("--out", type=Path, help="write a JSON file")
    args = parser.parse_args()
    rows = []
    for seed in args.seeds:
        rows.append(run(seed, args.pictures, args.first, args.further))
        row = {name: value for name, value in rows[-1].items() if name != "learned"}
        print(", ".join(f"{k} {v:.4f}" if k != "seed" else f"seed {v}" for k, v in row.items()))
    print({name: value for name, value in rows[-1]["learned"].items() if "width" in name})
    if args.out:
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True,
                                text=True, check=True).stdout.strip()  # fmt: skip
        about = {"commit": commit, "pictures": args.pictures, "first": args.first,
                 "further": args.further, "rows": rows}  # fmt: skip
        args.out.write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()
