"""Detectors beside torchvision: ``python -m benchmarks.detectors --threads 1``.

Inference of ``maskrcnn_resnet50_fpn`` on one image of 480 x 640 pixels, float32, with the same
random weights; both resize it to 800 x 1066, as torchvision does. Detections are compared first.
Contenders take turns in one process. ``--memory numseg`` prints the peak memory of a process that
does nothing else, less that before its first call, which comes after one on a small image.
"""

from __future__ import annotations

import argparse
import os
import resource
from typing import Any

NAMES = "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "NUMSEG_NUM_THREADS"


def module(torch: Any, name: str, arguments: dict[str, Any]) -> Any:
    """torchvision's model with frozen norms, and weights of which a hundred boxes are found."""
    from torchvision.models import detection
    from torchvision.ops import FrozenBatchNorm2d

    torch.manual_seed(0)
    backbone = detection.backbone_utils.resnet_fpn_backbone(
        backbone_name="resnet50", weights=None, norm_layer=FrozenBatchNorm2d
    )
    make = detection.MaskRCNN if name.startswith("mask") else detection.FasterRCNN
    found = make(backbone, num_classes=91, **arguments).eval()
    with torch.no_grad():
        for key, state in found.state_dict().items():
            if key.endswith("running_var"):
                state.uniform_(1.5, 2.5)  # so that sums of residuals do not grow
            elif "rpn.head" in key and key.endswith("weight"):
                state *= 5
            elif "cls_score.weight" in key:
                state *= 40
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--net", default="maskrcnn_resnet50_fpn")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--min-size", type=int, default=800)
    parser.add_argument("--memory", choices=("numseg", "torchvision"))
    given = parser.parse_args()
    os.environ |= dict.fromkeys(NAMES, str(given.threads))
    import numpy as np
    import torch

    from numseg import detectors
    from numseg.bench.timing import in_turns
    from numseg.interop import torchvision

    torch.set_num_threads(given.threads)
    arguments = {"min_size": given.min_size}
    peer = module(torch, given.net, arguments)
    detector = getattr(detectors, given.net)(**arguments)
    params = torchvision.match(detector, {n: t.numpy() for n, t in peer.state_dict().items()})
    rng = np.random.default_rng(0)
    image = rng.uniform(size=(3, 480, 640)).astype(np.float32)
    tiny = rng.uniform(size=(3, 64, 64)).astype(np.float32)

    def ours(x: Any = image) -> Any:
        return detector.detect(params, [x])

    def theirs(x: Any = image) -> Any:
        with torch.no_grad():
            return peer([torch.from_numpy(x)])

    if given.memory:
        call = ours if given.memory == "numseg" else theirs
        call(tiny)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        call()
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(f"{given.memory}: {(after - before) / 1024:.0f} MiB more")
        return
    (found,), (expected,) = ours(), theirs()
    far = np.abs(found.boxes - expected["boxes"].numpy()).max() if len(found) else 0
    print(f"{len(found)} and {len(expected['boxes'])} detections, boxes differ by {far:.2g}")
    times = in_turns({"numseg": ours, "torchvision": theirs}, given.seconds, least=3)
    for name, one in times.items():
        spread = f"{one['low']:.0f} to {one['high']:.0f}, {one['turns']:.0f} turns"
        print(f"{name:12} {one['median']:8.0f} ms ({spread})")
    ratio = times["torchvision"]["median"] / times["numseg"]["median"]
    print(f"torchvision's time over numseg's on {given.threads} threads: {ratio:.2f}")


if __name__ == "__main__":
    main()
