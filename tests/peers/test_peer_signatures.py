"""Names, defaults and places of arguments are PyTorch's and torchvision's, or a table says why not.

An operator's counterpart is what its ``conventions.py`` names as a peer.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

import numseg as ns
from numseg.operator import Operator
from numseg.ops.registry import OPERATORS
from numseg.testing import conventions

pytestmark = pytest.mark.peers
pytest.importorskip("torchvision")

Parameters = Mapping[str, inspect.Parameter]
FUNCTIONAL, VISION = "torch.nn.functional", "torchvision.ops"

MORE = {"dropout": f"{FUNCTIONAL}:dropout"}
"""Counterparts that no operator conforms with number by number."""

BOXES = {
    "area": "box_area",
    "complete_iou": "complete_box_iou",
    "distance_iou": "distance_box_iou",
    "generalized_iou": "generalized_box_iou",
    "batched_nms": "batched_nms",
    "clip": "clip_boxes_to_image",
    "convert": "box_convert",
    "iou": "box_iou",
    "nms": "nms",
    "remove_small": "remove_small_boxes",
}
"""Functions of ``numseg.boxes``, and of ``torchvision.ops``."""

ALONE = {
    "aspp2d": "a module of torchvision's DeepLab, no function",
    "bed_of_nails2d": "none",
    "bilateral_features": "none: pydensecrf's create_pairwise_bilateral",
    "spatial_features": "none: pydensecrf's create_pairwise_gaussian",
    "gaussian_filter": "none",
    "mean_field_step": "none: pydensecrf's stepInference",
    "dense_crf": "none: pydensecrf's inference",
    "crop_and_resize": "TensorFlow's, with TensorFlow's names",
    "dice_loss": "MONAI's, with its names",
    "global_avg_pool2d": "adaptive_avg_pool2d of one bin",
    "global_max_pool2d": "adaptive_max_pool2d of one bin",
    "interp2d": "the Interp layer of DeepLab's Caffe, with its names",
    "separable_conv2d": "two calls of conv2d",
    "spatial_pyramid_pool2d": "several calls of adaptive_max_pool2d",
    "boxes.anchors": "methods of torchvision's AnchorGenerator",
    "boxes.base_anchors": "methods of torchvision's AnchorGenerator",
    "boxes.decode": "a method of torchvision's BoxCoder, private",
    "boxes.iof": "none: torchvision knows no crowds",
    "boxes.match": "a class of torchvision, private",
    "boxes.sample": "a class of torchvision, private",
    "decode_boxes": "a method of torchvision's BoxCoder, private",
    "encode_boxes": "a method of torchvision's BoxCoder, private",
    "boxes.encode": "a method of torchvision's BoxCoder, private",
    "boxes.paste_masks": "inside torchvision's Mask R-CNN, private",
    "boxes.soft_nms": "none",
}
"""What has no counterpart: whose it is, or what of PyTorch comes next."""

NOWHERE = {
    "inplace": "a call never writes to its arguments",
    "out": "a call never writes to its arguments",
    "dtype": "a result has the dtype of x",
    "size_average": "deprecated: reduction says it",
    "reduce": "deprecated: reduction says it",
    "_stacklevel": "where PyTorch's warning points to",
}
"""Arguments of theirs that no operator has."""

LEFT_OUT = {
    ("add", "alpha"): "a factor is an operator of its own",
    ("round", "decimals"): "a multiplication before and a division after",
    ("subtract", "alpha"): "a factor is an operator of its own",
    ("divide", "rounding_mode"): "a rounded quotient has no gradient",
    ("boxes.area", "fmt"): "convert makes corners of any format",
    ("crop", "top"): "offset has both, as all pairs are one argument here",
    ("crop", "left"): "offset has both",
    ("crop", "height"): "size has both",
    ("crop", "width"): "size has both",
    ("l2_norm", "p"): "2, as the name says",
    ("l2_norm", "dim"): "the channels, which have a weight each",
    ("pow", "exponent"): "other, as all operators of two arrays call the second",
    ("pad", "pad"): "rows first, as all padding here; the same name would promise the other order",
    (
        "smooth_l1_loss",
        "delta",
    ): "huber_loss's word for beta: huber=True makes one operator of both",
    ("smooth_l1_loss", "weight"): "huber_loss's alone",
    ("upsample_bilinear2d", "mode"): "the operator's name",
    ("upsample_bicubic2d", "mode"): "the operator's name",
    ("upsample_nearest2d", "mode"): "the operator's name",
    (
        "upsample_nearest2d",
        "align_corners",
    ): 'PyTorch refuses it there; coordinates="align_corners"',
    ("upsample_nearest2d", "antialias"): "PyTorch refuses it there",
}
"""Arguments of theirs that an operator has under no name, or under another one."""

OTHER_DEFAULTS = {
    ("affine_grid", "align_corners"): "False, which PyTorch's None means",
    ("grid_sample", "align_corners"): "False, which PyTorch's None means",
    ("batch_norm", "running_mean"): "left out in training, where PyTorch wants a None",
    ("batch_norm", "running_var"): "left out in training, where PyTorch wants a None",
    ("concat", "dim"): "the channels, which networks concatenate",
    ("cross_entropy", "ignore_index"): "no label is ignored that nobody named",
    ("flatten", "start_dim"): "torch.nn.Flatten's, which networks are made of",
    ("log_softmax", "dim"): "the channels; PyTorch's None guesses, and is deprecated",
    ("softmax", "dim"): "the channels; PyTorch's None guesses, and is deprecated",
    ("nll_loss", "ignore_index"): "no label is ignored that nobody named",
    ("pad", "value"): "0, which PyTorch's None means",
    ("upsample_bicubic2d", "align_corners"): "False, which PyTorch's None means",
    ("upsample_bicubic2d", "recompute_scale_factor"): "False, which PyTorch's None means",
    ("upsample_bilinear2d", "align_corners"): "False, which PyTorch's None means",
    ("upsample_bilinear2d", "recompute_scale_factor"): "False, which PyTorch's None means",
    ("upsample_nearest2d", "recompute_scale_factor"): "False, which PyTorch's None means",
}
"""Arguments that have one name and two defaults."""

X = np.zeros((1, 2, 4, 4))
BY_PLACE: dict[str, tuple[Any, ...]] = {
    "binary_cross_entropy_with_logits": (X, X, None, True),
    "crop": (X, 1, 1, 2, 2),
    "cross_entropy": (X, np.zeros((1, 4, 4), int), None, True),
    "hard_sigmoid": (X, True),
    "index_select": (X, 1, np.zeros(1, int)),
    "l2_norm": (X, 2.0),
    "nll_loss": (X, np.zeros((1, 4, 4), int), None, True),
    "pad": (X, (1, 1, 1, 1), "constant"),
    "smooth_l1_loss": (X, X, True),
    "upsample_bicubic2d": (X, None, 2, "bicubic"),
    "upsample_bilinear2d": (X, None, 2, "bilinear"),
    "upsample_nearest2d": (X, None, 2, "nearest"),
}
"""Operators whose places part from their counterpart's, and a call by the latter's: it is refused,
so that no number silently becomes another argument."""


SAME_PLACES = {"pow"}
"""Operators whose places are their counterpart's, under another name that ``LEFT_OUT`` gives."""


