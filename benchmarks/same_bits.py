"""Does a change of the code change one bit of any result? Record before it, and after it; compare.

    python same_bits.py record before.json
    python same_bits.py record after.json        # with the changed numseg on the path
    python same_bits.py compare before.json after.json

``record`` calls every operator many times (value, forward, every gradient, jvp, double_backward,
matrix, and all of it by ``.reference``) in float32 and float64, on one thread and on two, then
networks (inference, gradients, training steps, folding), the functions of ``numseg.boxes`` and the
generated pictures; the shapes are chosen so that each kernel and each of its ways is taken. Of each
array it keeps a digest of dtype, shape and bytes. ``compare`` says which arrays differ, and exits
with status 1 if there are any, or if some are missing.

Keys name an array by its call in plain words and by its place ("gradient 1"), never by the name of
an argument, so that arguments may be renamed in between. Calls state their arguments by the names
of CALLS, which are those of the time before; RENAMED says what they may be called today, and where
neither is in a signature, the place decides. (Trailing arguments that came since do not matter.)

The bits depend on the CPU, on NumPy and on Numba: both records must come from one machine and one
environment. ``--kernels`` also lists which kernels ran, for which float types, whether several
threads shared one of their launches, and the values of their sizes' flags; and those that never ran.
"""

from __future__ import annotations

import os

for _library in ("OPENBLAS", "MKL", "OMP"):  # a sum by BLAS may depend on its threads
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")

import argparse
import collections
import contextlib
import hashlib
import importlib
import inspect
import json
import platform
import sys
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import numseg as ns
from numseg import data, training
from numseg.graph import bilinear_filter, bilinear_weights

# -- names ----------------------------------------------------------------------------------------

CALLS = {
    "adaptive_avg_pool2d": "x* output_size",
    "adaptive_max_pool2d": "x* output_size return_switches",
    "add": "x* y*",
    "aspp2d": "x* ws* w_pool* b* rates combine",
    "avg_pool2d": "x* kernel_size stride padding ceil_mode count_include_pad divisor_override"
    " ceil_rule",
    "batch_norm": "x* running_mean running_var weight* bias* training momentum eps return_running"
    " unbiased momentum_of allow_single",
    "bed_of_nails2d": "x* stride",
    "binary_cross_entropy_with_logits": "x* target* weight pos_weight reduction labels empty",
    "center_crop": "x* size rounding pad",
    "col2im": "x* output_size kernel_size stride padding dilation",
    "concat": "xs* axis",
    "conv2d": "x* w* b* stride padding dilation groups algorithm",
    "conv_transpose2d": "x* w* b* stride padding output_padding groups dilation output_size overlap",
    "crop": "x* size offset",
    "crop_and_resize": "x* boxes* box_indices crop_size method extrapolation_value on_pixels"
    " arithmetic",
    "cross_entropy": "x* target weight ignore_index reduction label_smoothing gamma"
    " min_probability empty",
    "deform_conv2d": "x* offset* w* b* stride padding dilation mask* boundary",
    "dice_loss": "x* target activation squared smooth_nr smooth_dr batch micro ignore_index"
    " reduction empty",
    "dropout": "x* p seed training inverted",
    "global_avg_pool2d": "x*",
    "global_max_pool2d": "x* return_switches",
    "group_norm": "x* num_groups weight* bias* eps",
    "hard_sigmoid": "x* alpha beta",
    "hard_swish": "x*",
    "im2col": "x* kernel_size stride padding dilation",
    "interp2d": "x* size zoom_factor shrink_factor pad_beg pad_end",
    "l2_norm": "x* weight* eps eps_rule",
    "leaky_relu": "x* negative_slope",
    "linear": "x* w* b*",
    "log_softmax": "x* axis",
    "max_pool2d": "x* kernel_size stride padding dilation ceil_mode return_switches ceil_rule nan"
    " lowest ties index_layout",
    "max_unpool2d": "y* switches kernel_size stride padding output_size index_layout duplicates"
    " output_rule",
    "pad": "x* padding value mode",
    "relu": "x*",
    "roi_align": "x* rois* output_size spatial_scale sampling_ratio aligned mode arithmetic outside",
    "roi_pool": "x* rois output_size spatial_scale return_switches arithmetic rounding",
    "separable_conv2d": "x* w_depthwise* w_pointwise* b* stride padding dilation b_depthwise*",
    "sigmoid": "x*",
    "sigmoid_focal_loss": "x* target alpha gamma reduction empty",
    "silu": "x*",
    "smooth_l1_loss": "x* target* beta reduction huber empty",
    "softmax": "x* axis",
    "spatial_pyramid_pool2d": "x* levels mode bins return_switches",
    "upsample_bilinear2d": "x* size scale_factor align_corners recompute_scale_factor coordinates",
    "upsample_nearest2d": "x* size scale_factor recompute_scale_factor coordinates rounding",
    # other functions
    "unet": "in_channels classes width depth padding norm up dropout",
    "iou": "boxes1 boxes2 fmt offset zero_area corners",
    "nms": "boxes scores iou_threshold comparison max_output score_threshold fmt offset zero_area"
    " corners",
    "batched_nms": "boxes scores classes iou_threshold comparison max_output score_threshold fmt"
    " offset zero_area corners",
    "soft_nms": "boxes scores iou_threshold method sigma min_score comparison fmt offset corners",
    "convert": "boxes in_fmt out_fmt",
    "area": "boxes offset",
    "clip": "boxes size offset",
    "remove_small": "boxes min_size offset comparison",
    "encode": "boxes anchors weights offset",
    "decode": "codes anchors weights clip offset inverse",
    "base_anchors": "sizes ratios rounding order base_size dtype",
    "anchors": "grid_size stride base offset",
    "paste_masks": "masks boxes size threshold method padding",
}
"""The arguments of each call, in order, as they were called before; * has a gradient."""

RENAMED = {
    "axis": "dim",
    "b": "bias",
    "b_depthwise": "depthwise_bias bias_depthwise",
    "box_indices": "box_indices box_index indices",
    "classes": "idxs",
    "comparison": "compare",
    "corners": "order",
    "fmt": "format",
    "return_switches": "return_indices",
    "rois": "boxes",
    "size": "output_size",
    "switches": "indices",
    "target": "target targets labels",
    "w": "weight",
    "w_depthwise": "depthwise_weight weight_depthwise",
    "w_pointwise": "pointwise_weight weight_pointwise",
    "w_pool": "pool_weight weight_pool",
    "ws": "weights",
    "x": "input inputs",
    "xs": "xs tensors arrays inputs",
    "y": "x other",
}
"""What an argument (or an output that ``matrix`` is given) may be called since."""

MATRIX: dict[str, dict[str, int]] = {
    **{name: {"switches": 0} for name in ("adaptive_max_pool2d", "global_max_pool2d")},
    "max_pool2d": {"switches": 0, "tied": 1},
    "roi_pool": {"switches": 1},
    "spatial_pyramid_pool2d": {"switches": 0},
}
"""Outputs that the matrix is linear for, and their places among what forward saves."""

NO_MATRIX = set(
    [
        "batch_norm",
        "binary_cross_entropy_with_logits",
        "cross_entropy",
        "dice_loss",
        "group_norm",
        "hard_sigmoid",
        "hard_swish",
        "l2_norm",
        "leaky_relu",
        "log_softmax",
        "relu",
        "sigmoid",
        "sigmoid_focal_loss",
        "silu",
        "smooth_l1_loss",
        "softmax",
    ]
)
NO_DOUBLE_BACKWARD = {"dice_loss", "l2_norm", "sigmoid_focal_loss"}
"""(One that got one since has no counterpart in the record before.)"""

OPERATORS = tuple(CALLS)[: tuple(CALLS).index("unet")]


def names_today(function: Callable[..., Any], name: str) -> dict[str, str]:
    """From the old names of a call's arguments to those that its signature has now."""
    old = [word.rstrip("*") for word in CALLS[name].split()]
    known = list(inspect.signature(function).parameters)
    today = {word: word for word in old if word in known}
    for place, word in enumerate(old):
        if word not in today:
            free = [new for new in RENAMED.get(word, "").split() if new in known]
            free = [new for new in (*free, *known[place : place + 1]) if new not in today.values()]
            if not free:
                raise TypeError(f"{name} has no argument {word} any more: add it to RENAMED")
            today[word] = free[0]
    return today


def arguments_today(
    function: Callable[..., Any], name: str, arguments: dict[str, Any]
) -> dict[str, Any]:
    """The arguments by the names of today."""
    today = names_today(function, name)
    return {today[word]: value for word, value in arguments.items()}


def call(function: Callable[..., Any], name: str, **arguments: Any) -> Any:
    return function(**arguments_today(function, name, arguments))


# -- digests --------------------------------------------------------------------------------------


def digest(array: Any) -> str:
    """Dtype, shape, and a hash of these and the bytes; a second one without what makes one NaN
    differ from another (sign and payload), if there is a NaN."""
    array = np.asarray(array)
    kind = f"{array.dtype.name}{list(array.shape)}"
    hashes = [_hash(kind, array)]
    if array.dtype.kind == "f" and np.isnan(array).any():
        hashes.append(
            "nan:" + _hash(kind, np.where(np.isnan(array), array.dtype.type(np.nan), array))
        )
    return " ".join([kind.replace(" ", ""), *hashes])


def _hash(kind: str, array: Any) -> str:
    return hashlib.sha256(kind.encode() + np.ascontiguousarray(array).tobytes()).hexdigest()


def arrays_of(results: Any) -> list[Any]:
    """One result or several, sequences flattened; without None."""
    if isinstance(results, (tuple, list)):
        return [array for result in results for array in arrays_of(result)]
    return [] if results is None else [np.asarray(results)]


class Record:
    """Digests by key, and how the run is going."""

    def __init__(self) -> None:
        self.arrays: dict[str, str] = {}
        self.calls = 0

    def add(self, call: str, what: str, results: Any) -> None:
        found = arrays_of(results)
        for place, array in enumerate(found):
            number = f" {place}" if len(found) > 1 else ""
            self.put(f"{call} | {what}{number}", digest(array))

    def put(self, key: str, value: str) -> None:
        if key in self.arrays:
            raise ValueError(f"two arrays have the key {key!r}")
        self.arrays[key] = value

    @contextlib.contextmanager
    def one(self, call: str) -> Iterator[None]:
        """A call; its error, if it has one, in the place of its arrays."""
        self.calls += 1
        try:
            yield
        except Exception as error:
            self.put(f"{call} | error", f"{type(error).__name__}: {error}")
            print(f"  {call}: {type(error).__name__}: {error}", file=sys.stderr)


# -- inputs ---------------------------------------------------------------------------------------

Rng = np.random.Generator
Maker = Callable[[Rng, Any], Any]
"""Makes an array of a dtype."""


def real(*shape: int, scale: float = 1.0) -> Maker:
    return lambda rng, dtype: (scale * rng.standard_normal(shape)).astype(dtype)


def positive(*shape: int) -> Maker:
    return lambda rng, dtype: (0.25 + rng.random(shape)).astype(dtype)


def share(*shape: int) -> Maker:
    """In [0, 1], with some 0 and 1."""
    return lambda rng, dtype: np.clip(1.5 * rng.random(shape) - 0.25, 0, 1).astype(dtype)


def coarse(*shape: int) -> Maker:
    """Quarters: with ties."""
    return lambda rng, dtype: (rng.integers(-4, 5, shape) / 4).astype(dtype)


def odd(*shape: int) -> Maker:
    """NaN, infinities, both zeros, the largest, the smallest and large numbers among others."""

    def make(rng: Rng, dtype: Any) -> Any:
        info = np.finfo(dtype)
        special = [np.nan, np.inf, -np.inf, 0.0, -0.0, info.max, -info.max, 90.0, -90.0,
                   info.smallest_subnormal, 1e-20, 3.0, -3.0]  # fmt: skip
        array = (3 * rng.standard_normal(shape)).astype(dtype)
        array = np.where(rng.random(shape) < 0.3, rng.choice(special, shape), array)
        return array.astype(dtype)

    return make


def some_nan(*shape: int, share: float = 0.02) -> Maker:
    """Some NaN and infinities, and else real numbers."""

    def make(rng: Rng, dtype: Any) -> Any:
        array, chance = rng.standard_normal(shape), rng.random(shape)
        array = np.where(chance < share, np.nan, array)
        return np.where(chance > 1 - share, np.inf, array).astype(dtype)

    return make


def integers(low: int, high: int, *shape: int, dtype: Any = np.int64) -> Maker:
    return lambda rng, _: rng.integers(low, high, shape).astype(dtype)


def labels(classes: int, *shape: int, ignored: int | None = None, dtype: Any = np.int64) -> Maker:
    def make(rng: Rng, _: Any) -> Any:
        found = rng.integers(0, classes, shape)
        if ignored is not None:
            found = np.where(rng.random(shape) < 0.2, ignored, found)
        return found.astype(dtype)

    return make


def diagonal(channels: int, *kernel: int) -> Maker:
    """Weights that join each channel with the filter of its own number alone."""

    def make(rng: Rng, dtype: Any) -> Any:
        own = np.eye(channels, dtype=bool)[..., None, None]
        return np.where(own, rng.standard_normal((channels, channels, *kernel)), 0).astype(dtype)

    return make


def rois(count: int, images: int, rows: float, columns: float) -> Maker:
    """Boxes x1, y1, x2, y2 behind the index of their image: some leave it, some are empty."""

    def make(rng: Rng, dtype: Any) -> Any:
        corner = rng.uniform(-0.3, 1.0, (count, 2)) * (columns, rows)
        size = rng.uniform(-0.1, 1.0, (count, 2)) * (columns, rows)
        size[::7] = 0
        index = rng.integers(0, images, (count, 1))
        return np.concatenate([index, corner, corner + size], 1).astype(dtype)

    return make


def shares_of_image(count: int) -> Maker:
    """Boxes y1, x1, y2, x2 in shares of an image; some leave it, some are mirrored."""

    def make(rng: Rng, dtype: Any) -> Any:
        boxes = rng.uniform(-0.2, 1.2, (count, 4))
        boxes[::3] = rng.uniform(0, 1, (len(boxes[::3]), 4))
        return boxes.astype(dtype)

    return make


