"""Generated scenes with their things: the same pictures, and masks that are the labels."""

from __future__ import annotations

import numpy as np
import pytest

from numseg import ArgumentError
from numseg.data import SCENE_CLASSES, SCENE_OBJECTS, masks_to_boxes, scene_instances, scenes

CLASSES_OF = {"sun": ("sun",), "tree": ("tree",), "house": ("house", "roof")}


@pytest.fixture(scope="module")
def both():
    """Scenes by their labels, by their things, and with crowds."""
    arguments = 12, (64, 80), 3
    every = scenes(*arguments), scene_instances(*arguments)
    return [list(data) for data in (*every, scene_instances(*arguments, crowds=True))]


def test_the_pictures_are_those_of_scenes_to_the_bit(both):
    for one, other, _ in zip(*both, strict=True):
        assert one.name == other.name
        assert one.image.tobytes() == other.image.tobytes()


def test_masks_are_the_labels(both):
    """Each pixel of a thing's class is of one thing of it, and no other is."""
    for plain, (_, found, _), _ in zip(*both, strict=True):
        assert found.masks.sum(axis=0).max() <= 1
        for number, name in enumerate(SCENE_OBJECTS[1:], 1):
            of_class = np.isin(plain.labels, [SCENE_CLASSES.index(c) for c in CLASSES_OF[name]])
            mine = found.masks[found.labels == number].any(axis=0)
            np.testing.assert_array_equal(mine, of_class)
        np.testing.assert_array_equal(found.boxes, masks_to_boxes(found.masks))
        assert found.areas.tolist() == found.masks.sum(axis=(1, 2)).tolist()


def test_every_class_occurs_and_some_are_difficult_or_truncated(both):
    found = [sample.instances for sample in both[1]]
    assert {int(n) for one in found for n in one.labels} == {1, 2, 3}
    for one in found:
        assert not one.crowd.any()
        assert one.difficult[one.areas < 16].all()
        border = [mask[[0, -1]].any() or mask[:, [0, -1]].any() for mask in one.masks]
        assert one.truncated.tolist() == border
    assert any(one.difficult.any() for one in found)
    assert any((one.difficult & (one.areas >= 16)).any() for one in found)  # hidden, not small
    assert any(one.truncated.any() for one in found)


def test_a_crowd_is_more_of_the_same_picture(both):
    """Outside of the crowd nothing differs, nor does what stands in front of it."""
    crowds = before_the_sun = 0
    for (_, labels, _), (image, found, _), (crowded, more, _) in zip(*both, strict=True):
        assert more.crowd.sum() <= 1
        crowds += int(more.crowd.sum())
        there = more.masks[more.crowd].any(axis=0)
        assert image[:, ~there].tobytes() == crowded[:, ~there].tobytes()
        before_the_sun += np.count_nonzero(there & (labels == SCENE_CLASSES.index("sun")))
        if there.any():
            assert more.labels[more.crowd].tolist() == [2]
            assert (image[:, there] != crowded[:, there]).any()
        nearer = found.labels != 1  # the sun may be behind the crowd
        rest = more.take(~more.crowd & (more.labels != 1))
        np.testing.assert_array_equal(rest.masks, found.masks[nearer])
    assert crowds >= 6
    assert before_the_sun


def test_scenes_of_other_things():
    assert len(scene_instances(0)) == 0
    assert scene_instances(1, 16)[0].image.shape == (3, 16, 16)
    with pytest.raises(ArgumentError, match="size must be at least 16, got 15"):
        scene_instances(1, 15)
    with pytest.raises(ArgumentError, match="crowds must be True or False, got 2"):
        scene_instances(1, crowds=2)
