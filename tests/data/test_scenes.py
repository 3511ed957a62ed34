"""Generated scenes: the same everywhere, with every class, and honest about their labels."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from numseg import ArgumentError
from numseg.chance import Dice, below, hashed, permutation
from numseg.data import SCENE_CLASSES, scenes


def test_the_hash_is_splitmix64():
    # the first outputs of SplitMix64 from state 0, published with its reference implementation
    state, found = 0, []
    for _ in range(3):
        found.append(int(hashed(state)))
        state = (state + 0x9E3779B97F4A7C15) % 2**64
    assert found == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


def test_the_hash_of_arrays_is_that_of_their_numbers():
    rows, columns = np.indices((3, 4))
    found = hashed(5, rows, columns)
    assert found.dtype == np.uint64
    assert all(int(found[r, c]) == hashed(5, r, c) for r in range(3) for c in range(4))
    assert hashed(5, np.array([-1]))[0] == hashed(5, -1)
    assert hashed(1, 2) != hashed(2, 1)


def test_below_permutation_and_dice_stay_in_range():
    assert set(below(3, 0, np.arange(100)).tolist()) == {0, 1, 2}
    assert sorted(permutation(50, 1, 2).tolist()) == list(range(50))
    assert permutation(50, 1, 2).tolist() != permutation(50, 1, 3).tolist()
    dice = Dice(4)
    assert {dice.between(2, 4) for _ in range(60)} == {2, 3, 4}


def test_the_same_seed_gives_the_same_bits_on_every_machine():
    digest = hashlib.sha256()
    for image, labels, _ in scenes(3, size=(40, 56), seed=11):
        digest.update(image.tobytes() + labels.tobytes())
    assert digest.hexdigest() == "2fa89087cd5403384120284142d1f2d348ff25d19a4f68608391831ed3331624"


def test_a_scene_depends_on_seed_and_number_only():
    few, many, other = scenes(2, 32, seed=3), scenes(4, 32, seed=3), scenes(2, 32, seed=4)
    for one, same, different in zip(few, many, other, strict=False):
        assert one.name == same.name
        np.testing.assert_array_equal(one.image, same.image)
        np.testing.assert_array_equal(one.labels, same.labels)
        assert (one.image != different.image).any()


def test_every_class_occurs_and_none_else():
    labels = np.concatenate([s.labels.ravel() for s in scenes(30, 64, seed=0)])
    assert sorted(set(labels.tolist())) == list(range(len(SCENE_CLASSES)))


def test_grey_levels_do_not_tell_the_classes():
    """Even with each grey level's most frequent class known, most of the work remains."""
    dataset = scenes(30, 64, seed=0)
    grey = np.concatenate([s.image.mean(0).astype(int).ravel() for s in dataset])
    labels = np.concatenate([s.labels.ravel() for s in dataset])
    joint = np.zeros((256, 8), int)
    np.add.at(joint, (grey, labels), 1)
    assert joint.max(axis=1).sum() / labels.size < 0.6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": -1}, "count must be at least 0, got -1"),
        ({"count": 1, "size": 15}, "size must be at least 16, got 15"),
        ({"count": 1, "seed": -1}, "seed must be at least 0, got -1"),
        ({"count": 1.5}, r"count must be an integer, got 1\.5"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        scenes(**arguments)


@pytest.mark.parametrize("size", [16, (16, 64), (64, 16)])
def test_small_and_long_scenes(size):
    image, labels, _ = scenes(1, size)[0]
    rows, columns = (size, size) if isinstance(size, int) else size
    assert image.shape == (3, rows, columns)
    assert image.dtype == labels.dtype == np.uint8
    assert labels.shape == (rows, columns)
    assert len(scenes(0)) == 0
