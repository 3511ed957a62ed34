"""R-CNN, SPPNet, Fast R-CNN and Faster R-CNN trained alike on generated scenes.

    python -m benchmarks.regions [--rows NAME] [--steps N] [--save]

All have the same convolutions (VGG-16's first levels, narrow), the same last layers, regions,
samples, steps and seed. AP50 (VOC 2010's rule) is that of 60 scenes that were held out; times are
the processor's: of a training step, and of a detection without the search for regions. ``--save``
writes ``results/regions.json``.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

import numseg as ns
from benchmarks.saving import save
from numseg import detectors
from numseg.chance import permutation
from numseg.data import Detections, scene_instances
from numseg.detectors.selective_search import remembered, selective_search_of
from numseg.training import average_precision, proposal_recall
from numseg.training.optimisers import Adam
from numseg.training.schedules import cosine

FILE = Path(__file__).parent / "results" / "regions.json"
SIZE, TRAINED, HELD_OUT, SEED = 64, 240, 60, 0
BATCH, LR = 2, 2e-3

SHARED: dict[str, Any] = {
    "width": 16, "level": 3, "hidden": 128, "dropout": 0.0,
    "sampling": {"batch_size_per_image": 32, "least": 0.0},
}  # fmt: skip
SEARCH = {"search": {"min_segment": 10, "min_size": 4, "max_regions": 200}}
ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    "fast_rcnn": ("fast_rcnn", {"fixed_levels": 0, "min_size": None, **SEARCH}),
    "faster_rcnn_vgg16": (
        "faster_rcnn_vgg16",
        {
            "fixed_levels": 0, "min_size": None,
            "anchors": {
                "sizes": [8, 16, 32], "border": None, "batch_size_per_image": 64,
                "variant": "caffe",
            },
            "proposals": {"pre_nms": [600, 600], "post_nms": [200, 100], "min_size": 4},
        },
    ),
    "sppnet, all layers": ("sppnet", {"min_size": None, "finetune": "all", **SEARCH}),
    "rcnn": ("rcnn", {"size": 32, "context": 2, "output_size": 7, **SEARCH}),
    "sppnet": ("sppnet", {"min_size": None, **SEARCH}),
}  # fmt: skip
"""Function and arguments; a warped region's map is 8 x 8, so that all have maps of stride 4."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="", help="only those whose name begins with this")
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--save", action="store_true", help=f"write {FILE.name}")
    args = parser.parse_args(arguments)
    data = scene_instances(TRAINED + HELD_OUT, SIZE, SEED)
    samples = [
        (sample.image.astype(np.float32) / 255, sample.instances)
        for sample in (data.checked(i) for i in range(len(data)))
    ]
    search = remembered(selective_search_of(SEARCH["search"]))
    rows = {}
    with ns.num_threads(1):
        for name, (make, settings) in ROWS.items():
            if name.startswith(args.rows):
                rows[name] = row(make, settings, samples, args.steps, search)
                shown = {key: value for key, value in rows[name].items() if key != "losses"}
                print(f"{name:20} {shown}", flush=True)
                if args.save:
                    save(FILE, rows)
    return 0


def row(
    make: str, settings: dict[str, Any], samples: list[Any], steps: int, search: Any
) -> dict[str, Any]:
    """Train one, and what there is to say of it."""
    detector = getattr(detectors, make)(in_channels=3, classes=4, **SHARED, **settings)
    if "search" in settings:
        detector.propose = search  # what one row has found the next one knows
    for image, _ in samples if "search" in settings else []:
        search(image)
    begin = time.process_time()
    params, losses = trained(detector, samples[:TRAINED], steps)
    training = time.process_time() - begin
    held = samples[TRAINED:]
    truth = [instances for _, instances in held]
    times, found = [], []
    for image, _ in held:
        begin = time.process_time()
        found += detector.detect(params, [image])
        times.append(time.process_time() - begin)
    score = average_precision(truth, found, 4)
    return {
        "ap50": round(score.mean, 4),
        "class_ap50": [round(float(ap), 4) for ap in score.each[1:]],
        "recall of regions": round(recall(detector, params, held), 4),
        "steps": steps,
        "step ms": round(1e3 * training / steps, 1),
        "detect ms": round(1e3 * statistics.median(times), 2),
        "parameters": sum(params[name].size for name in detector.names),
        "losses": losses,
    }  # fmt: skip


def trained(detector: Any, samples: list[Any], steps: int) -> tuple[dict[str, Any], list[Any]]:
    """Adam, its rate along half a cosine, batches of two."""
    params, optimiser = detector.init(SEED), Adam(LR)
    state, losses = optimiser.start({name: params[name] for name in detector.trainable}), []
    each = len(samples) // BATCH
    for step in range(steps):
        order = permutation(len(samples), SEED, step // each)
        taken = [samples[i] for i in order[step % each * BATCH :][:BATCH]]
        images, instances = zip(*taken, strict=True)
        loss = detector.forward(params, images, instances, seed=SEED, step=step)
        grads = detector.backward(loss)
        lr = LR * cosine(step, steps) * min((step + 1) / 50, 1)
        params, state = optimiser.step(params, grads, state, lr)
        params |= loss.updates
        if step % 100 == 99:
            losses.append({name: round(value, 4) for name, value in loss.terms.items()})
    return params, losses


def recall(detector: Any, params: Any, held: list[Any]) -> float:
    """Of all regions of a picture, at an overlap of a half."""

    def regions(image: Any) -> Any:
        if hasattr(detector, "proposals"):
            return detector.proposals(params, image)[0]
        return detector.propose(image)

    found = [
        Detections(boxes, np.ones(len(boxes), np.int64), -np.arange(len(boxes)))
        for boxes in (regions(image) for image, _ in held)
    ]
    truth = [instances for _, instances in held]
    return float(proposal_recall(truth, found, (1000,), iou_thresholds=(0.5,)).recall[0, 0])


if __name__ == "__main__":
    raise SystemExit(main())
