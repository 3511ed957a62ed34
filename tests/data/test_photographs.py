"""Real photographs, and the labels of the coins."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy import ndimage

from numseg import ArgumentError, MissingExtra
from numseg.data import PHOTOGRAPHS, coins, photograph


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_photographs_are_pictures(name):
    image = photograph(name)
    assert image.dtype == np.uint8
    assert image.shape[0] == (1 if name in ("coins", "horse") else 3)
    assert image.max() > 200
    assert image.flags.c_contiguous


def test_an_unknown_photograph():
    with pytest.raises(ArgumentError, match="name must be one of 'coins'"):
        photograph("cat")


def test_there_are_24_coins_and_none_is_cut_by_the_split():
    whole, train, held_out = (coins(part)[0] for part in ("all", "train", "held-out"))
    assert ndimage.label(whole.labels)[1] == 24
    assert ndimage.label(train.labels)[1] == 12
    assert ndimage.label(held_out.labels)[1] == 12
    assert not train.labels[-1].any()
    assert not held_out.labels[0].any()


def test_the_parts_share_no_pixel_and_miss_none():
    whole, train, held_out = (coins(part)[0] for part in ("all", "train", "held-out"))
    np.testing.assert_array_equal(
        np.concatenate([train.image, held_out.image], axis=1), whole.image
    )
    np.testing.assert_array_equal(np.concatenate([train.labels, held_out.labels]), whole.labels)


def test_the_labels_agree_with_coins_seen_by_eye():
    """Centres of coins and of the gaps between them, read off the photograph (row, column)."""
    labels = coins()[0].labels
    inside = [(54, 44), (57, 101), (50, 155), (51, 215), (53, 276), (44, 335), (124, 45), (267, 47)]
    outside = [(10, 10), (85, 70), (90, 240), (150, 200), (225, 100), (295, 190), (160, 290)]
    assert [labels[p] for p in inside] == [1] * len(inside)
    assert [labels[p] for p in outside] == [0] * len(outside)


def test_a_grey_level_learned_on_one_part_does_not_do_for_the_other():
    """The light falls off: what separates the upper coins best is far off for the lower ones, so
    the figure to beat is not that of a threshold."""

    parts = {part: coins(part)[0] for part in ("train", "held-out")}

    def score(part, level):
        coin, bright = parts[part].labels == 1, parts[part].image[0] > level
        pairs = ((coin, bright), (~coin, ~bright))
        return sum((a & b).sum() / (a | b).sum() for a, b in pairs) / 2

    level = max(range(0, 256, 4), key=lambda level: score("train", level))
    assert 0.9 < score("train", level) < 0.92
    assert 0.7 < score("held-out", level) < 0.8


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.data", None)
    with pytest.raises(MissingExtra, match=r"coins.* needs scikit-image, .*'numseg\[demo\]'"):
        coins()
