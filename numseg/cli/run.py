"""``numseg run``: an ONNX model applied to a picture or to arrays."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numseg.cli._onnx import HELP, Given, add_inputs, inputs
from numseg.cli._options import check_ending
from numseg.errors import ArgumentError

if TYPE_CHECKING:
    from numseg.typing import Array

EXAMPLES = f"""examples:
  numseg run model.onnx --input street.png --imagenet --out result.png
  numseg run detector.onnx --input page.png --imagenet --multiple 32 --out text.png --out text.npy
  numseg run model.onnx --input x.npy --out y.npy
  numseg run model.onnx --input street.png --layout nhwc --scale 255 --colours bgr --out y.npz

--out NAME.npy is the model's first output, NAME.npz all of them by name. --out NAME.png is a
picture beside its result: of one channel its values, from the smallest in black to the largest
in white; of several the channel that is largest at each pixel, in PASCAL VOC's colours.

{HELP}"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "run",
        help="run an ONNX model on a picture or on arrays",
        description="Run an ONNX model, and write or draw what it gives.",
        epilog=EXAMPLES,
    )
    add_inputs(parser)
    parser.add_argument(
        "--out", metavar="PNG | NPY | NPZ", type=Path, action="append", required=True,
        help="the result: a picture, or arrays",
    )  # fmt: skip
    parser.add_argument("--reference", action="store_true", help="by the definition, in NumPy")


def run(args: argparse.Namespace) -> None:
    import contextlib
    import io

    import numpy as np

    import numseg as ns
    from numseg.files import check_writable, write_all
    from numseg.interop import onnx
    from numseg.interop.onnx import files

    for path in args.out:
        check_ending("--out", path, (".png", ".npy", ".npz"), "a result")
        if not path.suffix:
            raise ArgumentError(f"--out {path}: say by .png, .npy or .npz what it is to be")
        check_writable(path)
    model = files.read(args.model)
    given = inputs(args, model)
    graph, params = onnx.load(args.model)
    names = [entry.name for entry in graph.inputs]
    for name in names:
        if name not in given.arrays:
            raise ArgumentError(f"the model's input {name!r} is not given: --input {name}=FILE")
    with ns.use("reference") if args.reference else contextlib.nullcontext():
        found = graph.run(params, *(given.arrays[name] for name in names))
    outputs = found if isinstance(found, tuple) else (found,)
    named = dict(zip(model.outputs, outputs, strict=True))

    def content(path: Path) -> bytes:
        if path.suffix.lower() == ".png":
            return picture(args, given, outputs[0])
        buffer = io.BytesIO()
        if path.suffix.lower() == ".npy":
            np.save(buffer, outputs[0])
        else:
            np.savez(buffer, **named)
        return buffer.getvalue()

    contents = {path: content(path) for path in args.out}
    write_all(contents)
    for name, array in named.items():
        span = f"{array.min():.6g} to {array.max():.6g}" if array.size else "nothing"
        print(f"{name}: {'x'.join(map(str, array.shape))} {array.dtype}, {span}")
    print(*contents, sep="\n")


def picture(args: argparse.Namespace, given: Given, output: Array) -> bytes:
    """A PNG of the picture and the result, side by side."""
    import numpy as np

    from numseg import data
    from numseg.cli._panels import GAP, beside

    y = np.moveaxis(output, 3, 1) if args.layout == "nhwc" and output.ndim == 4 else output
    y = y[:, None] if y.ndim == 3 else y
    if y.ndim != 4 or len(y) != 1 or 0 in y.shape:
        raise ArgumentError(
            f"the output has shape {output.shape}, of which there is no picture: --out y.npy"
        )
    y = y[0]
    image = given.image
    if image is not None:
        y = _on_picture(y, image.shape[1:], args)
    if len(y) > 1:
        labels = y.argmax(axis=0)
        if image is None:
            return data.encode_mask(labels)
        return beside(image, [labels], None)
    low, high = float(np.nanmin(y)), float(np.nanmax(y))
    grey = np.nan_to_num((y - low) / ((high - low) or 1.0) * 255)
    grey = np.rint(grey).astype(np.uint8)
    if image is None:
        return data.encode_image(grey)
    plain = np.rint(data.as_input(image, 3) * 255).astype(np.uint8)
    gap = np.full((3, plain.shape[1], GAP), 255, np.uint8)
    return data.encode_image(np.concatenate([plain, gap, np.repeat(grey, 3, 0)], axis=2))


def _on_picture(y: Array, size: tuple[int, ...], args: argparse.Namespace) -> Array:
    """A map at the size of the picture: enlarged where it is coarser, without what was padded."""
    import numseg as ns

    padded = [n + -n % args.multiple for n in size]
    if list(y.shape[1:]) != padded:
        y = ns.upsample_bilinear2d(y[None], size=padded)[0]
    return y[:, : size[0], : size[1]]
