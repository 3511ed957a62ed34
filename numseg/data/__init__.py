"""Pictures with labels: generated scenes, real photographs, folders in VOC's layout."""

from __future__ import annotations

from numseg.data.classes import ClassTable, read_classes
from numseg.data.dataset import Dataset, Sample
from numseg.data.images import (
    as_input,
    encode_image,
    encode_mask,
    overlay,
    palette,
    read_colours,
    read_image,
    read_mask,
    read_pair,
)
from numseg.data.photographs import COIN_CLASSES, PHOTOGRAPHS, coins, photograph
from numseg.data.scenes import SCENE_CLASSES, scenes
from numseg.data.voc import VOC_CLASSES, VOC_IGNORE, voc

__all__ = [
    "COIN_CLASSES",
    "PHOTOGRAPHS",
    "SCENE_CLASSES",
    "VOC_CLASSES",
    "VOC_IGNORE",
    "ClassTable",
    "Dataset",
    "Sample",
    "as_input",
    "coins",
    "encode_image",
    "encode_mask",
    "overlay",
    "palette",
    "photograph",
    "read_classes",
    "read_colours",
    "read_image",
    "read_mask",
    "read_pair",
    "scenes",
    "voc",
]