def corners(count: int, size: float = 100.0, whole: bool = False) -> Maker:
    """Boxes x1, y1, x2, y2 that overlap."""

    def make(rng: Rng, dtype: Any) -> Any:
        first, sides = rng.uniform(0, size, (count, 2)), rng.uniform(1, size / 2, (count, 2))
        boxes = np.concatenate([first, first + sides], 1)
        return (np.round(boxes) if whole else boxes).astype(dtype)

    return make


def strided(maker: Maker, axis: int = -1) -> Maker:
    """The same numbers, as every second one of a larger array that lies in Fortran's order."""

    def make(rng: Rng, dtype: Any) -> Any:
        array = np.asfortranarray(np.repeat(maker(rng, dtype), 2, axis))
        return array[
            tuple(slice(None, None, 2 if a == axis % array.ndim else 1) for a in range(array.ndim))
        ]

    return make


def swapped(maker: Maker) -> Maker:
    """In the other byte order."""

    def make(rng: Rng, dtype: Any) -> Any:
        array = maker(rng, dtype)
        return array.astype(array.dtype.newbyteorder())

    return make


# -- calls of operators ---------------------------------------------------------------------------


class Case(NamedTuple):
    operator: str
    label: str
    arguments: dict[str, Any]

    @property
    def key(self) -> str:
        return f"{self.operator} | {self.label}"

    def made(self, dtype: Any) -> dict[str, Any]:
        """The arguments; makers of arrays, also in lists, have made them. Equal in every run."""

        def make(value: Any, *seed: int) -> Any:
            if isinstance(value, list) and value and callable(value[0]):
                return [make(part, *seed, i) for i, part in enumerate(value)]
            if not callable(value):
                return value
            array = np.asarray(value(np.random.default_rng(seed), dtype))
            array.flags.writeable = False
            return array

        seed = zlib.crc32(self.key.encode())
        return {name: make(v, seed, i) for i, (name, v) in enumerate(self.arguments.items())}


Cases = Iterator[Case]


def convolutions() -> Cases:
    def conv(label: str, x: Any, w: Any, bias: bool = True, **how: Any) -> Case:
        arrays = {"x": x if callable(x) else real(*x), "w": w if callable(w) else real(*w)}
        if bias:
            arrays["b"] = real(how.pop("filters", None) or w[0])
        return Case("conv2d", label, arrays | how)

    yield conv("3x3, padding 1", (2, 3, 10, 13), (4, 3, 3, 3), padding=1)
    yield conv("3x3 without bias", (2, 3, 10, 13), (5, 3, 3, 3), bias=False)
    yield conv("3x3, rows of whole vectors", (2, 4, 12, 32), (9, 4, 3, 3), padding=1)
    yield conv("3x3, a vector and one", (1, 4, 9, 17), (8, 4, 3, 3), padding=1)
    yield conv("3x3, narrow", (3, 5, 20, 5), (7, 5, 3, 3), padding=1)
    yield conv("3x3, one filter", (1, 6, 20, 50), (1, 6, 3, 3), padding=1)
    yield conv("3x3, one filter, narrow", (2, 6, 20, 9), (1, 6, 3, 3), padding=1)
    yield conv("3x3, two filters", (1, 6, 20, 50), (2, 6, 3, 3), padding=1)
    yield conv("3x3, four filters", (1, 6, 30, 100), (4, 6, 3, 3), padding=1)
    yield conv("3x3, one channel", (2, 1, 20, 40), (8, 1, 3, 3), padding=1)
    yield conv("3x3, one channel to one filter", (2, 1, 20, 40), (1, 1, 3, 3), padding=1)
    yield conv("3x3, a pixel", (2, 3, 1, 1), (4, 3, 3, 3), padding=1)
    yield conv("3x3, many filters, small image", (1, 16, 8, 8), (256, 16, 3, 3), padding=1)
    yield conv("3x3, many channels, small image", (1, 130, 7, 7), (24, 130, 3, 3), padding=1)
    yield conv("3x3, two threads", (2, 16, 64, 64), (32, 16, 3, 3), padding=1)
    yield conv("3x3, two threads, 64 to 64", (1, 64, 56, 56), (64, 64, 3, 3), padding=1)
    yield conv("3x3, large image, few channels", (1, 3, 150, 170), (6, 3, 3, 3), padding=1)
    yield conv("3x3, filters make vectors", (6, 8, 20, 20), (64, 8, 3, 3), padding=1)
    yield conv("3x3, filters make vectors, two chunks, no bias", (6, 8, 20, 20), (128, 8, 3, 3),
               bias=False, padding=1)  # fmt: skip
    yield conv("3x3, filters make vectors, groups", (7, 16, 19, 20), (128, 8, 3, 3), padding=1,
               groups=2)  # fmt: skip
    yield conv("3x3, filters make vectors, large image", (1, 8, 60, 60), (64, 8, 3, 3), padding=1)
    yield conv("3x3, filters make vectors, stride 2", (8, 8, 27, 27), (64, 8, 3, 3), padding=1,
               stride=2)  # fmt: skip
    yield conv("3x3, filters make vectors both ways", (5, 64, 11, 11), (64, 64, 3, 3), padding=1)
    yield conv("2x2, filters make vectors", (8, 16, 13, 13), (64, 16, 2, 2))
    yield conv("1x1", (2, 16, 12, 12), (32, 16, 1, 1))
    yield conv("1x1, no bias, 221 pixels", (1, 8, 13, 17), (5, 8, 1, 1), bias=False)
    yield conv("1x1, a square of a prime", (1, 64, 61, 61), (16, 64, 1, 1))
    yield conv("1x1, several bands", (1, 64, 60, 60), (64, 64, 1, 1))
    yield conv("1x1, many filters, a pixel", (3, 40, 1, 1), (130, 40, 1, 1))
    yield conv("1x1, stride 2", (2, 6, 15, 18), (8, 6, 1, 1), stride=2)
    yield conv("1x1, padding 1", (2, 6, 9, 8), (8, 6, 1, 1), padding=1)
    yield conv("1x1, groups", (2, 12, 9, 18), (8, 6, 1, 1), groups=2)
    yield conv("1x1, one channel to one filter", (2, 6, 9, 18), (6, 1, 1, 1), groups=6)
    yield conv("3x3, stride 2", (2, 5, 17, 40), (6, 5, 3, 3), padding=1, stride=2)
    yield conv("3x3, stride 3", (2, 5, 17, 52), (6, 5, 3, 3), padding=1, stride=3)
    yield conv("3x3, stride (1, 2)", (2, 5, 11, 34), (6, 5, 3, 3), padding=1, stride=(1, 2))
    yield conv("3x3, stride (2, 1)", (2, 5, 11, 34), (6, 5, 3, 3), padding=1, stride=(2, 1))
    yield conv("5x5, stride 2", (1, 4, 21, 44), (6, 4, 5, 5), padding=2, stride=2)
    yield conv("2x2, stride 2", (2, 4, 16, 36), (6, 4, 2, 2), stride=2)
    yield conv("4x4, stride 4, patches", (1, 3, 32, 72), (12, 3, 4, 4), stride=4)
    yield conv("8x8, stride 8, patches", (1, 3, 32, 72), (12, 3, 8, 8), stride=8)
    yield conv("7x7, stride 2, an image", (1, 3, 45, 62), (20, 3, 7, 7), padding=3, stride=2)
    yield conv("7x7, stride 2, an image, 64 filters", (1, 1, 30, 62), (64, 1, 7, 7), padding=3,
               stride=2)  # fmt: skip
    yield conv("5x5, stride 7", (1, 3, 30, 40), (4, 3, 5, 5), stride=7)
    yield conv("3x3, stride 40", (1, 2, 85, 90), (3, 2, 3, 3), stride=40)
    yield conv("3x3, a stride beyond the image", (1, 2, 7, 8), (3, 2, 3, 3), stride=1009)
    yield conv("1x7 and 7x1", (1, 4, 12, 30), (6, 4, 1, 7), padding=(0, 3))
    yield conv("7x1", (1, 4, 24, 20), (6, 4, 7, 1), padding=(3, 0))
    yield conv("9x9", (1, 2, 20, 30), (3, 2, 9, 9), padding=4)
    yield conv("3x3, dilation 2", (2, 4, 15, 36), (6, 4, 3, 3), padding=2, dilation=2)
    yield conv("3x3, dilation 3, uneven classes", (1, 4, 11, 36), (6, 4, 3, 3), padding=3,
               dilation=3)  # fmt: skip
    yield conv("3x3, dilation 12, mostly padding", (1, 8, 17, 17), (16, 8, 3, 3), padding=12,
               dilation=12)  # fmt: skip
    yield conv("3x3, dilation 24, only the middle", (1, 8, 17, 17), (16, 8, 3, 3), padding=24,
               dilation=24)  # fmt: skip
    yield conv(
        "3x3, dilation (2, 3)", (1, 4, 15, 36), (6, 4, 3, 3), padding=(2, 3), dilation=(2, 3)
    )
    yield conv("3x3, dilation (1, 2)", (1, 4, 15, 36), (64, 4, 3, 3), padding=(1, 2),
               dilation=(1, 2))  # fmt: skip
    yield conv("3x3, dilation 2, filters make vectors", (6, 8, 20, 20), (64, 8, 3, 3), padding=2,
               dilation=2)  # fmt: skip
    yield conv("3x3, stride 2, dilation 2", (1, 4, 21, 40), (6, 4, 3, 3), stride=2, dilation=2)
    yield conv("3x3, stride 2, dilation 3", (1, 4, 21, 40), (6, 4, 3, 3), stride=2, dilation=3)
    yield conv("3x3, stride 3, dilation 2", (1, 4, 21, 52), (6, 4, 3, 3), stride=3, dilation=2)
    yield conv("3x3, stride 4, dilation 6", (1, 4, 41, 52), (6, 4, 3, 3), stride=4, dilation=6)
    yield conv("4x4, same", (2, 3, 10, 21), (4, 3, 4, 4), padding="same")
    yield conv("4x4, same, stride 2", (2, 3, 11, 21), (4, 3, 4, 4), padding="same", stride=2)
    yield conv("4x4, same_lower", (2, 3, 10, 21), (4, 3, 4, 4), padding="same_lower")
    yield conv("3x3, four paddings", (2, 3, 10, 21), (4, 3, 3, 3), padding=(0, 2, 1, 3))
    yield conv("3x3, padding 5", (1, 3, 8, 9), (4, 3, 3, 3), padding=5)
    yield conv("3x3, groups 2", (2, 6, 10, 21), (8, 3, 3, 3), padding=1, groups=2)
    yield conv(
        "3x3, groups 3, stride 2", (2, 6, 11, 41), (9, 2, 3, 3), padding=1, groups=3, stride=2
    )
    yield conv("3x3, 8 groups of 4", (2, 32, 12, 37), (32, 4, 3, 3), padding=1, groups=8)
    yield conv("3x3, 32 groups of 2", (1, 64, 12, 32), (64, 2, 3, 3), padding=1, groups=32)
    yield conv("3x3, 8 groups of 4, dilation 2", (1, 32, 13, 37), (32, 4, 3, 3), padding=2,
               groups=8, dilation=2)  # fmt: skip
    yield conv("3x3, 8 groups of 4, several bands", (1, 32, 130, 120), (32, 4, 3, 3), padding=1,
               groups=8)  # fmt: skip
    yield conv("depthwise 3x3", (2, 5, 14, 37), (5, 1, 3, 3), padding=1, groups=5)
    yield conv("depthwise 3x3, no bias, valid", (2, 5, 15, 35), (5, 1, 3, 3), bias=False, groups=5)
    yield conv("depthwise 3x3, padding 3", (1, 4, 9, 20), (4, 1, 3, 3), padding=3, groups=4)
    yield conv("depthwise 3x3, four paddings", (1, 4, 9, 20), (4, 1, 3, 3), padding=(0, 2, 3, 1),
               groups=4)  # fmt: skip
    yield conv("depthwise 3x3, two filters each", (2, 4, 14, 37), (8, 1, 3, 3), padding=1, groups=4)
    yield conv("depthwise 3x3, dilation 2", (1, 4, 14, 37), (4, 1, 3, 3), padding=2, groups=4,
               dilation=2)  # fmt: skip
    yield conv("depthwise 3x3, dilation (3, 1)", (1, 4, 14, 37), (4, 1, 3, 3), padding=(3, 1),
               groups=4, dilation=(3, 1))  # fmt: skip
    yield conv("depthwise 3x3, several bands", (1, 2, 303, 64), (2, 1, 3, 3), padding=1, groups=2)
    yield conv("depthwise 3x3, two threads", (1, 16, 130, 140), (16, 1, 3, 3), padding=1, groups=16)
    yield conv("depthwise 3x3, narrow", (2, 5, 14, 6), (5, 1, 3, 3), padding=1, groups=5)
    yield conv(
        "depthwise 3x3, stride 2", (1, 6, 21, 70), (6, 1, 3, 3), padding=1, groups=6, stride=2
    )
    yield conv("depthwise 5x5", (1, 6, 21, 39), (6, 1, 5, 5), padding=2, groups=6)
    yield conv("depthwise 5x5, stride 2, dilation 2", (1, 6, 33, 70), (6, 1, 5, 5), padding=4,
               groups=6, stride=2, dilation=2)  # fmt: skip
    yield conv("16x16, stride 8", (2, 3, 40, 56), (5, 3, 16, 16), padding=(4, 0, 3, 5), stride=8)
    yield conv("16x16, stride 8, groups, no bias", (1, 6, 40, 56), (6, 3, 16, 16), bias=False,
               stride=8, groups=2)  # fmt: skip
    yield conv("16x16, stride 8, many filters", (1, 2, 24, 40), (75, 2, 16, 16), stride=8)
    yield conv("16x16, stride 8, many outputs", (1, 5, 64, 400), (8, 5, 16, 16), stride=8)
    yield conv("32x32, stride 16", (1, 2, 70, 100), (3, 2, 32, 32), padding=8, stride=16)
    yield conv("64x64, stride 32", (1, 2, 160, 192), (3, 2, 64, 64), padding=16, stride=32)
    yield conv("8x8, stride 4, half a vector", (1, 3, 40, 52), (4, 3, 8, 8), padding=2, stride=4)
    yield conv("diagonal weights", (2, 6, 12, 20), diagonal(6, 3, 3), filters=6, padding=1)
    yield conv("diagonal weights, NaN in the image", some_nan(2, 6, 12, 20), diagonal(6, 3, 3),
               filters=6, padding=1)  # fmt: skip
    yield conv("diagonal weights, several blocks", (2, 6, 60, 70), diagonal(6, 5, 5), filters=6,
               padding=2)  # fmt: skip
    yield conv("nearly diagonal weights", (1, 3, 9, 20),
               lambda rng, dtype: np.where(np.arange(9).reshape(3, 3, 1, 1) == 2, 0.5,
                                           diagonal(3, 3, 3)(rng, dtype)).astype(dtype),
               filters=3, padding=1)  # fmt: skip
    yield conv("NaN and infinity", some_nan(2, 4, 12, 21), (8, 4, 3, 3), padding=1)
    yield conv("NaN and infinity, filters make vectors", some_nan(6, 8, 20, 20), (64, 8, 3, 3),
               padding=1)  # fmt: skip
    yield conv("NaN and infinity, depthwise", some_nan(2, 4, 12, 21), (4, 1, 3, 3), padding=1,
               groups=4)  # fmt: skip
    yield conv("NaN and infinity, 16x16", some_nan(1, 2, 40, 40, share=0.001), (3, 2, 16, 16),
               stride=8)  # fmt: skip
    yield conv("strided arrays", strided(real(2, 3, 10, 13)), strided(real(4, 3, 3, 3), 1), filters=4,
               padding=1)  # fmt: skip
    yield conv("swapped bytes", swapped(real(2, 3, 10, 13)), swapped(real(4, 3, 3, 3)), filters=4,
               padding=1)  # fmt: skip
    yield conv("no image", (0, 3, 8, 8), (4, 3, 3, 3), padding=1)
    yield conv("no channel", (2, 0, 8, 8), (4, 0, 3, 3), padding=1)
    yield conv("no filter", (2, 3, 8, 8), (0, 3, 3, 3), padding=1)
    for algorithm in ("winograd2", "winograd4"):
        how = {"algorithm": algorithm}
        yield conv(f"{algorithm}, padding 1", (2, 5, 18, 23), (9, 5, 3, 3), padding=1, **how)
        yield conv(f"{algorithm}, valid, no bias", (1, 3, 13, 40), (16, 3, 3, 3), bias=False, **how)
        yield conv(f"{algorithm}, padding 4", (1, 3, 9, 7), (4, 3, 3, 3), padding=4, **how)
        yield conv(f"{algorithm}, four paddings", (1, 3, 9, 17), (4, 3, 3, 3), padding=(0, 3, 2, 1),
                   **how)  # fmt: skip
        yield conv(
            f"{algorithm}, groups", (3, 10, 11, 14), (18, 5, 3, 3), padding=1, groups=2, **how
        )
        yield conv(f"{algorithm}, blocks and chunks", (2, 70, 14, 14), (75, 70, 3, 3), padding=1,
                   **how)  # fmt: skip
        yield conv(f"{algorithm}, two threads", (1, 32, 70, 75), (40, 32, 3, 3), padding=1, **how)
        yield conv(
            f"{algorithm}, several bands", (1, 64, 112, 116), (16, 64, 3, 3), padding=1, **how
        )
        yield conv(f"{algorithm}, wide rows", (1, 2, 8, 150), (3, 2, 3, 3), padding=1, **how)
        yield conv(f"{algorithm}, a pixel", (1, 2, 1, 1), (3, 2, 3, 3), padding=1, **how)
        yield conv(f"{algorithm}, NaN and infinity", some_nan(1, 3, 20, 20, share=0.005), (4, 3, 3, 3),
                   padding=1, **how)  # fmt: skip


