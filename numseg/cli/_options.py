"""Options that several commands have: a network and its arguments, a device, places to write to."""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from numseg.errors import ArgumentError


def add_device(add: Any) -> None:
    """``--device``, by a parser's or a group's ``add_argument``."""
    add("--device", choices=("cpu", "cuda"), default="cpu", help="where to run (cpu)")


def apply_to(args: argparse.Namespace, options: Iterable[str], what: str, given: str) -> None:
    """An error if one of these options is given, which are for something else: nothing that is
    said is passed over."""
    for name in options:
        if getattr(args, name, None) not in (None, []):
            option = "net" if name == "made_by" else name.replace("_", "-")
            raise ArgumentError(f"--{option} is for {what}, not for {given}")


def network(
    args: argparse.Namespace, channels: int, classes: int, unet: Mapping[str, Any]
) -> dict[str, Any]:
    """The network that ``args.net`` names and its arguments, as
    :func:`numseg.training.make_network` takes them.

    ``unet`` are the arguments that have options of their own, which are None in ``args`` unless
    they are given, and their defaults for a U-Net. Any others come by ``--set``.
    """
    usual = unet if args.net == "unet" else {}
    given = {name: value for name in unet if (value := getattr(args, name)) is not None}
    sizes = {"in_channels": channels, "classes": classes}
    return {"name": args.net, **sizes, **usual, **given, **values("--set", args.set)}


def is_checkpoint(text: str) -> bool:
    """Whether a NET is a file that numseg wrote, not the name of a network."""
    return Path(text).suffix == ".safetensors" or (":" not in text and Path(text).is_file())


def pairs(option: str, given: list[str]) -> dict[str, str]:
    """``a=b`` as a dict."""
    for text in given:
        if "=" not in text:
            raise ArgumentError(f"{option} wants NAME=VALUE, got {text!r}")
    return {a: b for a, _, b in (text.partition("=") for text in given)}


def values(option: str, given: list[str]) -> dict[str, Any]:
    """Values that are Python literals are those, ``true`` and ``false`` are too; others are
    words."""
    found: dict[str, Any] = {}
    for name, text in pairs(option, given).items():
        text = text.title() if text in ("true", "false") else text
        try:
            found[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            found[name] = text
    return found


def check_ending(option: str, path: Path | str, ends: Sequence[str], what: str) -> None:
    """A file is called what it is; one without an extension may be anything."""
    found = Path(path).suffix
    if found and found.lower() not in ends:
        raise ArgumentError(f"{option} {path}: {what} ends in {' or '.join(ends)}, not in {found}")


FILES = (".safetensors", ".pt", ".pth", ".ckpt", ".h5", ".npz", ".onnx", ".png", ".jpg", ".json")


def check_folder(option: str, path: Path, holds: str) -> None:
    """A folder does not have a file's name, nor is it one."""
    from numseg.errors import FileError

    if path.suffix.lower() in FILES:
        raise ArgumentError(f"{option} {path}: is a folder, which will hold {holds}: call it one")
    if path.exists() and not path.is_dir():
        raise FileError(f"{option} {path}: is a file, expected a folder")
