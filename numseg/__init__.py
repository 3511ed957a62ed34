"""numseg: what segmentation operators compute, exactly, and fast."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from numseg import boxes, crf, nets
from numseg.cuda.streams import cuda_stream
from numseg.device import asarray, asnumpy
from numseg.errors import (
    ArgumentError,
    ArgumentTypeError,
    DeviceError,
    FileError,
    MismatchError,
    MissingExtra,
)
from numseg.graph import Graph
from numseg.kernels.machine.threads import get_num_threads, num_threads, set_num_threads
from numseg.operator import Cost, Operator, Plan, Spec, use
from numseg.ops import registry as _registry
from numseg.ops.registry import *  # noqa: F403

if TYPE_CHECKING:
    from numseg.testing.gradients import gradcheck

__version__ = "0.1.0"

__all__ = [
    "ArgumentError",
    "ArgumentTypeError",
    "Cost",
    "DeviceError",
    "FileError",
    "Graph",
    "MismatchError",
    "MissingExtra",
    "Operator",
    "Plan",
    "Spec",
    "asarray",
    "asnumpy",
    "boxes",
    "crf",
    "cuda_stream",
    "get_num_threads",
    "gradcheck",
    "nets",
    "num_threads",
    "set_num_threads",
    "use",
]
__all__ += _registry.__all__


def __getattr__(name: str) -> Any:
    """The testing kit and tiling are imported when somebody asks for them."""
    if name == "tiling":
        return importlib.import_module("numseg.tiling")
    if name not in ("gradcheck", "testing"):
        raise AttributeError(f"module 'numseg' has no attribute {name!r}")
    import numseg.testing

    return numseg.testing if name == "testing" else numseg.testing.gradcheck


def __dir__() -> list[str]:
    return list(__all__)
