"""Options that several commands have: a network and its arguments, a device."""

from __future__ import annotations

import argparse
import ast
from collections.abc import Mapping
from typing import Any

from numseg.errors import ArgumentError


def add_device(add: Any) -> None:
    """``--device``, by a parser's or a group's ``add_argument``."""
    add("--device", choices=("cpu", "cuda"), default="cpu", help="where to run (cpu)")


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
