"""Inputs of ONNX models: arrays as they are, pictures normalised and laid out."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from numseg.errors import ArgumentError, FileError

if TYPE_CHECKING:
    from numseg.interop.onnx.files import Declared, Model
    from numseg.typing import Array

ARRAYS = (".npy", ".npz")
HELP = """An input is a .npy file, given as it is, or a picture: its values are brought into [0, 1],
then --mean is subtracted and divided by --std, for each channel. --imagenet takes ImageNet's.
--multiple puts zeros at the bottom and at the right until rows and columns are
a multiple; --size resizes.
A model of several inputs wants --input NAME=FILE for each, or one .npz that holds all by name.
"""
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class Given(NamedTuple):
    """The inputs, and the picture that they were made of."""

    arrays: dict[str, Array]
    image: Array | None
    """(C, H, W), as it was read, resized if that was asked for."""


def add_inputs(parser: Any) -> None:
    add = parser.add_argument
    add("model", metavar="MODEL", type=Path, help="an .onnx file")
    add(
        "--input", metavar="[NAME=]FILE", action="append", required=True,
        help="a picture, .npy or .npz",
    )  # fmt: skip
    add = parser.add_argument_group("pictures").add_argument
    add("--mean", metavar="M[,M,M]", type=_numbers, help="subtracted, of values in [0, 1] (0)")
    add("--std", metavar="S[,S,S]", type=_numbers, help="divided by (1)")
    add("--imagenet", action="store_true", help="ImageNet's mean and standard deviation")
    add("--scale", metavar="F", type=float, default=1.0, help="values from 0 to F (1)")
    add("--colours", choices=("rgb", "bgr"), default="rgb", help="order of the channels (rgb)")
    add("--layout", choices=("nchw", "nhwc"), default="nchw", help="order of the axes (nchw)")
    add("--size", metavar="HxW", type=_size, help="resize to so many rows and columns (bilinear)")
    add("--multiple", metavar="N", type=int, default=1, help="pad rows and columns to a multiple")


def _numbers(text: str) -> list[float]:
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected numbers and commas, got {text!r}") from None
    return found


def _size(text: str) -> tuple[int, int]:
    rows, _, columns = text.partition("x")
    if not (rows.isdigit() and columns.isdigit()):
        raise argparse.ArgumentTypeError(f"expected ROWSxCOLUMNS, got {text!r}")
    return int(rows), int(columns)


def inputs(args: argparse.Namespace, model: Model) -> Given:
    """What the model is given."""
    declared = {entry.name: entry for entry in model.inputs}
    arrays: dict[str, Array] = {}
    image = None
    for text in args.input:
        name, path = _named(text, list(declared))
        if path.suffix.lower() == ".npz" and name is None:
            arrays |= _archive(path)
            continue
        if name is None:
            if len(declared) != 1:
                known = ", ".join(declared)
                raise ArgumentError(f"--input {text}: say NAME={text}, of {known}")
            (name,) = declared
        if path.suffix.lower() == ".npy":
            arrays[name] = _array(path)
        else:
            arrays[name], image = picture(args, path, declared[name])
    return Given(arrays, image)


def _named(text: str, names: Sequence[str]) -> tuple[str | None, Path]:
    name, sign, rest = text.partition("=")
    if sign and name in names:
        return name, Path(rest)
    if sign and not Path(text).exists():
        raise ArgumentError(f"--input {text}: the model has no input {name!r}: {', '.join(names)}")
    return None, Path(text)


def _array(path: Path) -> Array:
    import numpy as np

    if not path.is_file():
        raise FileError(f"{path}: no such file")
    try:
        return np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise FileError(f"{path}: is no array of NumPy's: {error}") from None


def _archive(path: Path) -> dict[str, Array]:
    from numseg.files import read_whole
    from numseg.interop import npz
    from numseg.interop.archive import Archive

    return npz.read(Archive(read_whole(path)))


def picture(args: argparse.Namespace, path: Path, declared: Declared) -> tuple[Array, Array]:
    """The input that a picture is, and the picture."""
    import numpy as np

    import numseg as ns
    from numseg import checks, data

    image = data.read_image(path)
    axis = 1 if args.layout == "nchw" else 3
    shape = declared.shape
    if shape is not None and len(shape) != 4:
        raise ArgumentError(
            f"{declared.name} has {len(shape)} axes, which no picture has: give .npy"
        )
    channels = (shape[axis] if shape is not None else None) or 3
    x = data.as_input(image, channels)
    if args.size is not None:
        x = ns.upsample_bilinear2d(x[None], size=args.size)[0]
        image = np.rint(x * 255).astype(np.uint8) if channels in (1, 3) else image
    if args.colours == "bgr":
        x = x[::-1]
    mean, std = IMAGENET if args.imagenet else (args.mean or [0.0], args.std or [1.0])
    if args.imagenet and (args.mean or args.std):
        raise ArgumentError("--imagenet is --mean and --std: give one of them")
    for name, values in (("--mean", mean), ("--std", std)):
        if len(values) not in (1, channels):
            raise ArgumentError(
                f"{name} has {len(values)} numbers, the model takes {channels} channels"
            )
    if 0 in std:
        raise ArgumentError("--std is 0")
    by_channel = [np.array(values, np.float32)[:, None, None] for values in (mean, std)]
    x = (x * np.float32(args.scale) - by_channel[0]) / by_channel[1]
    multiple = checks.integer("multiple", args.multiple, 1)
    x = np.pad(x, ((0, 0), (0, -x.shape[1] % multiple), (0, -x.shape[2] % multiple)))
    x = x[None] if args.layout == "nchw" else np.moveaxis(x, 0, 2)[None]
    return np.ascontiguousarray(x, declared.dtype), image
