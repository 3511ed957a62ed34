"""Pictures with labels, and pictures with objects: generated scenes, real photographs, folders."""

from __future__ import annotations

from numseg.data.classes import ClassTable, read_classes
from numseg.data.coco import coco_instances
from numseg.data.dataset import Dataset, Sample
from numseg.data.detection import DetectionDataset, DetectionSample
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
from numseg.data.instances import Detections, Instances
from numseg.data.masks import mask_iou, masks_to_boxes
from numseg.data.moves import Augmentation, augmented, flipped
from numseg.data.photographs import COIN_CLASSES, PHOTOGRAPHS, coins, photograph
from numseg.data.scene_objects import SCENE_OBJECTS, scene_instances
from numseg.data.scenes import SCENE_CLASSES, scenes
from numseg.data.voc import VOC_CLASSES, VOC_IGNORE, voc
from numseg.data.voc_objects import read_voc_xml, voc_instances

__all__ = [
    "COIN_CLASSES",
    "PHOTOGRAPHS",
    "SCENE_CLASSES",
    "SCENE_OBJECTS",
    "VOC_CLASSES",
    "VOC_IGNORE",
    "Augmentation",
    "ClassTable",
    "Dataset",
    "DetectionDataset",
    "DetectionSample",
    "Detections",
    "Instances",
    "Sample",
    "as_input",
    "augmented",
    "coco_instances",
    "coins",
    "encode_image",
    "encode_mask",
    "flipped",
    "mask_iou",
    "masks_to_boxes",
    "overlay",
    "palette",
    "photograph",
    "read_classes",
    "read_colours",
    "read_image",
    "read_mask",
    "read_pair",
    "read_voc_xml",
    "scene_instances",
    "scenes",
    "voc",
    "voc_instances",
]