def transposed_convolutions() -> Cases:
    def conv(label: str, x: Any, w: Any, bias: int | None = None, **how: Any) -> Case:
        arrays = {"x": x if callable(x) else real(*x), "w": w if callable(w) else real(*w)}
        if bias is not None:
            arrays["b"] = real(bias)
        return Case("conv_transpose2d", label, arrays | how)

    yield conv("2x2, stride 2", (2, 6, 9, 20), (6, 5, 2, 2), 5, stride=2)
    yield conv("2x2, stride 2, no bias", (2, 6, 9, 20), (6, 8, 2, 2), stride=2)
    yield conv("2x2, stride 2, two threads", (1, 32, 40, 40), (32, 16, 2, 2), 16, stride=2)
    yield conv("2x2, stride 2, many channels", (1, 16, 14, 14), (16, 130, 2, 2), 130, stride=2)
    yield conv("2x2, stride 2, large image", (1, 8, 90, 100), (8, 4, 2, 2), 4, stride=2)
    yield conv("3x3, stride 2, output padding", (2, 4, 9, 20), (4, 3, 3, 3), 3, stride=2, padding=1,
               output_padding=1)  # fmt: skip
    yield conv("4x4, stride 2, padding 1", (2, 4, 9, 20), (4, 3, 4, 4), 3, stride=2, padding=1)
    yield conv("4x4, stride 2, padding 3", (2, 4, 9, 20), (4, 3, 4, 4), 3, stride=2, padding=3)
    yield conv("3x3, stride 3", (1, 4, 7, 12), (4, 3, 3, 3), 3, stride=3)
    yield conv("5x5, stride 3", (1, 4, 7, 12), (4, 3, 5, 5), 3, stride=3, padding=1)
    yield conv("4x4, stride 4", (1, 4, 7, 12), (4, 3, 4, 4), 3, stride=4)
    yield conv("8x8, stride 4", (1, 4, 7, 12), (4, 3, 8, 8), 3, stride=4, padding=2)
    yield conv("8x8, stride 8", (1, 4, 5, 12), (4, 3, 8, 8), 3, stride=8)
    yield conv("5x5, stride 5", (1, 4, 5, 12), (4, 3, 5, 5), 3, stride=5)
    yield conv("10x10, stride 7", (1, 3, 5, 9), (3, 2, 10, 10), 2, stride=7)
    yield conv("16x16, stride 8", (1, 3, 6, 9), (3, 2, 16, 16), 2, stride=8, padding=4)
    yield conv(
        "16x16, stride 8, groups", (2, 4, 6, 9), (4, 2, 16, 16), 4, stride=8, padding=4, groups=2
    )
    yield conv("32x32, stride 16", (1, 3, 5, 9), (3, 2, 32, 32), 2, stride=16, padding=8)
    yield conv("32x32, stride 16, groups", (2, 4, 5, 7), (4, 1, 32, 32), 2, stride=16, groups=2)
    yield conv("64x64, stride 32", (1, 3, 5, 6), (3, 2, 64, 64), 2, stride=32, padding=16)
    yield conv("64x64, stride 32, two threads", (1, 5, 8, 8), (5, 4, 64, 64), 4, stride=32)
    yield conv(
        "64x64, stride 32, diagonal weights", (1, 4, 5, 6), diagonal(4, 64, 64), 4, stride=32
    )
    yield conv("4x4, stride 2, diagonal weights", (1, 4, 9, 20), diagonal(4, 4, 4), stride=2,
               padding=1)  # fmt: skip
    yield conv("4x4, stride 2, diagonal weights, NaN", some_nan(1, 4, 9, 20), diagonal(4, 4, 4),
               stride=2, padding=1)  # fmt: skip
    yield conv("7x7, stride 2, few channels of many", (1, 24, 12, 33), (24, 1, 7, 7), 1, stride=2,
               padding=3)  # fmt: skip
    yield conv("7x7, stride (3, 2), few channels of many", (1, 24, 12, 33), (24, 1, 7, 7), 1,
               stride=(3, 2))  # fmt: skip
    yield conv("3x3, stride 40", (1, 3, 3, 3), (3, 2, 3, 3), 2, stride=40)
    yield conv("3x3", (2, 4, 9, 20), (4, 6, 3, 3), 6)
    yield conv("3x3, padding 1", (2, 4, 9, 20), (4, 6, 3, 3), 6, padding=1)
    yield conv("3x3, padding 3", (2, 4, 9, 20), (4, 6, 3, 3), 6, padding=3)
    yield conv("3x3, filters make vectors", (8, 16, 20, 20), (16, 64, 3, 3), 64, padding=1)
    yield conv("3x3, one channel each", (1, 4, 9, 20), (4, 1, 3, 3), 4, groups=4)
    yield conv(
        "3x3, one channel each, stride 2", (1, 4, 9, 20), (4, 1, 3, 3), 4, groups=4, stride=2
    )
    yield conv("4x4, one channel each, stride 2, bilinear", (1, 4, 9, 20), (4, 1, 4, 4), groups=4,
               stride=2, padding=1)  # fmt: skip
    yield conv("3x3, groups 2", (1, 4, 9, 20), (4, 3, 3, 3), 6, groups=2, stride=2)
    yield conv("1x1", (1, 8, 9, 20), (8, 6, 1, 1), 6)
    yield conv("1x1, stride 2", (1, 8, 9, 20), (8, 6, 1, 1), 6, stride=2)
    yield conv("3x3, stride (1, 2)", (1, 4, 9, 20), (4, 3, 3, 3), 3, stride=(1, 2))
    yield conv("3x3, stride (2, 1)", (1, 4, 9, 20), (4, 3, 3, 3), 3, stride=(2, 1))
    yield conv("3x3, dilation 2", (1, 4, 9, 20), (4, 3, 3, 3), 3, dilation=2)
    yield conv("3x3, stride 2, dilation 2", (1, 4, 9, 20), (4, 3, 3, 3), 3, stride=2, dilation=2)
    yield conv("3x3, stride 2, dilation 3", (1, 4, 9, 20), (4, 3, 3, 3), 3, stride=2, dilation=3,
               padding=2, output_padding=2)  # fmt: skip
    yield conv("3x3, stride 2, output size", (1, 4, 9, 20), (4, 3, 3, 3), 3, stride=2, padding=1,
               output_size=(18, 39))  # fmt: skip
    yield conv("3x3, stride 2, same", (1, 4, 9, 20), (4, 3, 3, 3), 3, stride=2, padding="same")
    yield conv("3x3, stride 2, same_lower", (1, 4, 9, 20), (4, 3, 3, 3), 3, stride=2,
               padding="same_lower", output_size=(17, 40))  # fmt: skip
    yield conv(
        "2x2, stride 3, same, gaps", (1, 4, 9, 20), (4, 3, 2, 2), 3, stride=3, padding="same"
    )
    for stride in (1, 2, 3):
        yield conv(f"3x3, stride {stride}, averages", (1, 4, 9, 20), (4, 3, 3, 3), 3, stride=stride,
                   overlap="average")  # fmt: skip
    yield conv("3x3, averages, no bias, two threads", (1, 4, 90, 120), (4, 6, 3, 3), stride=2,
               overlap="average")  # fmt: skip
    yield conv(
        "strided arrays", strided(real(1, 4, 9, 20)), strided(real(4, 3, 3, 3), 0), 3, stride=2
    )
    yield conv("no image", (0, 4, 9, 20), (4, 3, 3, 3), 3, stride=2)


