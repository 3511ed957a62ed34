"""Four networks trained on generated scenes, each by one command.

    python -m benchmarks.training [--rows NAME] [--out FOLDER] [--save]

The mean IoU is that of the last epoch, on scenes that were held out (a fifth as many as are trained
on, of the same seed). ``--save`` writes ``results/training.json``: for each network its command,
what it scored epoch by epoch, and the processor time that it took.
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
from numseg.training import load_network

FILE = Path(__file__).parent / "results" / "training.json"
ENOUGH = 0.85

COMMANDS = {
    "unet": "--width 12 --size 64 --crop 48 --count 480 --epochs 16 --lr 0.015",
    "deeplabv3plus_xception65": "--net deeplabv3plus_xception65 --width 8 --set middle=4 "
    "--size 129 --crop 129 --epochs 30 --lr 0.005",
    "segnet": "--net segnet --width 16 --size 96 --crop 96 --epochs 20 --lr 0.01",
    "fcn8s": "--net fcn8s --width 8 --set dropout=0.2 --set normalise=imagenet "
    "--size 256 --crop 256 --batch 4 --epochs 14 --lr 0.001",
}
"""What follows ``numseg train scenes --out FOLDER``; the seed is 0."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="", help="only networks whose name contains this")
    parser.add_argument("--out", type=Path, help="keep the runs' folders in this one")
    parser.add_argument("--save", action="store_true", help=f"write {FILE.name}")
    args = parser.parse_args(arguments)
    rows = {}
    with tempfile.TemporaryDirectory() as other:
        for name, options in COMMANDS.items():
            if args.rows in name:
                rows[name] = trained(options, (args.out or Path(other)) / name)
                print(f"{name:28} {rows[name]['mean_iou']:.4f}  {rows[name]['cpu']:.0f} CPU s")
    if args.save:
        save(FILE, rows)
    return int(any(row["mean_iou"] < ENOUGH for row in rows.values()))


def trained(options: str, folder: Path) -> dict[str, Any]:
    """Train one, and what there is to say of it."""
    start = time.process_time()
    if status := numseg(["train", "scenes", "--out", str(folder), *shlex.split(options)]):
        raise SystemExit(status)
    return row(options, folder / "checkpoint.safetensors", time.process_time() - start)


def row(options: str, checkpoint: Path, cpu: float) -> dict[str, Any]:
    """Of a run that has ended."""
    graph, kept = load_network(checkpoint)
    every = ("loss", "mean_iou", "pixel_accuracy")
    last = kept.history[-1]
    return {
        "command": f"numseg train scenes --out FOLDER {options}",
        "parameters": sum(param.size for param in graph.params if param.trainable),
        "cpu": round(cpu),
        "mean_iou": round(last["mean_iou"], 4),
        "class_iou": {
            name: round(iou, 3)
            for name, iou in zip(kept.about["classes"], last["class_iou"], strict=True)
        },
        "history": [{name: round(entry[name], 4) for name in every} for entry in kept.history],
    }


if __name__ == "__main__":
    raise SystemExit(main())
