"""Detectors trained on generated scenes, each by one command.

    python -m benchmarks.detection [--rows NAME] [--out FOLDER] [--save] [--resume]

AP50 is that of the last epoch, on scenes that were held out (a fifth as many as are trained on, of
the same seed). ``--save`` writes ``results/detection.json``: for each detector its command, what it
scored epoch by epoch, and the processor time that it took.
"""

from __future__ import annotations

import argparse
import json
import shlex
import tempfile
import time
from pathlib import Path
from typing import Any

from numseg.bench.run import _machine, _versions
from numseg.cli import main as numseg
from numseg.files import write_whole
from numseg.training import load_detector

FILE = Path(__file__).parent / "results" / "detection.json"

LAYERS = "[[[3,16]],[[3,32]],[[3,64],[1,32],[3,64]],[[3,128],[1,64],[3,128],[3,128,2]]]"

COMMANDS = {
    "yolov1": "--net yolov1 --set image_size=96 --set grid=6 --set hidden=512 "
    f"--set norm=batch_norm --set layers={LAYERS} --count 600 --epochs 40 --batch 16 --lr 0.002",
}
"""What follows ``numseg train scenes --task detection --out FOLDER``; the seed is 0."""


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
                rows[name] = trained(options, (args.out or Path(other)) / name, args.resume)
                print(f"{name:28} AP50 {rows[name]['ap50']:.4f}  {rows[name]['cpu']} CPU s")
    if args.save:
        save(rows)
    return 0


def trained(options: str, folder: Path, resume: bool = False) -> dict[str, Any]:
    """Train one, and what there is to say of it."""
    cpu, clock = time.process_time(), time.perf_counter()
    argv = ["train", "scenes", "--task", "detection", "--out", str(folder), *shlex.split(options)]
    if status := numseg([*argv, *(["--resume"] if resume else [])]):
        raise SystemExit(status)
    took = time.process_time() - cpu, time.perf_counter() - clock
    return row(options, folder / "checkpoint.safetensors", *took)


def row(options: str, checkpoint: Path, cpu: float, clock: float) -> dict[str, Any]:
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


def save(rows: dict[str, Any]) -> None:
    """Write these rows; others stay as they are."""
    known = json.loads(FILE.read_text())["rows"] if FILE.exists() else {}
    result = {"machine": _machine(), "versions": _versions(), "rows": known | rows}
    write_whole(FILE, (json.dumps(result, indent=1) + "\n").encode())


if __name__ == "__main__":
    raise SystemExit(main())