def composed_convolutions() -> Cases:
    def aspp(label: str, x: Any, filters: Any, rates: Any, pool: int = 0, bias: int = 0,
             **how: Any) -> Case:  # fmt: skip
        kernels = [real(f, x[1], k, k) for f, k in filters]
        arrays: dict[str, Any] = {"x": real(*x), "ws": kernels}
        if pool:
            arrays["w_pool"] = real(pool, x[1], 1, 1)
        if bias:
            arrays["b"] = real(bias)
        return Case("aspp2d", label, arrays | {"rates": rates} | how)

    yield aspp("v3", (2, 6, 17, 20), [(4, 1), (4, 3), (4, 3)], (1, 2, 6), pool=4, bias=16)
    yield aspp("v3, other filters", (1, 6, 17, 20), [(3, 1), (5, 3)], (1, 12), pool=2)
    yield aspp("v2, sums", (1, 6, 17, 20), [(4, 3), (4, 3), (4, 3), (4, 3)], (2, 4, 8, 12), bias=4,
               combine="sum")  # fmt: skip
    yield aspp("sums with the image's level", (1, 6, 9, 20), [(4, 1), (4, 3)], (1, 2), pool=4, bias=4,
               combine="sum")  # fmt: skip
    yield aspp("one branch, sums", (1, 6, 9, 20), [(4, 3)], (2,), combine="sum")
    yield aspp(
        "two threads", (1, 32, 65, 65), [(16, 1), (16, 3), (16, 3)], (1, 6, 12), pool=16, bias=64
    )

    def separable(label: str, x: Any, multiplier: int, filters: int, kernel: Any, bias: bool = True,
                  hidden: bool = False, **how: Any) -> Case:  # fmt: skip
        channels = x[1] * multiplier
        arrays: dict[str, Any] = {"x": real(*x), "w_depthwise": real(channels, 1, *kernel)}
        arrays["w_pointwise"] = real(filters, channels, 1, 1)
        if bias:
            arrays["b"] = real(filters)
        if hidden:
            arrays["b_depthwise"] = real(channels)
        return Case("separable_conv2d", label, arrays | how)

    yield separable("3x3", (2, 6, 12, 21), 1, 8, (3, 3), padding=1)
    yield separable("3x3, two biases", (2, 6, 12, 21), 1, 8, (3, 3), padding=1, hidden=True)
    yield separable("3x3, no bias", (2, 6, 12, 21), 2, 8, (3, 3), bias=False, padding="same")
    yield separable("5x5, stride 2", (1, 6, 15, 40), 1, 8, (5, 5), padding=2, stride=2, hidden=True)
    yield separable("3x3, dilation 2", (1, 6, 15, 21), 2, 8, (3, 3), padding=2, dilation=2)
    yield separable("two threads", (1, 32, 70, 70), 1, 64, (3, 3), padding=1)

    def deform(label: str, x: Any, filters: int, kernel: Any, out: Any, groups: int = 1,
               offset_groups: int = 1, mask: bool = False, bias: bool = True, spread: float = 1.0,
               image: Maker | None = None, **how: Any) -> Case:  # fmt: skip
        taps = offset_groups * kernel[0] * kernel[1]
        arrays = {"x": image or real(*x), "offset": real(x[0], 2 * taps, *out, scale=spread)}
        arrays["w"] = real(filters, x[1] // groups, *kernel)
        if bias:
            arrays["b"] = real(filters)
        if mask:
            arrays["mask"] = positive(x[0], taps, *out)
        return Case("deform_conv2d", label, arrays | how)

    yield deform("v1", (2, 5, 9, 12), 6, (3, 3), (9, 12), padding=1)
    yield deform("v1, no bias, valid", (1, 5, 9, 12), 6, (3, 3), (7, 10), bias=False)
    yield deform("v2", (2, 5, 9, 12), 6, (3, 3), (9, 12), mask=True, padding=1)
    yield deform("v2, mxnet", (2, 5, 9, 12), 6, (3, 3), (9, 12), mask=True, padding=1, boundary="mxnet",
                 spread=3.0)  # fmt: skip
    yield deform(
        "v1, mmcv", (2, 5, 9, 12), 6, (3, 3), (9, 12), padding=1, boundary="mmcv", spread=3.0
    )
    yield deform("groups and offset groups", (1, 16, 9, 12), 12, (3, 3), (9, 12), groups=2,
                 offset_groups=4, mask=True, padding=1)  # fmt: skip
    yield deform("groups of one filter", (1, 8, 9, 12), 4, (3, 3), (9, 12), groups=4, padding=1)
    yield deform("stride 2, dilation 2", (1, 20, 15, 18), 8, (3, 3), (6, 7), stride=2, dilation=2)
    yield deform("1x1, far away", (1, 3, 9, 12), 4, (1, 1), (9, 12), spread=8.0)
    yield deform("whole pixels", (1, 3, 9, 12), 4, (3, 3), (9, 12), spread=0.0, padding=1)
    yield deform(
        "64 filters, two threads", (1, 32, 40, 40), 64, (3, 3), (40, 40), mask=True, padding=1
    )
    yield deform("40 filters, several images", (4, 17, 14, 14), 40, (3, 3), (14, 14), padding=1)
    yield deform("NaN and infinity", (1, 4, 9, 12), 5, (3, 3), (9, 12), padding=1,
                 image=some_nan(1, 4, 9, 12))  # fmt: skip
    yield deform("no image", (0, 4, 9, 12), 5, (3, 3), (9, 12), padding=1)


def matrices() -> Cases:
    def linear(label: str, x: Any, outputs: int, bias: bool = True) -> Case:
        arrays = {"x": x if callable(x) else real(*x)}
        inputs = x[-1] if isinstance(x, tuple) else 30
        arrays["w"] = real(outputs, inputs)
        return Case("linear", label, arrays | ({"b": real(outputs)} if bias else {}))

    yield linear("a vector", (30,), 7)
    yield linear("one row", (1, 40), 50)
    yield linear("few rows", (5, 300), 130)
    yield linear("five outputs", (70, 300), 5)
    yield linear("five outputs, long rows", (40, 2100), 5)
    yield linear("one output", (40, 65), 1)
    yield linear("no bias", (33, 65), 70, bias=False)
    yield linear("many rows", (700, 40), 20)
    yield linear("two threads", (600, 300), 200)
    yield linear("more axes", (2, 3, 5, 33), 18)
    yield linear("NaN and infinity", some_nan(12, 30), 40)
    yield linear("strided", strided(real(12, 30)), 40)
    yield linear("no row", (0, 30), 4)
    yield linear("no input", (4, 0), 6)


def windows() -> Cases:
    def pool(label: str, x: Any, kernel: Any, **how: Any) -> Case:
        arrays = {"x": x if callable(x) else real(*x)}
        return Case("max_pool2d", label, {**arrays, "kernel_size": kernel, **how})

    indices = {"return_switches": True}
    yield pool("2x2", (2, 3, 12, 40), 2)
    yield pool("2x2, indices", (2, 3, 12, 40), 2, **indices)
    yield pool("2x2, odd size", (2, 3, 13, 41), 2, **indices)
    yield pool("2x2, odd size, ceil", (2, 3, 13, 41), 2, ceil_mode=True, **indices)
    yield pool("2x2, padding 1", (2, 3, 12, 40), 2, stride=2, padding=1, **indices)
    yield pool("2x2, two threads", (2, 8, 100, 120), 2, **indices)
    yield pool("2x2, narrow", (2, 3, 12, 9), 2, **indices)
    yield pool("3x3, stride 2, padding 1", (2, 3, 13, 41), 3, stride=2, padding=1, **indices)
    yield pool("3x3, stride 2", (2, 3, 13, 41), 3, stride=2, **indices)
    yield pool("3x3, stride 2, ceil", (2, 3, 14, 42), 3, stride=2, ceil_mode=True, **indices)
    yield pool("3x3, stride 2, four paddings", (2, 3, 14, 42), 3, stride=2, padding=(0, 1, 2, 1),
               **indices)  # fmt: skip
    yield pool("3x3, stride 1", (2, 3, 10, 20), 3, stride=1, padding=1, **indices)
    yield pool("3x3, stride 3", (2, 3, 11, 20), 3, **indices)
    yield pool(
        "3x2, stride (2, 3)", (2, 3, 11, 20), (3, 2), stride=(2, 3), padding=(1, 0), **indices
    )
    yield pool("3x3, dilation 2", (2, 3, 12, 20), 3, stride=1, dilation=2, padding=2, **indices)
    yield pool(
        "2x2, dilation (2, 3), stride 2", (2, 3, 12, 21), 2, stride=2, dilation=(2, 3), **indices
    )
    yield pool("dilated window around a small image", (2, 3, 2, 2), 2, stride=1, dilation=3, padding=1,
               **indices)  # fmt: skip
    yield pool("5x5, two threads", (1, 8, 60, 70), 5, stride=1, padding=2, **indices)
    yield pool("one window has all", (2, 3, 5, 7), (5, 7), **indices)
    yield pool("one window has more than all", (2, 3, 5, 7), 9, padding=2, **indices)
    yield pool("same", (2, 3, 11, 20), 3, stride=2, padding="same", **indices)
    yield pool("same_lower", (2, 3, 11, 20), 2, stride=2, padding="same_lower", **indices)
    yield pool(
        "ceil, caffe", (1, 2, 7, 9), 2, stride=3, ceil_mode=True, ceil_rule="caffe", **indices
    )
    yield pool("ties, 2x2", coarse(2, 3, 12, 40), 2, **indices)
    yield pool("ties, 3x3", coarse(2, 3, 12, 21), 3, stride=1, padding=1, **indices)
    yield pool("odd numbers, 2x2", odd(2, 3, 12, 40), 2, **indices)
    yield pool("odd numbers, 3x3, stride 2", odd(2, 3, 13, 41), 3, stride=2, padding=1, **indices)
    yield pool("odd numbers, 3x3, stride 1", odd(2, 3, 13, 21), 3, stride=1, padding=1, **indices)
    yield pool("odd numbers, one window", odd(2, 3, 40, 41), (40, 41), **indices)
    for nan in ("first", "drop"):
        yield pool(f"nan {nan}", odd(2, 3, 13, 21), 3, stride=2, padding=1, nan=nan, **indices)
    yield pool("nan first, lowest", odd(2, 3, 13, 21), 2, nan="first", lowest=-1.0, **indices)
    yield pool("lowest 0", (2, 3, 13, 21), 2, lowest=0.0, **indices)
    yield pool("lowest of float32", odd(2, 3, 13, 21), 3, stride=2, lowest=-3.4028234663852886e38,
               **indices)  # fmt: skip
    for ties in ("split", "all"):
        yield pool(
            f"ties {ties}", coarse(2, 3, 12, 21), 3, stride=2, padding=1, ties=ties, **indices
        )
        yield pool(f"ties {ties}, 2x2", coarse(2, 3, 12, 40), 2, ties=ties)
        yield pool(f"ties {ties}, odd numbers", odd(2, 3, 12, 21), 2, ties=ties, **indices)
    for layout in ("nchw", "ncwh", "hwc", "nhwc"):
        yield pool(f"index layout {layout}", (2, 3, 13, 21), 3, stride=2, padding=1,
                   index_layout=layout, **indices)  # fmt: skip
    yield pool("strided", strided(real(2, 3, 12, 40)), 2, **indices)
    yield pool("no channel", (2, 0, 12, 40), 2, **indices)

    def average(label: str, x: Any, kernel: Any, **how: Any) -> Case:
        arrays = {"x": x if callable(x) else real(*x)}
        return Case("avg_pool2d", label, {**arrays, "kernel_size": kernel, **how})

    yield average("2x2", (2, 3, 12, 40), 2)
    yield average("2x2, odd size, ceil", (2, 3, 13, 41), 2, ceil_mode=True)
    yield average("2x2, padding 1", (2, 3, 12, 40), 2, padding=1)
    yield average(
        "2x2, padding 1, not counted", (2, 3, 12, 40), 2, padding=1, count_include_pad=False
    )
    yield average("2x2, narrow", (2, 3, 12, 9), 2)
    yield average("2x2, two threads", (1, 8, 130, 150), 2)
    yield average("3x3, stride 2, padding 1", (2, 3, 13, 41), 3, stride=2, padding=1)
    yield average("3x3, stride 2, narrow", (2, 3, 13, 9), 3, stride=2, padding=1)
    yield average("3x3, stride 1", (2, 3, 12, 20), 3, stride=1, padding=1)
    yield average("3x3, stride 3", (2, 3, 12, 20), 3)
    yield average("5x4, stride (2, 3)", (2, 3, 15, 22), (5, 4), stride=(2, 3), padding=(2, 1))
    yield average("4x2, stride (1, 2)", (2, 3, 15, 40), (4, 2), stride=(1, 2))
    yield average("2x2, stride 3, gaps", (2, 3, 15, 22), 2, stride=3)
    yield average("divisor 3", (2, 3, 12, 40), 2, divisor_override=3)
    yield average("same", (2, 3, 13, 41), 3, stride=2, padding="same", count_include_pad=False)
    yield average("four paddings", (2, 3, 13, 41), 3, stride=2, padding=(0, 2, 1, 0))
    yield average("ceil, caffe", (1, 2, 7, 9), 2, stride=3, ceil_mode=True, ceil_rule="caffe")
    yield average("whole image", (2, 3, 7, 9), (7, 9))
    yield average("odd numbers", odd(2, 3, 12, 40), 2)
    yield average("no image", (0, 3, 12, 40), 2)

    def unpool(label: str, y: Any, kernel: Any, switches: Maker, **how: Any) -> Case:
        arrays = {"y": real(*y), "switches": switches}
        return Case("max_unpool2d", label, {**arrays, "kernel_size": kernel, **how})

    def cells(shape: Any, columns: int, dtype: Any = np.int64, layout: Any = None) -> Maker:
        """A pixel of each 2 x 2 cell of a plane of so many columns."""

        def make(rng: Rng, _: Any) -> Any:
            p, q = np.ogrid[: shape[2], : shape[3]]
            row = 2 * p + rng.integers(0, 2, shape)
            column = 2 * q + rng.integers(0, 2, shape)
            n, c = np.ogrid[: shape[0], : shape[1]]
            n, c = n[..., None, None], c[..., None, None]
            places = row * columns + column
            return (places if layout is None else layout(n, c, row, column)).astype(dtype)

        return make

    small = (2, 3, 6, 20)
    yield unpool("2x2", small, 2, cells(small, 40))
    yield unpool("2x2, int32", small, 2, cells(small, 40, np.int32))
    yield unpool("2x2, uint8", (2, 3, 5, 6), 2, cells((2, 3, 5, 6), 12, np.uint8))
    yield unpool("2x2, output size", small, 2, cells(small, 41), output_size=(13, 41))
    yield unpool("2x2, two threads", (4, 8, 60, 70), 2, cells((4, 8, 60, 70), 140))
    yield unpool("anywhere", small, 2, integers(0, 480, *small))
    yield unpool("anywhere, sums", small, 2, integers(0, 480, *small), duplicates="sum")
    yield unpool("anywhere, torch", small, 2, integers(0, 480, *small), duplicates="torch")
    yield unpool(
        "3x3, stride 2, padding 1", small, 3, integers(0, 11 * 39, *small), stride=2, padding=1
    )
    yield unpool(
        "any size", small, 2, integers(0, 300, *small), output_size=(10, 30), output_rule="any"
    )
    yield unpool(
        "in the corner", small, 2, cells(small, 40), output_size=(14, 45), output_rule="corner"
    )
    yield unpool("nchw", small, 2, cells(small, 40, layout=lambda n, c, y, x: ((n * 3 + c) * 12 + y) * 40 + x),
                 index_layout="nchw")  # fmt: skip
    yield unpool("nhwc", small, 2, cells(small, 40, layout=lambda n, c, y, x: ((n * 12 + y) * 40 + x) * 3 + c),
                 index_layout="nhwc")  # fmt: skip
    yield unpool("hwc", small, 2, cells(small, 40, layout=lambda n, c, y, x: (y * 40 + x) * 3 + c),
                 index_layout="hwc", duplicates="sum")  # fmt: skip
    yield unpool("ncwh", small, 2, cells(small, 40, layout=lambda n, c, y, x: ((n * 3 + c) * 40 + x) * 12 + y),
                 index_layout="ncwh")  # fmt: skip

    def columns(label: str, x: Any, kernel: Any, **how: Any) -> Case:
        return Case("im2col", label, {"x": real(*x), "kernel_size": kernel, **how})

    yield columns("3x3, padding 1", (2, 3, 9, 12), 3, padding=1)
    yield columns("2x3, stride (2, 3)", (2, 3, 9, 12), (2, 3), stride=(2, 3))
    yield columns("3x3, dilation 2, same", (2, 3, 9, 12), 3, dilation=2, padding="same")
    yield columns("3x3, dilation 7, mostly padding", (1, 2, 9, 12), 3, dilation=7, padding=7)
    yield columns("3x3, two threads", (1, 8, 50, 60), 3, padding=1)
    yield columns("3x3, four paddings", (1, 2, 9, 12), 3, padding=(0, 3, 2, 1), stride=2)

    def image(label: str, x: Any, size: Any, kernel: Any, **how: Any) -> Case:
        arguments = {"x": real(*x), "output_size": size, "kernel_size": kernel}
        return Case("col2im", label, {**arguments, **how})

    yield image("3x3, padding 1", (2, 27, 108), (9, 12), 3, padding=1)
    yield image("2x3, stride (2, 3)", (2, 18, 16), (9, 12), (2, 3), stride=(2, 3))
    yield image("3x3, dilation 2", (2, 18, 40), (9, 12), 3, dilation=2)
    yield image("3x3, two threads", (1, 72, 3000), (50, 60), 3, padding=1)


def bins() -> Cases:
    for name, indices in (
        ("adaptive_avg_pool2d", {}),
        ("adaptive_max_pool2d", {"return_switches": True}),
    ):

        def pool(label: str, x: Any, size: Any, name: str = name, indices: Any = indices) -> Case:
            arrays = {"x": x if callable(x) else real(*x), "output_size": size}
            return Case(name, label, {**arrays, **indices})

        yield pool("3x4 bins", (2, 3, 11, 21), (3, 4))
        yield pool("one bin", (2, 3, 11, 21), 1)
        yield pool("rows of bins", (2, 3, 11, 21), (5, 1))
        yield pool("columns of bins", (2, 3, 11, 40), (1, 7))
        yield pool("None", (2, 3, 11, 21), (None, 3))
        yield pool("more bins than pixels", (2, 3, 5, 7), (9, 10))
        yield pool("two threads", (2, 16, 70, 80), (7, 9))
        yield pool("one bin, two threads", (2, 16, 70, 80), 1)
        yield pool("odd numbers", odd(2, 3, 11, 21), (3, 4))
        yield pool("odd numbers, one bin", odd(2, 3, 41, 61), 1)
        yield pool("ties", coarse(2, 3, 11, 21), (3, 4))
        yield pool("no bin", (2, 3, 11, 21), (0, 3))
    yield Case(
        "adaptive_max_pool2d", "without indices", {"x": real(2, 3, 11, 21), "output_size": 2}
    )
    for name in ("global_avg_pool2d", "global_max_pool2d"):
        yield Case(name, "small", {"x": real(2, 3, 7, 9)})
        yield Case(name, "a vector and one", {"x": real(2, 3, 1, 17)})
        yield Case(name, "two threads", {"x": real(2, 32, 60, 70)})
        yield Case(name, "odd numbers", {"x": odd(2, 5, 41, 61)})
        yield Case(name, "strided", {"x": strided(real(2, 3, 7, 9))})
    negative = lambda rng, dtype: -(1 + rng.random((2, 4, 40, 60))).astype(dtype)
    zeros = lambda rng, dtype: np.where(rng.random((2, 4, 40, 60)) < 0.5, -0.0, -1.0).astype(dtype)
    for label, maker in (("negative numbers", negative), ("zeros below zero", zeros),
                         ("ties", coarse(2, 4, 40, 60))):  # fmt: skip
        yield Case("global_max_pool2d", label, {"x": maker, "return_switches": True})

    def pyramid(label: str, x: Any, **how: Any) -> Case:
        return Case("spatial_pyramid_pool2d", label, {"x": x if callable(x) else real(*x), **how})

    for mode in ("max", "avg"):
        for rule in ("adaptive", "caffe"):
            yield pyramid(f"{mode}, {rule}", (2, 3, 13, 18), mode=mode, bins=rule)
        yield pyramid(f"{mode}, levels 3 and 1", (2, 3, 13, 18), levels=(3, 1), mode=mode)
        yield pyramid(f"{mode}, two threads", (2, 16, 70, 80), levels=(1, 2, 6), mode=mode)
        yield pyramid(f"{mode}, odd numbers", odd(2, 3, 13, 18), mode=mode)
    yield pyramid("max, indices", (2, 3, 13, 18), return_switches=True)
    yield pyramid(
        "max, caffe, indices, ties", coarse(2, 3, 13, 18), bins="caffe", return_switches=True
    )


def pointwise() -> Cases:
    arrays = {
        "a vector and more": real(3, 5, 7),
        "one number": real(1),
        "a scalar": real(),
        "two threads": real(2, 8, 100, 120),
        "odd numbers": odd(4, 100),
        "large numbers": real(50, 7, scale=30.0),
        "strided": strided(real(4, 9, 10)),
        "swapped bytes": swapped(real(4, 9)),
        "no number": real(0, 4),
    }
    for name, parameters in {
        "relu": [{}],
        "leaky_relu": [{}, {"negative_slope": 0.2}, {"negative_slope": -1.5}],
        "sigmoid": [{}],
        "silu": [{}],
        "hard_sigmoid": [{}, {"alpha": 0.2}, {"alpha": -0.3, "beta": 0.7}],
        "hard_swish": [{}],
    }.items():
        for j, how in enumerate(parameters):
            number = f", parameters {j}" if j else ""
            for label, maker in arrays.items():
                yield Case(name, label + number, {"x": maker, **how})
    kinks = lambda rng, dtype: np.array([-3.0, 3.0, 0.0, -0.0, np.nextafter(3, 0)], dtype)
    for name in ("hard_sigmoid", "hard_swish", "relu", "leaky_relu"):
        yield Case(name, "kinks", {"x": kinks})
    for label, maker in arrays.items():
        yield Case("add", label, {"x": maker, "y": maker})
    for label, how in {
        "half": {"p": 0.5, "seed": 1},
        "a tenth": {"p": 0.1, "seed": 2**62 + 5},
        "all": {"p": 1.0, "seed": 3},
        "nothing": {"p": 0.0, "seed": 3},
        "inference": {"p": 0.3, "training": False},
        "not inverted": {"p": 0.3, "seed": 4, "inverted": False},
        "not inverted, inference": {"p": 0.3, "training": False, "inverted": False},
    }.items():
        yield Case("dropout", label, {"x": real(3, 5, 7), **how})
    yield Case("dropout", "odd numbers", {"x": odd(4, 100), "p": 0.5, "seed": 9})
    yield Case("dropout", "two threads", {"x": real(2, 8, 100, 120), "p": 0.5, "seed": 9})


def moved_pixels() -> Cases:
    for label, sizes, axis in (
        ("channels", [(2, 3, 5, 7), (2, 1, 5, 7), (2, 4, 5, 7)], 1),
        ("first axis", [(2, 3, 5), (1, 3, 5)], 0),
        ("last axis", [(2, 3, 5), (2, 3, 1)], -1),
        ("vectors", [(3,), (5,)], 0),
        ("one array", [(2, 3, 5)], 1),
        ("an empty array", [(2, 3, 5), (2, 0, 5)], 1),
        ("two threads", [(1, 8, 150, 160), (1, 4, 150, 160)], 1),
    ):
        yield Case("concat", label, {"xs": [real(*size) for size in sizes], "axis": axis})
    yield Case("concat", "odd numbers", {"xs": [odd(2, 3, 5), odd(2, 4, 5)]})
    yield Case("concat", "strided", {"xs": [strided(real(2, 3, 5)), real(2, 4, 5)]})
    for mode in ("constant", "reflect", "replicate", "circular", "symmetric"):
        for label, x, padding in (
            ("1", (2, 3, 6, 8), 1),
            ("four sides", (2, 3, 6, 8), (0, 2, 3, 1)),
            ("more than the image", (1, 2, 3, 4), (7, 9, 8, 11)),
            ("two threads", (1, 8, 130, 140), (2, 2, 3, 3)),
        ):
            yield Case("pad", f"{mode}, {label}", {"x": real(*x), "padding": padding, "mode": mode})
    yield Case(
        "pad", "crop and pad", {"x": real(2, 3, 6, 8), "padding": (-2, 1, 3, -1), "value": 0.5}
    )
    yield Case("pad", "NaN around", {"x": odd(2, 3, 6, 8), "padding": 2, "value": np.nan})
    yield Case(
        "pad", "reflect, odd numbers", {"x": odd(2, 3, 6, 8), "padding": 2, "mode": "reflect"}
    )
    yield Case("pad", "crop all", {"x": real(2, 3, 6, 8), "padding": (-4, -2, 0, 0)})
    yield Case("crop", "middle", {"x": real(2, 3, 9, 12), "size": (4, 5), "offset": (2, 3)})
    yield Case("crop", "corner", {"x": real(2, 3, 9, 12), "size": 4})
    yield Case("crop", "two threads", {"x": real(1, 8, 150, 160), "size": (140, 150), "offset": 3})
    yield Case("center_crop", "floor", {"x": real(2, 3, 9, 12), "size": (4, 5)})
    yield Case(
        "center_crop", "half even", {"x": real(2, 3, 11, 12), "size": 4, "rounding": "half_even"}
    )
    yield Case("center_crop", "pad", {"x": real(2, 3, 9, 12), "size": (14, 7), "pad": True})
    for label, x, stride in (
        ("2", (2, 3, 6, 8), 2),
        ("(1, 3)", (2, 3, 6, 8), (1, 3)),
        ("two threads", (1, 8, 90, 100), 2),
    ):
        yield Case("bed_of_nails2d", f"stride {label}", {"x": real(*x), "stride": stride})
    yield Case("bed_of_nails2d", "odd numbers", {"x": odd(2, 3, 6, 8), "stride": 2})


COORDINATES = ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric", "align_corners",
               "asymmetric", "tf_half_pixel_for_nn")  # fmt: skip


