"""Boxes and masks go where the pixels go."""

from __future__ import annotations

import numpy as np
import pytest

from numseg import ArgumentError
from numseg.data import (
    Augmentation,
    Dataset,
    DetectionSample,
    Instances,
    Sample,
    augmented,
    flipped,
    masks_to_boxes,
    scene_instances,
)
from numseg.data.augment import Axis
from numseg.data.moves import moved
from numseg.training import Sampling, batches

# two objects in 4 x 6 pixels: an L in the upper left, and a column at the right
MASKS = np.array(
    [
        [[1, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0]],
        [[0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 1]],
    ],
    bool,
)
BOXES = [[0, 0, 3, 3], [5, 1, 6, 4]]
IMAGE = np.arange(24, dtype=np.uint8).reshape(1, 4, 6)


def objects(**fields):
    return Instances(BOXES, [1, 2], MASKS, **fields)


def test_a_mirror_image_by_hand():
    x, found = flipped(IMAGE, objects())
    assert x[0, 0].tolist() == [5, 4, 3, 2, 1, 0]
    assert found.boxes.tolist() == [[3, 0, 6, 3], [0, 1, 1, 4]]
    np.testing.assert_array_equal(found.masks, MASKS[:, :, ::-1])
    np.testing.assert_array_equal(found.boxes, masks_to_boxes(found.masks))
    back, again = flipped(x, found)
    np.testing.assert_array_equal(back, IMAGE)
    np.testing.assert_array_equal(again.boxes, BOXES)


def test_a_piece_by_hand():
    """Columns 1 to 5 of rows 0 to 2: two of the L.s five pixels are left, 2 of the column.s 3."""
    rows, columns = Axis(4, 4, 0, 3), Axis(6, 6, 1, 6)
    x, found = moved(IMAGE, objects(), rows, columns, 1)
    np.testing.assert_array_equal(x[0] * 255, IMAGE[0, :3, 1:6])
    np.testing.assert_array_equal(found.masks, MASKS[:, :3, 1:6])
    assert found.boxes.tolist() == [[0, 2, 2, 3], [4, 1, 5, 3]]
    assert found.truncated.tolist() == [True, True]
    np.testing.assert_allclose(found.areas, [2, 2], rtol=1e-15)
    _, clipped = moved(IMAGE, objects(), rows, columns, 1, tighten=False)
    assert clipped.boxes.tolist() == [[0, 0, 2, 3], [4, 1, 5, 3]]
    boxes = Instances(BOXES, [1, 2])
    _, plain = moved(IMAGE, boxes, rows, columns, 1)
    assert plain.boxes.tolist() == clipped.boxes.tolist()
    np.testing.assert_allclose(plain.areas, [9 * 6 / 9, 3 * 2 / 3], rtol=1e-15)
    assert plain.masks is None


def test_what_too_little_is_left_of_is_removed():
    """The L has 2/5 of its pixels, 2/3 of its box; the column 2/3 of both, and is a pixel wide."""
    rows, columns = Axis(4, 4, 0, 3), Axis(6, 6, 1, 6)

    def left(instances, **settings):
        return moved(IMAGE, instances, rows, columns, 1, **settings)[1].labels.tolist()

    boxes = Instances(BOXES, [1, 2])
    assert left(objects(), min_visible=0.4) == [1, 2]
    assert left(objects(), min_visible=0.41) == [2]
    assert left(boxes, min_visible=0.6) == [1, 2]
    assert left(boxes, min_visible=0.7) == []
    assert left(boxes, min_size=1) == [1, 2]
    assert left(boxes, min_size=1.5) == [1]
    assert left(objects(crowd=[True, True]), min_visible=1, min_size=9) == [1, 2]
    away = Axis(6, 6, 3, 5)  # columns in which nothing is
    assert len(moved(IMAGE, objects(crowd=[True, True]), rows, away, 1, min_size=0)[1]) == 0


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_boxes_are_those_of_the_moved_masks_for_whole_factors(factor):
    for sample in scene_instances(3, (32, 40), 2, crowds=True):
        (h, w), instances = sample.image.shape[1:], sample.instances
        for top, left in ((0, 0), (7, 11), (20, 3)):
            rows = Axis(h, factor * h, top, factor * h - top)
            columns = Axis(w, factor * w, left, factor * w)
            x, found = moved(sample.image, instances, rows, columns, 3)
            np.testing.assert_array_equal(found.boxes, masks_to_boxes(found.masks))
            whole = instances.masks.repeat(factor, 1).repeat(factor, 2)
            part = whole[:, top : factor * h - top, left:]
            np.testing.assert_array_equal(found.masks, part[part.any(axis=(1, 2))])
            np.testing.assert_allclose(found.areas, found.masks.sum(axis=(1, 2)), rtol=1e-12)
            _, mirrored = flipped(x, found)
            np.testing.assert_array_equal(mirrored.boxes, masks_to_boxes(mirrored.masks))


