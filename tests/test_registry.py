"""The generated list of operators is what the folders say."""

from __future__ import annotations

import importlib.util

import numseg as ns
from numseg.ops import __main__ as generator
from numseg.ops.registry import OPERATORS


def test_the_registry_names_every_folder() -> None:
    assert generator.REGISTRY.read_text() == generator.text(), "run: python -m numseg.ops"


def test_the_front_door_has_every_operator() -> None:
    assert {name: getattr(ns, name) for name in OPERATORS} == OPERATORS
    assert all(op.__name__ == name for name, op in OPERATORS.items())


WAITING = """
adaptive_avg_pool2d adaptive_max_pool2d avg_pool2d batch_norm bed_of_nails2d
binary_cross_entropy_with_logits center_crop col2im concat conv_transpose2d crop crop_and_resize
cross_entropy deform_conv2d dice_loss dropout global_avg_pool2d global_max_pool2d group_norm im2col
instance_norm l2_norm layer_norm linear log_softmax pad roi_align roi_pool sigmoid_focal_loss
smooth_l1_loss softmax spatial_pyramid_pool2d upsample_bilinear2d upsample_nearest2d
"""
"""Operators whose CUDA twins are being written. The list only shrinks."""

WAITED_FOR = WAITING.split()


def test_every_operator_has_a_twin() -> None:
    """Kernels for CUDA, of a folder's own or of a family, or a composite of operators that do."""
    missing = [
        name
        for name, op in OPERATORS.items()
        if not op.facts.family
        and not any(
            importlib.util.find_spec(f"{folder}.{face}")
            for folder in op.folders
            for face in ("cuda", "composite")
        )
    ]
    assert sorted(set(missing) - set(WAITED_FOR)) == [], "add cuda.py"
    assert sorted(set(WAITED_FOR) - set(missing)) == [], "take them off WAITING: they have twins"