def upsampling() -> Cases:
    def bilinear(label: str, x: Any, **how: Any) -> Case:
        return Case("upsample_bilinear2d", label, {"x": x if callable(x) else real(*x), **how})

    yield bilinear("twice", (2, 3, 9, 20), scale_factor=2)
    yield bilinear("twice, narrow", (2, 3, 9, 3), scale_factor=2)
    yield bilinear("four times", (1, 3, 9, 20), scale_factor=4)
    yield bilinear("by size", (2, 3, 9, 20), size=(13, 47))
    yield bilinear("by size, corners", (2, 3, 9, 20), size=(13, 47), align_corners=True)
    yield bilinear("smaller", (2, 3, 19, 40), size=(7, 17))
    yield bilinear("taller and narrower", (2, 3, 9, 40), size=(30, 17))
    yield bilinear("by factor 1.7", (2, 3, 9, 20), scale_factor=1.7)
    yield bilinear("by factors, recomputed", (2, 3, 9, 20), scale_factor=(1.7, 2.3),
                   recompute_scale_factor=True)  # fmt: skip
    yield bilinear("the same size", (2, 3, 9, 20), size=(9, 20))
    yield bilinear("one pixel", (2, 3, 1, 1), size=(5, 20))
    yield bilinear("to one pixel", (2, 3, 9, 20), size=1)
    yield bilinear("one column", (2, 3, 9, 1), size=(20, 40))
    yield bilinear("two threads", (1, 8, 60, 70), scale_factor=2)
    yield bilinear("past the caches", (1, 4, 200, 210), size=(800, 850))
    yield bilinear("large, short rows", (2, 64, 64, 64), size=(128, 130))
    for coordinates in COORDINATES:
        yield bilinear(f"{coordinates}, by factor", (1, 2, 7, 18), scale_factor=1.9,
                       coordinates=coordinates)  # fmt: skip
        yield bilinear(f"{coordinates}, to one row", (1, 2, 7, 18), size=(1, 33),
                       coordinates=coordinates)  # fmt: skip
    yield bilinear("odd numbers", odd(2, 3, 9, 20), scale_factor=2)
    yield bilinear("strided", strided(real(2, 3, 9, 20)), scale_factor=2)
    yield bilinear("no channel", (2, 0, 9, 20), scale_factor=2)

    def nearest(label: str, x: Any, **how: Any) -> Case:
        return Case("upsample_nearest2d", label, {"x": x if callable(x) else real(*x), **how})

    yield nearest("twice", (2, 3, 9, 20), scale_factor=2)
    yield nearest("by size", (2, 3, 9, 20), size=(13, 47))
    yield nearest("smaller", (2, 3, 19, 40), size=(7, 17))
    yield nearest("by factor 2.3, recomputed", (2, 3, 9, 20), scale_factor=2.3,
                  recompute_scale_factor=True)  # fmt: skip
    yield nearest("two threads", (1, 8, 90, 100), scale_factor=2)
    for coordinates in ("nearest", "nearest-exact", *COORDINATES):
        for rounding in ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil"):
            yield nearest(f"{coordinates}, {rounding}", (1, 2, 7, 9), scale_factor=(1.7, 2.5),
                          coordinates=coordinates, rounding=rounding)  # fmt: skip
    yield nearest("odd numbers", odd(2, 3, 9, 20), scale_factor=3)

    def interp(label: str, x: Any, **how: Any) -> Case:
        return Case("interp2d", label, {"x": real(*x), **how})

    yield interp("zoom 4", (2, 3, 9, 12), zoom_factor=4)
    yield interp("shrink 2", (2, 3, 19, 32), shrink_factor=2)
    yield interp("shrink 2, zoom 3, crop", (2, 3, 19, 32), shrink_factor=2, zoom_factor=3, pad_beg=-1,
                 pad_end=-2)  # fmt: skip
    yield interp("size", (2, 3, 9, 12), size=(20, 31))
    yield interp("size, crop", (2, 3, 9, 12), size=(20, 31), pad_beg=-2)
    yield interp("two threads", (1, 21, 41, 41), zoom_factor=4)


