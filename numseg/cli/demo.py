"""``numseg demo``: two small networks, trained while you watch, and a picture of what they see."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numseg.cli._options import add_device, check_folder

if TYPE_CHECKING:
    from numseg.data import Dataset, Sample
    from numseg.training import Recipe

EXAMPLES = """examples:
  numseg demo                      about a minute on two cores; then look at numseg-demo/demo.png
  numseg demo --seed 7 --out d7    another seed
  numseg demo --resume             go on after Ctrl-C, from the last finished epoch
  numseg segment photo.jpg --weights numseg-demo/scenes.safetensors --out mask.png
"""

NET = {"name": "unet", "width": 12, "depth": 3, "padding": "same", "norm": True}


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "demo",
        help="train on a photograph and on generated scenes, and draw the result",
        description="Train two small U-Nets, one on half of a real photograph of coins and one on "
        "generated scenes; score both on what they have not seen, and draw a picture of it.",
        epilog=EXAMPLES,
    )
    parser.add_argument(
        "--out", metavar="FOLDER", type=Path, default=Path("numseg-demo"), help="(numseg-demo)"
    )
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="(0)")
    parser.add_argument("--resume", action="store_true", help="go on from the folder's checkpoints")
    parser.add_argument(
        "--effort", metavar="X", type=float, default=1.0, help="train X times as long (1)"
    )
    add_device(parser.add_argument)


def run(args: argparse.Namespace) -> None:
    from numseg import checks, data
    from numseg.cli._picture import Shown, draw, drawing
    from numseg.files import write_whole
    from numseg.training import Recipe, Sampling, devices, load_network, predict

    check_folder("--out", args.out, "the networks and the picture")
    drawing()  # what is missing is said before the work
    effort = checks.real("--effort", args.effort, minimum=0.01, maximum=100)
    steps = max(round(20 * effort), 1)
    coins = Recipe(
        epochs=4,
        lr=0.01,
        sampling=Sampling(crop=64, repeat=8 * steps, turn=True, light=0.2, seed=args.seed),
    )
    count = 8 * max(round(60 * effort), 1)
    scenes = Recipe(epochs=8, lr=0.015, sampling=Sampling(crop=48, seed=args.seed))
    both = data.scenes(count + 48, size=64, seed=args.seed)
    seen = dataclasses.replace(both, samples=both.samples[:count])
    unseen = dataclasses.replace(both, samples=both.samples[count:])

    coins_miou = _train(args, "coins", data.coins("train"), data.coins("held-out"), coins)
    scenes_miou = _train(args, "scenes", seen, unseen, scenes)

    def shown(name: str, samples: Any) -> list[Shown]:
        graph, checkpoint = load_network(args.out / f"{name}.safetensors")
        params = devices.all_moved(checkpoint.params, devices.named(args.device))
        return [Shown(s, predict(graph, params, s.image)) for s in samples]

    (photograph,) = shown("coins", data.coins("held-out"))
    picture = draw(photograph, coins_miou, shown("scenes", _spread(unseen, 6)), scenes_miou)
    write_whole(args.out / "demo.png", picture)
    print(f"coins   mIoU {coins_miou:.4f}  on the half of the photograph that was held out")
    print(f"scenes  mIoU {scenes_miou:.4f}  on {len(unseen)} held-out scenes")
    print(f"picture {args.out / 'demo.png'}")


def _spread(dataset: Dataset, count: int) -> list[Sample]:
    """So many pictures from the brightest to the darkest, whatever was made of them."""
    ordered = sorted(dataset, key=lambda sample: -int(sample.image.sum(dtype=int)))
    return [ordered[i * (len(ordered) - 1) // (count - 1)] for i in range(count)]


def _train(
    args: argparse.Namespace, name: str, seen: Dataset, unseen: Dataset, recipe: Recipe
) -> float:
    """Train, with a progress bar; the mIoU on what was not seen."""
    from numseg.cli._running import resumable, say_if_new
    from numseg.training import train

    net = NET | {"in_channels": seen[0].image.shape[0], "classes": len(seen.classes)}
    if args.resume:
        say_if_new("demo", args.out / f"{name}.safetensors")
    with resumable():
        trained = train(
            net,
            seen,
            unseen,
            recipe,
            checkpoint=args.out / f"{name}.safetensors",
            resume=args.resume,
            device=args.device,
            progress=f"{name:<6}",
        )
    return float(trained.history[-1]["mean_iou"])