def _operators() -> dict[str, Operator[..., Any]]:
    return OPERATORS


def _pairs() -> Iterator[tuple[str, Parameters, str]]:
    """An operator or a function of boxes, its parameters, and a counterpart."""
    for name, op in _operators().items():
        peers = [peer for peer in conventions.peers_of(op) if peer.startswith("torch")]
        for peer in [*peers, *([MORE[name]] if name in MORE else [])]:
            yield name, op.__signature__.parameters, peer
    for name in ns.boxes.__all__:
        if name in BOXES:
            parameters = inspect.signature(getattr(ns.boxes, name)).parameters
            yield f"boxes.{name}", parameters, f"{VISION}:{BOXES[name]}"


PAIRS = list(_pairs())
each_pair = pytest.mark.parametrize(
    ("name", "ours", "peer"), PAIRS, ids=[f"{name}-{peer}" for name, _, peer in PAIRS]
)


def parameters_of(peer: str) -> Parameters:
    """From its signature, or from the one that begins its docstring."""
    module, _, name = peer.partition(":")
    function = getattr(importlib.import_module(module), name)
    try:
        parameters = inspect.signature(function).parameters
    except ValueError:  # written in C
        parameters = {}
    if not parameters or any(p.kind is p.VAR_POSITIONAL for p in parameters.values()):
        stated = re.match(r"\s*\w+(\(.*\))( -> \w+)?\n", function.__doc__)
        assert stated, f"{peer} has no signature"
        made: dict[str, Any] = {}
        exec(f"def stated{stated[1]}: ...", made)
        parameters = inspect.signature(made["stated"]).parameters
    return parameters