def regions() -> Cases:
    def align(label: str, x: Any, boxes: Maker, size: Any, **how: Any) -> Case:
        arrays = {"x": x if callable(x) else real(*x), "rois": boxes, "output_size": size}
        return Case("roi_align", label, {**arrays, **how})

    some = rois(9, 2, 20, 30)
    yield align("adaptive", (2, 5, 20, 30), some, 7)
    yield align("aligned, two samples", (2, 5, 20, 30), some, 7, sampling_ratio=2, aligned=True)
    yield align("aligned, adaptive, 3x5", (2, 18, 20, 30), some, (3, 5), aligned=True)
    yield align("scaled", (2, 5, 20, 30), rois(9, 2, 320, 480), (4, 3), spatial_scale=1 / 16)
    yield align("scaled by a third", (2, 5, 20, 30), rois(9, 2, 60, 90), 2, spatial_scale=1 / 3,
                aligned=True, sampling_ratio=1)  # fmt: skip
    yield align("clamp", (2, 5, 20, 30), some, 7, sampling_ratio=2, outside="clamp")
    yield align("in float32", (2, 5, 20, 30), some, 7, arithmetic="float32")
    yield align("in float64", (2, 5, 20, 30), some, 7, arithmetic="float64", aligned=True)
    yield align("16 channels", (2, 16, 20, 30), some, 7, sampling_ratio=2)
    yield align("40 channels", (2, 40, 20, 30), some, (9, 4), sampling_ratio=2)
    yield align("many samples", (1, 3, 40, 50), rois(4, 1, 40, 50), 2)
    yield align("two threads", (2, 64, 40, 40), rois(20, 2, 40, 40), 7, sampling_ratio=2)
    yield align("past the caches", (1, 64, 30, 30), rois(44, 1, 30, 30), 28, sampling_ratio=1)
    yield align("one row", (1, 3, 1, 1), rois(4, 1, 1, 1), 2)
    yield align("NaN and infinity", some_nan(2, 5, 20, 30), some, 7, aligned=True)
    for mode in ("max", "max_corners"):
        yield align(f"{mode}, adaptive", (2, 5, 20, 30), some, 7, mode=mode)
        yield align(f"{mode}, two samples, clamp", (2, 18, 20, 30), some, (3, 5), mode=mode,
                    sampling_ratio=2, aligned=True, outside="clamp")  # fmt: skip
        yield align(f"{mode}, in float32", (1, 33, 20, 30), rois(7, 1, 20, 30), 3, mode=mode,
                    arithmetic="float32")  # fmt: skip
        yield align(f"{mode}, NaN and infinity", some_nan(2, 5, 20, 30), some, 7, mode=mode)
        yield align(f"{mode}, two threads", (2, 64, 40, 40), rois(12, 2, 40, 40), 7, mode=mode,
                    sampling_ratio=2)  # fmt: skip
    yield align("no box", (2, 5, 20, 30), rois(0, 2, 20, 30), 7)

    def pool(label: str, x: Any, boxes: Maker, size: Any, **how: Any) -> Case:
        arrays = {"x": x if callable(x) else real(*x), "rois": boxes, "output_size": size}
        return Case("roi_pool", label, {**arrays, **how})

    yield pool("plain", (2, 5, 20, 30), some, 7)
    indices = {"return_switches": True}
    yield pool("indices", (2, 5, 20, 30), some, 7, **indices)
    yield pool("16 channels", (2, 16, 20, 30), some, (3, 5), **indices)
    yield pool("18 channels, scaled", (2, 18, 20, 30), rois(9, 2, 320, 480), 2, spatial_scale=1 / 16,
               **indices)  # fmt: skip
    yield pool(
        "57 rows in 7 bins", (1, 3, 60, 60), rois(9, 1, 60, 60), 7, arithmetic="float32", **indices
    )
    yield pool("exact", (1, 3, 60, 60), rois(9, 1, 60, 60), 7, arithmetic="exact", **indices)
    yield pool("float64", (1, 3, 60, 60), rois(9, 1, 60, 60), 7, arithmetic="float64", **indices)
    for rounding in ("half_even", "none"):
        yield pool(f"rounding {rounding}", (2, 5, 20, 30), some, 7, rounding=rounding, **indices)
    half = lambda rng, dtype: (
        np.round(2 * rois(9, 2, 20, 30)(rng, dtype)).clip(0) * (0, 0.5, 0.5, 0.5, 0.5)
    )
    for rounding in ("half_away", "half_even"):
        yield pool(f"halves, {rounding}", (2, 5, 20, 30), lambda rng, dtype: half(rng, dtype).astype(dtype), 3,
                   rounding=rounding, **indices)  # fmt: skip
    yield pool("two threads", (2, 64, 40, 40), rois(20, 2, 40, 40), 7, **indices)
    yield pool("odd numbers", odd(2, 5, 20, 30), some, 7, **indices)
    yield pool("no box", (2, 5, 20, 30), rois(0, 2, 20, 30), 7)

    def resize(label: str, x: Any, count: int, size: Any, **how: Any) -> Case:
        arrays = {"x": x if callable(x) else real(*x), "boxes": shares_of_image(count)}
        arrays["box_indices"] = integers(0, 2, count, dtype=how.pop("dtype", np.int64))
        return Case("crop_and_resize", label, {**arrays, "crop_size": size, **how})

    yield resize("bilinear", (2, 5, 20, 30), 9, (6, 7))
    yield resize("bilinear, int32, on pixels zero", (2, 5, 20, 30), 9, (6, 7), on_pixels="zero",
                 dtype=np.int32)  # fmt: skip
    yield resize("nearest", (2, 5, 20, 30), 9, (6, 7), method="nearest", extrapolation_value=-2.5)
    yield resize("one pixel", (2, 17, 20, 30), 9, 1)
    yield resize("one row", (2, 17, 20, 30), 9, (1, 8), extrapolation_value=1e300)
    for arithmetic in ("float32", "float64"):
        yield resize(f"in {arithmetic}", (2, 5, 20, 30), 9, (6, 7), arithmetic=arithmetic)
    yield resize("two threads", (2, 64, 40, 40), 20, 9)
    yield resize("NaN and infinity", some_nan(2, 5, 20, 30), 9, (6, 7), on_pixels="zero")


def normalisations() -> Cases:
    def batch(label: str, x: Any, running: bool = True, affine: bool = True, **how: Any) -> Case:
        arrays = {"x": x if callable(x) else real(*x)}
        c = how.pop("channels", None) or x[1]
        if running:
            arrays |= {"running_mean": real(c), "running_var": positive(c)}
        if affine:
            arrays |= {"weight": real(c), "bias": real(c)}
        return Case("batch_norm", label, arrays | how)

    training = {"training": True, "return_running": True}
    yield batch("inference", (2, 5, 9, 12))
    yield batch("inference, not affine", (2, 5, 9, 12), affine=False, return_running=True)
    yield batch("training", (2, 5, 9, 12), **training)
    yield batch("training, nothing given", (2, 5, 9, 12), running=False, affine=False, **training)
    yield batch("training, biased", (2, 5, 9, 12), unbiased=False, **training)
    yield batch(
        "training, momentum of old", (2, 5, 9, 12), momentum=0.9, momentum_of="old", **training
    )
    yield batch("training, momentum 0.3, eps", (2, 5, 9, 12), momentum=0.3, eps=1e-3, **training)
    yield batch("training, one value", (1, 5, 1, 1), allow_single=True, **training)
    yield batch("training, vectors", (17, 5), **training)
    yield batch("training, long rows", (3, 4, 1031), **training)
    yield batch("training, far from zero", lambda rng, dtype: (1000 + rng.standard_normal((2, 4, 9, 12)))
                .astype(dtype), channels=4, **training)  # fmt: skip
    yield batch("training, two threads", (2, 8, 60, 70), **training)
    yield batch("training, past the caches", (1, 8, 520, 515), **training)
    yield batch("inference, past the caches", (1, 8, 520, 515))
    yield batch(
        "training, NaN and infinity", some_nan(3, 8, 7, 9, share=0.003), channels=8, **training
    )
    yield batch("inference, odd numbers", odd(2, 5, 9, 12), channels=5)
    yield batch("training, no image", (0, 5, 9, 12), **training)

    def group(label: str, x: Any, groups: int, affine: bool = True, **how: Any) -> Case:
        arrays = {"x": x if callable(x) else real(*x), "num_groups": groups}
        c = how.pop("channels", None) or x[1]
        if affine:
            arrays |= {"weight": real(c), "bias": real(c)}
        return Case("group_norm", label, {**arrays, **how})

    yield group("two groups", (2, 6, 9, 12), 2)
    yield group("instances", (2, 6, 9, 12), 6)
    yield group("layers, not affine", (2, 6, 9, 12), 1, affine=False)
    yield group("vectors", (5, 8), 4, eps=0.1)
    yield group("two threads", (2, 16, 60, 70), 4)
    yield group("NaN and infinity", some_nan(2, 6, 9, 12, share=0.003), 3, channels=6)

    def l2(label: str, x: Any, weight: bool = True, **how: Any) -> Case:
        arrays = {"x": x if callable(x) else real(*x)}
        if weight:
            arrays["weight"] = real(how.pop("channels", None) or x[1])
        return Case("l2_norm", label, arrays | how)

    for rule in ("max", "inside", "outside"):
        yield l2(f"{rule}", (2, 6, 9, 12), eps_rule=rule)
        yield l2(
            f"{rule}, large eps, no weight", (2, 6, 9, 12), weight=False, eps=2.5, eps_rule=rule
        )
        yield l2(f"{rule}, zeros", lambda rng, dtype: np.zeros((2, 3, 5), dtype), channels=3, eps=0.0,
                 eps_rule=rule)  # fmt: skip
    yield l2("several blocks", (1, 20, 40, 41))
    yield l2("two threads", (2, 16, 60, 70))
    yield l2("odd numbers", odd(2, 6, 9, 12), channels=6)
    for name in ("softmax", "log_softmax"):
        for label, x, axis in (
            ("channels", (2, 5, 9, 12), 1),
            ("channels, several blocks", (1, 21, 20, 33), 1),
            ("last axis", (3, 5, 21), -1),
            ("last axis, long", (4, 1000), 1),
            ("first axis", (7, 40), 0),
            ("one class", (2, 1, 9), 1),
            ("two threads", (1, 21, 100, 110), 1),
            ("last axis, two threads", (2000, 90), 1),
        ):
            yield Case(name, label, {"x": real(*x, scale=4.0), "axis": axis})
        yield Case(name, "odd numbers", {"x": odd(2, 5, 40)})
        yield Case(name, "odd numbers, last axis", {"x": odd(60, 7), "axis": 1})
        yield Case(name, "strided", {"x": strided(real(2, 5, 9, 12))})
        yield Case(name, "no class", {"x": real(2, 0, 9)})


def losses() -> Cases:
    def entropy(label: str, x: Any, target: Any = None, weight: bool = False, **how: Any) -> Case:
        shape = how.pop("shape", None) or x
        target = target or labels(shape[1], shape[0], *shape[2:])
        arrays = {"x": x if callable(x) else real(*x, scale=3.0), "target": target}
        if weight:
            arrays["weight"] = positive(shape[1])
        return Case("cross_entropy", label, arrays | how)

    image, vectors = (2, 5, 9, 17), (30, 7)
    ignored = {"target": labels(5, 2, 9, 17, ignored=255), "ignore_index": 255}
    yield entropy("mean", image)
    yield entropy("mean, weight, ignored", image, weight=True, **ignored)
    yield entropy(
        "uint8", image, labels(5, 2, 9, 17, ignored=255, dtype=np.uint8), ignore_index=255
    )
    yield entropy("int32, ignored -100", image, labels(5, 2, 9, 17, ignored=-100, dtype=np.int32),
                  ignore_index=-100)  # fmt: skip
    for reduction in ("sum", "none", "valid", "full", "batch_size"):
        yield entropy(reduction, image, weight=True, reduction=reduction, **ignored)
        yield entropy(f"{reduction}, vectors", vectors, reduction=reduction)
    for what, how in {"smoothing": {"label_smoothing": 0.1}, "gamma 2": {"gamma": 2.0},
                      "gamma 0.5": {"gamma": 0.5}, "floor": {"min_probability": 0.3}}.items():  # fmt: skip
        yield entropy(what, image, weight=True, **ignored, **how)
        yield entropy(f"{what}, none", image, reduction="none", **how)
        yield entropy(f"{what}, vectors", vectors, weight=True, **how)
        yield entropy(
            f"{what}, odd numbers", odd(4, 5, 60), shape=(4, 5, 60), reduction="none", **how
        )
    yield entropy("all ignored", (2, 3, 4), lambda rng, _: np.full((2, 4), 255), ignore_index=255)
    yield entropy("all ignored, nan", (2, 3, 4), lambda rng, _: np.full((2, 4), 255), ignore_index=255,
                  empty="nan")  # fmt: skip
    yield entropy("odd numbers", odd(4, 5, 60), shape=(4, 5, 60), reduction="none")
    yield entropy("odd numbers, vectors", odd(60, 7), shape=(60, 7), reduction="none")
    yield entropy("confident", real(2, 5, 40, scale=100.0), shape=(2, 5, 40))
    yield entropy("two threads", (2, 21, 60, 70))
    yield entropy("vectors, two threads", (3000, 60))
    yield entropy("past the caches", (1, 21, 470, 480), weight=True)

    def dice(label: str, x: Any = image, target: Any = None, **how: Any) -> Case:
        shape = how.pop("shape", None) or x
        target = target or labels(shape[1], shape[0], *shape[2:])
        return Case(
            "dice_loss", label, {"x": x if callable(x) else real(*x), "target": target, **how}
        )

    for activation in ("softmax", "sigmoid", "none"):
        how: dict[str, Any] = {"activation": activation}
        x = share(*image) if activation == "none" else image
        how["shape"] = image
        yield dice(activation, x, **how)
        yield dice(f"{activation}, squared, ignored", x, squared=True, **ignored, **how)
        yield dice(f"{activation}, masks", x, share(*image), reduction="none", **how)
        yield dice(
            f"{activation}, masks, squared, micro",
            x,
            share(*image),
            squared=True,
            micro=True,
            **how,
        )
    yield dice("batch", batch=True, reduction="none")
    yield dice("batch, micro", batch=True, micro=True)
    yield dice("sum, smooth", reduction="sum", smooth_nr=1.0, smooth_dr=0.5)
    yield dice("not smooth", smooth_nr=0.0, smooth_dr=0.0, **ignored)
    yield dice("two threads", (2, 8, 60, 70))
    yield dice("odd numbers", odd(2, 5, 60), shape=(2, 5, 60), reduction="none")

    def binary(label: str, x: Any = (3, 4, 9, 11), target: Any = None, **how: Any) -> Case:
        shape = how.pop("shape", None) or x
        arrays = {"x": x if callable(x) else real(*x, scale=3.0), "target": target or share(*shape)}
        return Case("binary_cross_entropy_with_logits", label, {**arrays, **how})

    for reduction in ("mean", "sum", "none", "batch_size"):
        yield binary(reduction, reduction=reduction)
        yield binary(f"{reduction}, weights", weight=positive(3, 4, 9, 11), pos_weight=positive(4, 1, 1),
                     reduction=reduction)  # fmt: skip
    yield binary("one weight", weight=positive(1), pos_weight=positive(1))
    yield binary("rows of weights", weight=positive(4, 9, 1))
    yield binary("labels", target=share(3, 9, 11), labels=labels(4, 3))
    yield binary("labels, none, weight", target=share(3, 9, 11), labels=labels(4, 3, dtype=np.int32),
                 weight=positive(9, 11), reduction="none")  # fmt: skip
    yield binary("two threads", (2, 8, 60, 70))
    yield binary("odd numbers", odd(4, 100), shape=(4, 100), reduction="none")
    yield binary("odd targets", (4, 100), odd(4, 100), reduction="none")
    yield binary("nothing, nan", (0, 4), empty="nan")

    def focal(label: str, x: Any = (3, 4, 9, 11), **how: Any) -> Case:
        shape = how.pop("shape", None) or x
        arrays = {"x": x if callable(x) else real(*x, scale=3.0), "target": share(*shape)}
        return Case("sigmoid_focal_loss", label, {**arrays, **how})

    for reduction in ("mean", "sum", "none", "batch_size"):
        yield focal(reduction, reduction=reduction)
    yield focal("gamma 0", gamma=0.0)
    yield focal("gamma 0.5, alpha -1", gamma=0.5, alpha=-1)
    yield focal("alpha 0.75, mean", alpha=0.75, reduction="mean")
    yield focal("two threads", (2, 8, 60, 70), reduction="mean")
    yield focal("odd numbers", odd(4, 100), shape=(4, 100))

    def smooth(label: str, x: Any = (3, 4, 9, 11), target: Any = None, **how: Any) -> Case:
        shape = how.pop("shape", None) or x
        arrays = {"x": x if callable(x) else real(*x), "target": target or real(*shape)}
        return Case("smooth_l1_loss", label, {**arrays, **how})

    for reduction in ("mean", "sum", "none", "batch_size"):
        yield smooth(reduction, reduction=reduction)
        yield smooth(f"{reduction}, huber", reduction=reduction, beta=0.3, huber=True)
    yield smooth("beta 0", coarse(3, 4, 9), coarse(3, 4, 9), shape=(3, 4, 9), beta=0.0)
    yield smooth("two threads", (2, 8, 100, 120))
    yield smooth("odd numbers", odd(4, 100), odd(4, 100), shape=(4, 100), reduction="none")


