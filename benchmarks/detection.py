"""Detectors trained on generated scenes, each by one command.

    python -m benchmarks.detection [--rows NAME] [--out FOLDER] [--save] [--resume]

AP50 is that of the last epoch, on scenes that were held out (a fifth as many as are trained on, of
the same seed). ``--save`` writes ``results/detection.json``: for each detector its command, what it
scored epoch by epoch, and the processor time that it took.
"""

from __future__ import annotations

import argparse
import shlex
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.saving import save
from numseg.cli import main as numseg
from numseg.training import load_detector

KINDS = ("ap50", "mask_ap50", "cpu", "seconds")
FILE = Path(__file__).parent / "results" / "detection.json"

LAYERS = "[[[3,16]],[[3,32]],[[3,64],[1,32],[3,64]],[[3,128],[1,64],[3,128],[3,128,2]]]"

PYRAMID = " ".join(
    f"--set {name}={value}"
    for name, value in {
        "width": 16, "units": "[1,1,1,1]", "fpn_channels": 32, "representation_size": 128,
        "norm": "batch_norm", "trainable_backbone_layers": 5, "min_size": 96, "max_size": 96,
        "anchor_sizes": "[[10],[20],[32],[48],[64]]", "canonical_scale": 48, "canonical_level": 3,
        "rpn_pre_nms_top_n_train": 200, "rpn_post_nms_top_n_train": 100,
        "rpn_pre_nms_top_n_test": 200, "rpn_post_nms_top_n_test": 100,
        "rpn_batch_size_per_image": 64, "box_batch_size_per_image": 48,
    }.items()
)  # fmt: skip

COMMANDS = {
    "yolov1": "--net yolov1 --set image_size=96 --set grid=6 --set hidden=512 --set dropout=0.2 "
    f"--set norm=batch_norm --set layers={LAYERS} --count 4000 --epochs 8 --batch 16 --lr 0.002",
    "fasterrcnn_resnet50_fpn": f"--net fasterrcnn_resnet50_fpn {PYRAMID} --count 480 --epochs 6 "
    "--batch 4 --lr 0.002 --clip-norm 5",
    "maskrcnn_resnet50_fpn": f"--net maskrcnn_resnet50_fpn {PYRAMID} --set mask_layers=[32,32] "
    "--set mask_dim_reduced=32 --count 480 --epochs 12 --batch 4 --lr 0.002 --clip-norm 5",
}
"""What follows ``numseg train scenes --task detection --out FOLDER``; the seed is 0."""

ENOUGH = {
    "fasterrcnn_resnet50_fpn": {"ap50": 0.6},
    "maskrcnn_resnet50_fpn": {"ap50": 0.6, "mask_ap50": 0.5},
}
"""What a detector should reach."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="", help="only detectors whose name contains this")
    parser.add_argument("--out", type=Path, help="keep the runs' folders in this one")
    parser.add_argument("--save", action="store_true", help=f"write {FILE.name}")
    parser.add_argument("--resume", action="store_true", help="go on with the runs in --out")
    args = parser.parse_args(arguments)
    rows = {}
    with tempfile.TemporaryDirectory() as other:
        for name, options in COMMANDS.items():
            if args.rows in name:
                row = trained(options, (args.out or Path(other)) / name, args.resume)
                rows[name] = row
                print(f"{name:28}", *(f"{kind} {row[kind]}" for kind in KINDS if kind in row))
    if args.save:
        save(FILE, rows)
    return int(not all(enough(name, row) for name, row in rows.items()))


def enough(name: str, row: dict[str, Any]) -> bool:
    return all((row[kind] or 0) >= least for kind, least in ENOUGH.get(name, {}).items())


def trained(options: str, folder: Path, resume: bool = False) -> dict[str, Any]:
    """Train one, and what there is to say of it."""
    cpu, clock = time.process_time(), time.perf_counter()
    argv = ["train", "scenes", "--task", "detection", "--out", str(folder), *shlex.split(options)]
    if status := numseg([*argv, *(["--resume"] if resume else [])]):
        raise SystemExit(status)
    took = time.process_time() - cpu, time.perf_counter() - clock
    return about(options, folder / "checkpoint.safetensors", *took)


def about(options: str, checkpoint: Path, cpu: float, clock: float) -> dict[str, Any]:
    """Of a run that has ended."""
    detector, kept = load_detector(checkpoint)
    last = kept.history[-1]
    kinds = [name for name in ("ap50", "mask_ap50") if name in last]
    return {
        "command": f"numseg train scenes --task detection --out FOLDER {options}",
        "parameters": sum(kept.params[name].size for name in detector.trainable),
        "cpu": round(cpu),
        "seconds": round(clock),
        **{kind: _rounded(last[kind]) for kind in kinds},
        **{
            f"class_{kind}": {
                name: _rounded(ap)
                for name, ap in zip(kept.about["classes"], last[f"class_{kind}"], strict=True)
                if ap is not None
            }
            for kind in kinds
        },
        "history": [
            {name: _rounded(entry[name]) for name in ("loss", *kinds)} for entry in kept.history
        ],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


if __name__ == "__main__":
    raise SystemExit(main())