def unknown_names(name: str, ours: Parameters, theirs: Parameters) -> list[str]:
    """Arguments of theirs, the first array apart, that are neither ours nor in a table."""
    rest = [n for n in list(theirs)[1:] if n not in ours and n not in NOWHERE]
    return [n for n in rest if (name, n) not in LEFT_OUT]


def other_defaults(name: str, ours: Parameters, theirs: Parameters) -> list[str]:
    """Arguments that both have, whose defaults differ and are in no table."""
    return [
        f"{n}: {_default(ours[n])}, theirs {_default(theirs[n])}"
        for n in _shared(ours, theirs)
        if _default(ours[n]) != _default(theirs[n]) and (name, n) not in OTHER_DEFAULTS
    ]


def parting(ours: Parameters, theirs: Parameters) -> tuple[str, str] | None:
    """The first place, the first array's apart, that two different arguments have."""
    placed = [
        [n for n, p in list(side.items())[1:] if p.kind is p.POSITIONAL_OR_KEYWORD]
        for side in (ours, theirs)
    ]
    return next((pair for pair in zip(*placed, strict=False) if pair[0] != pair[1]), None)


def _shared(ours: Parameters, theirs: Parameters) -> list[str]:
    return [n for n in list(theirs)[1:] if n in ours]


def _default(parameter: inspect.Parameter) -> Any:
    """A pair of equal numbers is one number."""
    value = parameter.default
    if isinstance(value, (tuple, list)) and len(set(value)) == 1:
        return value[0]
    return "required" if value is parameter.empty else value


@each_pair
def test_arguments_have_their_names(name: str, ours: Parameters, peer: str) -> None:
    assert unknown_names(name, ours, parameters_of(peer)) == []


@each_pair
def test_arguments_have_their_defaults(name: str, ours: Parameters, peer: str) -> None:
    assert other_defaults(name, ours, parameters_of(peer)) == []


@each_pair
def test_arguments_have_their_places(name: str, ours: Parameters, peer: str) -> None:
    if name not in BY_PLACE and name not in SAME_PLACES:
        assert parting(ours, parameters_of(peer)) is None


@pytest.mark.parametrize("name", BY_PLACE)
def test_a_call_by_their_places_is_refused_where_places_part(name: str) -> None:
    with pytest.raises(ns.ArgumentError):
        getattr(ns, name)(*BY_PLACE[name])


OTHERS = {
    "concat",
    *("affine_grid", "dense_crf", "mean_field_step"),
    *("encode_boxes", "decode_boxes"),
    *(f"{name}_box_iou_loss" for name in ("generalized", "distance", "complete")),
}
"""Several arrays, a matrix, energies, or boxes, which torchvision calls by their names."""


def test_the_first_array_is_x() -> None:
    first = {name: next(iter(op.__signature__.parameters)) for name, op in _operators().items()}
    assert {name for name, argument in first.items() if argument != "x"} == OTHERS


def test_everything_has_a_counterpart_or_stands_alone() -> None:
    everything = {*_operators(), *(f"boxes.{name}" for name in ns.boxes.__all__)}
    paired = {name for name, _, _ in PAIRS}
    assert paired.isdisjoint(ALONE)
    assert paired | ALONE.keys() == everything


def test_no_table_says_more_than_there_is() -> None:
    left_out, other, parted = set(), set(), set()
    for name, ours, peer in PAIRS:
        theirs = parameters_of(peer)
        left_out |= {(name, n) for n in theirs if n not in ours}
        shared = _shared(ours, theirs)
        other |= {(name, n) for n in shared if _default(ours[n]) != _default(theirs[n])}
        parted |= {name} if parting(ours, theirs) and name not in SAME_PLACES else set()
    assert LEFT_OUT.keys() <= left_out
    assert NOWHERE.keys() <= {n for _, n in left_out}
    assert OTHER_DEFAULTS.keys() == other
    assert BY_PLACE.keys() == parted


def test_a_wrong_name_default_and_place_are_found() -> None:
    theirs = parameters_of(f"{FUNCTIONAL}:conv2d")
    assert list(theirs)[:4] == ["input", "weight", "bias", "stride"]

    def old(
        x: Any, w: Any, bias: Any = None, stride: Any = 2, padding: Any = 0, *, groups: Any = 1
    ):
        """As conv2d's signature was, and a default of its own."""

    ours = inspect.signature(old).parameters
    assert unknown_names("conv2d", ours, theirs) == ["weight", "dilation"]
    assert other_defaults("conv2d", ours, theirs) == ["stride: 2, theirs 1"]
    assert parting(ours, theirs) == ("w", "weight")