def test_scaled_boxes_by_hand():
    """4 x 6 to 6 x 3: rows by 3/2, columns by 1/2."""
    boxes = Instances([[0, 0, 3, 3], [4, 1, 6, 4]], [1, 2])
    x, found = moved(IMAGE, boxes, Axis(4, 6, 0, 6), Axis(6, 3, 0, 3), 1)
    assert x.shape == (1, 6, 3)
    assert found.boxes.tolist() == [[0, 0, 1.5, 4.5], [2, 1.5, 3, 6]]
    assert found.areas.tolist() == [9 * 0.75, 6 * 0.75]
    assert not found.truncated.any()


def test_a_move_of_nothing_changes_nothing():
    sample = scene_instances(1, 32, 3)[0]
    x, found = augmented(sample, Augmentation(flip=False), 3, 0, 0)
    np.testing.assert_array_equal(x, sample.image.astype(np.float32) / np.float32(255))
    for name in ("boxes", "labels", "masks", "crowd", "difficult", "truncated", "areas"):
        np.testing.assert_array_equal(getattr(found, name), getattr(sample.instances, name))


EVERYTHING = {
    "crop": (24, 40), "scale": (0.5, 2.0), "brightness": 0.3, "contrast": 0.3, "saturation": 0.3,
    "hue": 0.1,
}  # fmt: skip


def test_pixels_are_those_of_segmentations_batches():
    """The same seed, epoch and item: the same piece, colours and mirror, to the bit; and each mask
    lies where the labels do."""
    sample = scene_instances(1, (32, 40), 4)[0]
    masks = sample.instances.masks
    labels = (masks * np.arange(1, len(masks) + 1)[:, None, None]).sum(axis=0)
    names = tuple(map(str, range(len(masks) + 1)))
    plain = Dataset([Sample(sample.image, labels, "p")], names, ignore_index=200)
    sampling = Sampling(**EVERYTHING, batch=1, repeat=12, seed=3)
    seen = {batch.x.tobytes(): batch.labels[0] for batch in batches(plain, sampling, 3, epoch=2)}
    flips = set()
    for item in range(12):
        how = Augmentation(**EVERYTHING, seed=3, min_size=0)
        x, found = augmented(sample, how, 3, epoch=2, item=item)
        truth = seen[x.tobytes()]
        left = np.unique(truth[(truth > 0) & (truth < 200)])
        assert len(found) == len(left)
        for mask, number in zip(found.masks, left, strict=True):
            np.testing.assert_array_equal(mask, truth == number)
        again = augmented(sample, how, 3, epoch=2, item=item)[1]
        np.testing.assert_array_equal(again.boxes, found.boxes)
        flips.add(bool((truth == 200)[:, 0].any()))
    assert flips == {False, True}


def test_pictures_without_objects():
    sample = DetectionSample(IMAGE, Instances([], []), "empty")
    for instances in (Instances([], []), Instances([], [], np.zeros((0, 4, 6), bool))):
        x, found = augmented(sample._replace(instances=instances), Augmentation(crop=8), 1, 0, 0)
        assert x.shape == (1, 8, 8)
        assert len(found) == 0
        assert found.masks is None or found.masks.shape == (0, 8, 8)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scale": (2.0, 0.5)}, "scale goes from 2.0 to 0.5"),
        ({"hue": 0.6}, r"hue must lie in \[0, 0.5\], got 0.6"),
        ({"min_visible": 1.5}, r"min_visible must lie in \[0, 1\], got 1.5"),
        ({"min_size": -1}, "min_size must lie in"),
        ({"crop": (8, 0)}, r"crop\[1\] must be at least 1, got 0"),
        ({"tighten": "yes"}, "tighten must be True or False"),
    ],
)
def test_augmentations_that_are_none(settings, message):
    with pytest.raises(ArgumentError, match=message):
        Augmentation(**settings)


def test_colours_that_grey_pictures_have_not():
    sample = DetectionSample(IMAGE, objects(), "p")
    with pytest.raises(
        ArgumentError, match=r"hue is 0.1, but the network takes 1 channel, not red"
    ):
        augmented(sample, Augmentation(hue=0.1), 1, 0, 0)