FAMILIES = (convolutions, transposed_convolutions, composed_convolutions, matrices, windows, bins,
            pointwise, moved_pixels, upsampling, regions, normalisations, losses)  # fmt: skip


# -- runs -----------------------------------------------------------------------------------------

DTYPES = np.float32, np.float64
THREADS = 1, 2
SMALL = 30_000
"""Numbers among a call's arguments and results, up to which the definition is asked too."""
TINY = 600_000
"""Entries of a matrix, up to which it is made."""
LARGE = 400_000
"""Numbers from which on there are no derivatives but the gradients."""


def run_case(case: Case, record: Record, dtype: Any) -> None:
    op = getattr(ns, case.operator)
    made = case.made(dtype)
    arguments = arguments_today(op, case.operator, made)
    today = names_today(op, case.operator)
    wanted = [today[word.rstrip("*")] for word in CALLS[case.operator].split() if "*" in word]
    wanted = [name for name in wanted if arguments.get(name) is not None]
    key = f"{case.key} | {np.dtype(dtype).name}"
    size = 0
    for threads in THREADS:
        here = f"{case.key} | {run_key(dtype, threads)}"
        with record.one(here), ns.num_threads(threads):
            result = op(**arguments)
            record.add(here, "value", result)
            size = sum(a.size for a in [*given_arrays(made), *arrays_of(result)])
            gradients(op, arguments, wanted, record, here)
            if size <= LARGE:
                derivatives(op, case, arguments, wanted, record, here)
    if size <= SMALL:
        here = f"{key} | definition"
        with record.one(here):
            record.add(here, "value", op.reference(**arguments))
            gradients(op.reference, arguments, wanted, record, here)
            if size <= SMALL // 10:
                derivatives(op.reference, case, arguments, wanted, record, here)
        maximum = case.operator == "roi_align" and "mode" in case.arguments
        if case.operator not in NO_MATRIX and not maximum:
            with record.one(f"{key} | matrix"):
                matrix(op, case, arguments, record, f"{key} | matrix")


def gradients(
    op: Any, arguments: dict[str, Any], wanted: list[str], record: Record, key: str
) -> None:
    """forward, what it saves, and backward: all gradients, and each alone."""
    result, saved = op.forward(**arguments)
    record.add(key, "forward", result)
    known = {digest(array) for array in [*given_arrays(arguments), *arrays_of(result)]}
    kept = [array for array in given_arrays(dict(enumerate(saved))) if digest(array) not in known]
    record.add(key, "saved", kept)
    grad_y = like(first(result), 1)
    record.add(key, "gradient", op.backward(saved, grad_y))
    for place, name in enumerate(wanted if len(wanted) > 1 else ()):
        record.add(
            key, f"gradient of array {place} alone", op.backward(saved, grad_y, needs=[name])
        )


def derivatives(
    op: Any, case: Case, arguments: dict[str, Any], wanted: list[str], record: Record, key: str
) -> None:
    """jvp and double_backward, along all arguments and along each alone."""
    result, saved = op.forward(**arguments)
    grad_y = like(first(result), 1)
    tangents = {name: like(arguments[name], 2 + place) for place, name in enumerate(wanted)}
    several = [{name: tangents[name]} for name in wanted] if len(wanted) > 1 else []
    for place, along in enumerate([tangents, *several], -1):
        which = "" if place < 0 else f" along array {place}"
        record.add(key, f"jvp{which}", op.jvp(**arguments, tangents=along)[1])
        if case.operator not in NO_DOUBLE_BACKWARD:
            record.add(key, f"double_backward{which}", op.double_backward(saved, grad_y, along))


def matrix(op: Any, case: Case, arguments: dict[str, Any], record: Record, key: str) -> None:
    """The matrix as a dense array, and the products of the linear operator."""
    (name, array), *rest = arguments.items()
    result, saved = op.forward(**arguments)
    outputs = first(result).size
    inputs = sum(a.size for a in arrays_of(array))
    if outputs * inputs > TINY or not outputs or not inputs:
        return
    shape = [a.shape for a in array] if isinstance(array, list) else array.shape
    given = {old: saved[place] for old, place in MATRIX.get(case.operator, {}).items()}
    given = {old: array for old, array in given.items() if array.size}
    call = {name: shape, **dict(rest)}
    for names in _spellings(list(given)):
        outputs_given = dict(zip(names, given.values(), strict=True))
        try:
            found = op.matrix(**call, **outputs_given)
            break
        except TypeError:  # of numseg too: not the output's name
            if names == list(_spellings(list(given)))[-1]:
                raise
    record.add(key, "entries", found.toarray())
    linear = op.linear_operator(**call, **outputs_given)
    record.add(key, "product", linear @ like(np.empty(inputs, found.dtype), 5))
    record.add(key, "adjoint product", linear.rmatvec(like(np.empty(outputs, found.dtype), 6)))


def _spellings(names: list[str]) -> list[list[str]]:
    """What outputs may be called: as before, or all by their new names."""
    options = [[name, *RENAMED.get(name, "").split()] for name in names]
    most = max(map(len, options), default=1)
    return [[o[min(j, len(o) - 1)] for o in options] for j in range(most)]


def first(result: Any) -> Any:
    return result[0] if isinstance(result, tuple) else result


def like(array: Any, seed: int) -> Any:
    """Numbers of the same shape and dtype, others for every seed; of a list each."""
    if isinstance(array, (list, tuple)):
        return [like(part, 100 * seed + i) for i, part in enumerate(array)]
    array = np.asarray(array)
    rng = np.random.default_rng([seed, *array.shape])
    numbers = np.asarray(rng.standard_normal(array.shape))
    return numbers.astype(array.dtype.newbyteorder("="))


def given_arrays(arguments: dict[Any, Any]) -> list[Any]:
    """The arrays among arguments, those in sequences too."""
    entries = [
        part for v in arguments.values() for part in (v if isinstance(v, (list, tuple)) else [v])
    ]
    return [entry for entry in entries if isinstance(entry, np.ndarray)]


# -- networks, boxes, pictures --------------------------------------------------------------------


def parameters_of(graph: Any, dtype: Any = np.float32) -> dict[str, Any]:
    """Start values that depend on the place of a parameter, not on its name; where ``init`` makes
    ones or zeros, numbers near them."""

    def made(place: int, start: Any) -> Any:
        noise = like(start, place)
        if (start == 1).all():
            return start + np.abs(noise) / 4
        return noise / 8 if not start.any() else noise * start.std()

    start = graph.init(0, dtype).items()
    return {name: made(j, array).astype(dtype) for j, (name, array) in enumerate(start)}


def networks(record: Record) -> None:
    variants = {
        "norm, dropout": (3, {"padding": "same", "norm": True, "dropout": 0.2}, (2, 3, 24, 32)),
        "valid": (1, {"padding": "valid"}, (1, 1, 60, 52)),
        "bilinear": (3, {"padding": "same", "norm": True, "up": "bilinear"}, (1, 3, 24, 40)),
        "nearest": (3, {"padding": "same", "up": "nearest"}, (1, 3, 24, 40)),
        "two threads, 16 channels": (3, {"padding": "same", "norm": True, "width": 16}, (2, 3, 64, 96)),
    }  # fmt: skip
    for label, (channels, how, shape) in variants.items():
        how = {"width": 6, "depth": 2, **how}
        graph = call(ns.nets.unet, "unet", in_channels=channels, classes=5, **how)
        for dtype in DTYPES:
            params = parameters_of(graph, dtype)
            x = real(*shape)(np.random.default_rng(len(label)), dtype)
            for threads in THREADS:
                key = f"unet | {label} | {run_key(dtype, threads)}"
                with record.one(key), ns.num_threads(threads):
                    run_network(graph, params, x, record, key)
    tiny = call(
        ns.nets.unet, "unet", in_channels=1, classes=3, width=2, depth=1, padding="same", norm=True
    )
    key = "unet | tiny | float32 | definition"
    with record.one(key), ns.use("reference"):
        x = real(1, 1, 8, 12)(np.random.default_rng(0), np.float32)
        run_network(tiny, parameters_of(tiny), x, record, key)
    key = "unet | init"
    with record.one(key):
        record.add(key, "parameter", list(tiny.init(3).values()))
    chains(record)


def run_network(graph: Any, params: dict[str, Any], x: Any, record: Record, key: str) -> None:
    record.add(key, "inference", graph.run(params, x))
    folded, arrays = graph.folded(params)
    record.add(key, "folded parameter", list(arrays.values()))
    record.add(key, "folded", folded.run(arrays, x))
    y, tape = graph.forward(params, x, training=False)
    record.add(key, "forward", y)
    record.add(key, "gradient", list(graph.backward(tape, like(y, 1)).values()))
    for name, optimiser in (("Adam", training.Adam(0.01)), ("SGD", training.SGD(0.05))):
        train(graph, optimiser, params, x, record, f"{key} | {name}")


def train(
    graph: Any, optimiser: Any, params: dict[str, Any], x: Any, record: Record, key: str
) -> None:
    """Three steps."""
    state = optimiser.start({name: params[name] for name in graph.trainable})
    for step in range(3):
        y, tape = graph.forward(params, x, training=True, seed=7, step=step)
        rng = np.random.default_rng(step)
        target = np.where(rng.random((len(y), *y.shape[2:])) < 0.1, 255,
                          rng.integers(0, y.shape[1], (len(y), *y.shape[2:])))  # fmt: skip
        loss, saved = ns.cross_entropy.forward(y, target, ignore_index=255)
        (grad,) = ns.cross_entropy.backward(saved, np.ones_like(loss))
        grads = graph.backward(tape, grad, needs=graph.trainable)
        params, state = optimiser.step(params, grads, state)
        params = params | tape.updates
        record.add(key, f"loss of step {step}", loss)
    record.add(key, "parameter after it", list(params.values()))
    record.add(key, "state after it", list(state.values()))


def chains(record: Record) -> None:
    """Convolutions with an addition and a relu behind them, which may run as one."""

    def zeros(shape: Any, rng: Any) -> Any:
        return np.zeros(shape)

    kinds = {
        "3x3": ((2, 4, 12, 21), (6, 4, 3, 3), {"padding": 1}),
        "3x3, whole vectors": ((2, 4, 12, 32), (8, 4, 3, 3), {"padding": 1}),
        "3x3, stride 2, dilation 3": ((2, 4, 21, 41), (6, 4, 3, 3), {"stride": 2, "dilation": 3}),
        "3x3, filters make vectors": ((6, 8, 20, 20), (64, 8, 3, 3), {"padding": 1}),
        "1x1": ((2, 8, 12, 20), (6, 8, 1, 1), {}),
        "depthwise": ((2, 4, 12, 37), (4, 1, 3, 3), {"padding": 1, "groups": 4}),
        "16x16": ((1, 2, 40, 56), (3, 2, 16, 16), {"stride": 8}),
        "winograd4": ((2, 4, 12, 21), (6, 4, 3, 3), {"padding": 1, "algorithm": "winograd4"}),
        "two threads": ((1, 16, 60, 70), (32, 16, 3, 3), {"padding": 1}),
    }
    for label, (shape, weights, how) in kinds.items():
        for after in ("add",), ("relu",), ("add", "relu"):
            graph = chain(weights, how, after)
            for dtype in DTYPES:
                rng = np.random.default_rng(len(label))
                x, w, b = (real(*size)(rng, dtype) for size in (shape, weights, weights[:1]))
                y = call(ns.conv2d, "conv2d", x=x, w=w, b=b, **how)
                inputs = [x, like(y, 3)] if "add" in after else [x]
                for threads in THREADS:
                    key = f"chain | {label}, {' and '.join(after)} | {run_key(dtype, threads)}"
                    with record.one(key), ns.num_threads(threads):
                        record.add(key, "inference", graph.run({"w": w, "b": b}, *inputs))


def chain(weights: Any, how: dict[str, Any], after: tuple[str, ...]) -> Any:
    net = ns.Graph.build()
    arrays = {"x": net.input("x")}
    arrays |= {name: net.param(name, shape, lambda shape, rng: np.zeros(shape))
               for name, shape in (("w", weights), ("b", weights[:1]))}  # fmt: skip
    y = net.add(ns.conv2d, **arguments_today(ns.conv2d, "conv2d", {**arrays, **how}))
    if "add" in after:
        y = net.add(ns.add, y, net.input("other"))
    return net.output(net.add(ns.relu, y) if "relu" in after else y)


def run_key(dtype: Any, threads: int) -> str:
    return f"{np.dtype(dtype).name} | {threads} thread{'s' if threads > 1 else ''}"


def boxes(record: Record) -> None:
    b = ns.boxes

    def one(name: str, label: str, **arguments: Any) -> None:
        for dtype in DTYPES:
            case = Case(name, label, arguments)
            key = f"boxes.{case.key} | {np.dtype(dtype).name}"
            with record.one(key):
                record.add(key, "value", call(getattr(b, name), name, **case.made(dtype)))

    few, many = corners(40), corners(400)
    scores = positive(400)
    one("iou", "plain", boxes1=few, boxes2=corners(30))
    one("iou", "last pixels belong, zero area", boxes1=corners(40, whole=True),
        boxes2=corners(30, whole=True), offset=1, zero_area="zero")  # fmt: skip
    for fmt in ("xywh", "cxcywh", "yxyx"):
        one("iou", fmt, boxes1=positive(20, 4), boxes2=positive(30, 4), fmt=fmt, corners="any")
        one("convert", f"xyxy to {fmt}", boxes=few, in_fmt="xyxy", out_fmt=fmt)
        one("convert", f"{fmt} to xyxy", boxes=few, in_fmt=fmt, out_fmt="xyxy")
    for name, more in (("nms", {}), ("batched_nms", {"classes": integers(0, 5, 400)})):
        one(name, "plain", boxes=many, scores=scores, iou_threshold=0.4, **more)
        one(name, "at the threshold too", boxes=corners(400, 12.0, whole=True), scores=coarse(400),
            iou_threshold=0.5, comparison=">=", offset=1, **more)  # fmt: skip
        one(name, "few, good ones", boxes=many, scores=scores, iou_threshold=0.3, max_output=9,
            score_threshold=0.5, zero_area="zero", **more)  # fmt: skip
        with ns.use("reference"):
            one(name, "plain, by its definition", boxes=corners(60), scores=positive(60),
                iou_threshold=0.4, **{k: integers(0, 5, 60) for k in more})  # fmt: skip
    one("soft_nms", "linear", boxes=few, scores=positive(40))
    one("soft_nms", "gaussian", boxes=few, scores=positive(40), method="gaussian", sigma=0.7)
    one("soft_nms", "at the threshold too", boxes=corners(40, 12.0, whole=True), scores=positive(40),
        iou_threshold=0.5, comparison=">=", min_score=0.1)  # fmt: skip
    one("area", "plain", boxes=few)
    one("area", "last pixels belong", boxes=few, offset=1)
    one("clip", "plain", boxes=few, size=(60, 70))
    one("clip", "last pixels belong", boxes=few, size=(60, 70), offset=1)
    one("remove_small", "plain", boxes=few, min_size=20.0)
    one("remove_small", "larger", boxes=few, min_size=20.0, offset=1, comparison=">")
    one("encode", "plain", boxes=few, anchors=corners(40))
    one(
        "encode",
        "weights",
        boxes=few,
        anchors=corners(40),
        weights=(10.0, 10.0, 5.0, 5.0),
        offset=1,
    )
    one("decode", "plain", codes=real(40, 4), anchors=few)
    one("decode", "classes", codes=real(40, 3, 4, scale=5.0), anchors=lambda rng, dtype:
        few(rng, dtype)[:, None], weights=(10.0, 10.0, 5.0, 5.0))  # fmt: skip
    one(
        "decode",
        "no clip",
        codes=real(40, 4, scale=5.0),
        anchors=few,
        clip=None,
        offset=1,
        inverse=False,
    )
    for rounding in ("corners", "none", "sides"):
        for order in ("ratios", "sizes"):
            key = f"boxes.base_anchors | {rounding}, {order}"
            for dtype in DTYPES:
                with record.one(key):
                    sizes, ratios = [32.0, 100.0], [0.5, 1.0, 1.7]
                    made = call(b.base_anchors, "base_anchors", sizes=sizes, ratios=ratios,
                                rounding=rounding, order=order, dtype=dtype)  # fmt: skip
                    record.add(f"{key} | {np.dtype(dtype).name}", "value", made)
    one("anchors", "plain", grid_size=(5, 7), stride=16, base=corners(3))
    one(
        "anchors",
        "half a stride off",
        grid_size=(5, 7),
        stride=(16, 8),
        base=corners(3),
        offset=0.5,
    )
    masks = {"masks": share(6, 14, 14), "boxes": corners(6, 50.0), "size": (60, 70)}
    for method in ("sample", "resize"):
        one("paste_masks", method, method=method, **masks)
        one("paste_masks", f"{method}, values", method=method, threshold=None, padding=2, **masks)


def pictures(record: Record) -> None:
    """Generated scenes and what training makes of them; and other functions of arrays."""
    with record.one("data | scenes"):
        for sample in data.scenes(4, (48, 65), 3):
            record.add(f"data | scenes | {sample.name}", "image", sample.image)
            record.add(f"data | scenes | {sample.name}", "labels", sample.labels)
            for channels in (1, 3):
                input_ = data.as_input(sample.image, channels)
                record.add(f"data | scenes | {sample.name}", f"as {channels} channels", input_)
    graph = call(ns.nets.unet, "unet", in_channels=3, classes=8, width=4, depth=2, padding="same")
    params = parameters_of(graph)
    with record.one("training | scores"):
        scenes = data.scenes(2, (48, 65), 5)
        confusion = training.evaluate(graph, params, scenes)
        record.add("training | scores", "confusion", confusion)
        record.add("training | scores", "value", list(training.scores(confusion)))
        for tile in (32, 512):
            found = training.predict(graph, params, scenes[0].image, tile)
            record.add("training | scores", f"classes, tiles of {tile}", found)
    with record.one("graph | bilinear"):
        record.add(
            "graph | bilinear", "filter", [bilinear_filter(k) for k in (1, 2, 3, (4, 5), 64)]
        )
        for groups in (1, 3):
            weights = bilinear_weights(3, 4, groups, np.float32)
            record.add("graph | bilinear", f"weights of {groups} groups", weights)


# -- kernels --------------------------------------------------------------------------------------


class Kernels:
    """Who was launched: wraps numseg's ``launch``, wherever it lives."""

    def __init__(self) -> None:
        self.launches: dict[str, int] = collections.Counter()
        self.shared: dict[str, int] = collections.Counter()
        self.values: dict[str, dict[str, set[Any]]] = {}
        modules = [m for name, m in sys.modules.items() if name.split(".")[0] == "numseg"]
        found = {f for m in modules for f in vars(m).values() if _is_launch(f)}
        if not found:
            print(
                "no function 'launch' in numseg: only what was compiled is known", file=sys.stderr
            )
        for launch in found:
            for module in modules:
                for name, value in list(vars(module).items()):
                    if value is launch:
                        setattr(module, name, self._wrapped(launch))

    def _wrapped(self, launch: Any) -> Any:
        def watched(kernel: Any, units: int, work: int, *args: Any) -> None:
            name = f"{kernel.__module__}.{kernel.__name__}"
            self.launches[name] += 1
            self.shared[name] += units > 1 and work > 131_072 and ns.get_num_threads() > 1
            seen = self.values.setdefault(name, {})
            for arg in args:
                for field, value in getattr(arg, "_asdict", dict)().items():
                    if isinstance(value, (bool, int, np.integer, np.bool_)):
                        seen.setdefault(field, set()).add(value)
            for place, arg in enumerate(args):
                if arg is None or isinstance(arg, bool):
                    seen.setdefault(f"argument {place}", set()).add(arg)
            launch(kernel, units, work, *args)

        return watched

    def report(self) -> None:
        """Every kernel in numseg's sources, those on CUDA apart."""
        print("\nkernel: launches, shared by threads; float types; values of flags and choices")
        for name, kernel in sorted(_kernels().items()):
            types = {str(s) for signature in kernel.signatures for s in _floats(signature)}
            if not kernel.signatures:
                print(f"{name}: NEVER RAN")
                continue
            seen = self.values.get(name, {})
            flags = {f: sorted(v, key=str) for f, v in seen.items() if len(v) <= 5}
            listed = ", ".join(f"{f} {'/'.join(map(str, v))}" for f, v in flags.items())
            alone = "" if len(types) != 1 else "  (ONE FLOAT TYPE)"
            print(f"{name}: {self.launches[name]}, {self.shared[name]}; {' '.join(sorted(types))}"
                  f"{alone}; {listed}")  # fmt: skip


def _is_launch(value: Any) -> bool:
    return (
        inspect.isfunction(value) and value.__name__ == "launch" and "cuda" not in value.__module__
    )


def _kernels() -> dict[str, Any]:
    """By name. A kernel is what is compiled with a cache; modules are imported to look."""
    found = {}
    root = Path(ns.__file__).parent
    for file in root.rglob("*.py"):
        if "@kernel" in (source := file.read_text()) and "cuda" not in source.split("def ", 1)[0]:
            parts = file.relative_to(root.parent).with_suffix("").parts
            module = importlib.import_module(".".join(parts).removesuffix(".__init__"))
            for value in vars(module).values():
                if hasattr(value, "signatures") and value.py_func.__module__ == module.__name__:
                    if type(value._cache).__name__ != "NullCache":
                        found[f"{module.__name__}.{value.__name__}"] = value
    return found


def _floats(signature: Any) -> set[Any]:
    kinds = {getattr(kind, "dtype", kind) for kind in signature}
    return {kind for kind in kinds if str(kind) in ("float32", "float64")}


# -- the commands ---------------------------------------------------------------------------------


def record(out: Path, only: str, kernels: bool) -> int:
    begin = time.perf_counter()
    watched = Kernels() if kernels else None
    found = Record()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        cases = [case for family in FAMILIES for case in family() if only in case.operator]
        if not only and (missing := set(OPERATORS) - {case.operator for case in cases}):
            raise ValueError(f"no case for {', '.join(sorted(missing))}")
        for name in OPERATORS:
            before = found.calls, time.perf_counter()
            for case in (case for case in cases if case.operator == name):
                for dtype in DTYPES:
                    run_case(case, found, dtype)
            told(name, found, *before)
        for name, run in (("unet", networks), ("boxes", boxes), ("data", pictures)):
            before = found.calls, time.perf_counter()
            if only in name:
                run(found)
            told(name, found, *before)
    about = {"numseg": ns.__version__, "numpy": np.__version__, "python": platform.python_version(),
             "numba": importlib.import_module("numba").__version__, "machine": _cpu()}  # fmt: skip
    content = {"about": about, "calls": found.calls, "arrays": found.arrays}
    out.write_text(json.dumps(content, indent=0) + "\n")
    seconds = time.perf_counter() - begin
    print(f"{found.calls} calls, {len(found.arrays)} arrays in {seconds:.0f} s: {out}")
    if watched is not None:
        watched.report()
    errors = [key for key in found.arrays if key.endswith("| error")]
    if errors:
        print(f"{len(errors)} calls failed: {errors[:5]}", file=sys.stderr)
    return 1 if errors else 0


def told(name: str, found: Record, calls: int, begin: float) -> None:
    if found.calls > calls:
        seconds = time.perf_counter() - begin
        print(f"{name:34}{found.calls - calls:5} calls {seconds:7.1f} s", flush=True)


def _cpu() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return f"{platform.machine()} {line.split(':', 1)[1].strip()}"
    return platform.machine()


def compare(before: Path, after: Path) -> int:
    a, b = (json.loads(path.read_text()) for path in (before, after))
    for name, value in a["about"].items():
        if name != "numseg" and b["about"].get(name) != value:
            print(f"warning: {name} is {value} before, {b['about'].get(name)} after")
    one, two = a["arrays"], b["arrays"]
    both = [key for key in one if key in two]
    groups = {
        "differ": [
            key for key in both if one[key] != two[key] and not _but_nan(one[key], two[key])
        ],
        "differ, but only in the bits of NaN": [
            k for k in both if one[k] != two[k] and _but_nan(one[k], two[k])
        ],
        f"are missing from {after}": [key for key in one if key not in two],
        f"are only in {after}": [key for key in two if key not in one],
    }
    print(f"{before}: {a['calls']} calls, {len(one)} arrays")
    print(f"{after}: {b['calls']} calls, {len(two)} arrays")
    print(f"{sum(one[key] == two[key] for key in both)} arrays are equal to the last bit")
    for what, keys in groups.items():
        print(f"{len(keys)} {what}")
        for key in keys:
            kinds = [side[key].split(" ")[0] for side in (one, two) if key in side]
            change = "" if len(set(kinds)) == 1 else f"  ({' -> '.join(kinds)})"
            print(f"    {key}{change}")
    *bad, new = groups.values()
    return 1 if any(bad) else 0


def _but_nan(one: str, two: str) -> bool:
    """Whether the arrays are the same but for the signs and payloads of NaN."""
    return one.count(" ") == two.count(" ") == 2 and one.split(" ")[::2] == two.split(" ")[::2]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    new = commands.add_parser("record", help="call everything, and write the digests")
    new.add_argument("out", type=Path, metavar="OUT.json")
    new.add_argument("--only", default="", metavar="NAME",
                     help="operators (or unet, boxes, data) whose name contains this")  # fmt: skip
    new.add_argument("--kernels", action="store_true", help="list the kernels that ran")
    two = commands.add_parser("compare", help="exit status 1 if an array differs or is missing")
    two.add_argument("before", type=Path, metavar="BEFORE.json")
    two.add_argument("after", type=Path, metavar="AFTER.json")
    args = parser.parse_args(arguments)
    if args.command == "compare":
        return compare(args.before, args.after)
    return record(args.out, args.only, args.kernels)


if __name__ == "__main__":
    sys.exit(main())
