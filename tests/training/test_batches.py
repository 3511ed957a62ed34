"""Batches: what chance there is comes from (seed, epoch, item)."""

from __future__ import annotations

import numpy as np
import pytest

from numseg import ArgumentError
from numseg.data import Dataset, Sample
from numseg.training import Sampling, batches


def _dataset(count, rows=6, columns=8):
    """Every pixel of an image is 8 times its row + column, and its label says the same."""
    places = np.add.outer(8 * np.arange(rows), np.arange(columns)).astype(np.uint8)
    samples = [Sample(places[None], places, str(i)) for i in range(count)]
    return Dataset(tuple(samples), tuple(map(str, range(64))))


def _same(batch):
    """Image and labels went through the same moves."""
    np.testing.assert_array_equal(np.rint(batch.x[:, 0] * 255), batch.labels)


def test_pieces_are_cut_mirrored_and_turned_with_their_labels():
    sampling = Sampling(crop=4, batch=4, repeat=32, turn=True)
    seen = set()
    for batch in batches(_dataset(1), sampling, 1, epoch=0):
        assert batch.x.shape == (4, 1, 4, 4)
        assert batch.x.dtype == np.float32
        assert batch.labels.dtype == np.int64
        _same(batch)
        across, down = batch.labels[:, 0, 1] - batch.labels[:, 0, 0], np.diff(batch.labels, axis=1)
        seen.update(zip(across.tolist(), down[:, 0, 0].tolist(), strict=True))
    # to the right it goes by 1, down by 8: all eight ways to lay a square down occur
    assert seen == {(1, 8), (-1, 8), (1, -8), (-1, -8), (8, 1), (-8, 1), (8, -1), (-8, -1)}


def test_nothing_is_moved_unless_asked():
    sampling = Sampling(crop=6, batch=1, repeat=20, flip=False)
    tops = set()
    for batch in batches(_dataset(1), sampling, 1, epoch=0):
        assert (np.diff(batch.labels, axis=2) == 1).all()
        tops.add(int(batch.labels[0, 0, 0]))
    assert tops == {0, 1, 2}  # rows have no room to move, columns have two


def test_every_picture_comes_repeat_times_an_epoch():
    samples = [
        Sample(np.full((1, 4, 4), i, np.uint8), np.zeros((4, 4), np.uint8), "") for i in range(5)
    ]
    sampling = Sampling(crop=4, batch=4, repeat=3)
    dataset = Dataset(samples, ("a",))
    found = [batch.x for batch in batches(dataset, sampling, 1, epoch=2)]
    assert [len(x) for x in found] == [4, 4, 4, 3]
    assert len(found) == sampling.steps(dataset)
    values = np.rint(np.concatenate(found)[:, 0, 0, 0] * 255).astype(int)
    assert np.bincount(values).tolist() == [3] * 5


def test_an_epoch_can_be_had_alone_and_differs_from_others():
    def bits(seed, epoch):
        sampling = Sampling(crop=4, batch=2, repeat=4, light=0.5, turn=True, seed=seed)
        return b"".join(b.x.tobytes() for b in batches(_dataset(2), sampling, 3, epoch))

    assert bits(1, 5) == bits(1, 5)
    assert len({bits(1, 5), bits(1, 6), bits(2, 5)}) == 3


def test_a_picture_is_cut_anew_in_every_epoch():
    sampling = Sampling(crop=2, batch=1)
    pieces = [next(batches(_dataset(1), sampling, 1, epoch)).x.tobytes() for epoch in range(8)]
    assert len(set(pieces)) > 4


def test_small_pictures_are_padded_and_the_padding_ignored():
    dataset = _dataset(1, rows=3)
    batch = next(batches(dataset, Sampling(crop=4, batch=1), 1, epoch=0))
    assert (batch.labels[0, 3] == 255).all()
    assert (batch.x[0, 0, 3] == 0).all()
    assert (batch.labels[0, :3] < 255).all()


def test_light_changes_contrast_and_brightness():
    dataset = Dataset(
        [Sample(np.full((1, 4, 4), 102, np.uint8), np.zeros((4, 4), np.uint8), "")], ("a",)
    )
    sampling = Sampling(crop=4, batch=64, repeat=64, light=0.25)
    x = next(batches(dataset, sampling, 1, epoch=0)).x
    assert x.dtype == np.float32
    assert (x == x[:, :, :1, :1]).all()
    # 0.4 times 0.75 to 1.25, plus -0.25 to 0.25
    assert 0.05 <= x.min() < 0.2
    assert 0.6 < x.max() <= 0.75


@pytest.mark.parametrize("name", ["crop", "batch", "repeat"])
def test_bad_settings(name):
    with pytest.raises(ArgumentError, match=f"{name} must be at least 1, got 0"):
        Sampling(**{name: 0})


def test_a_small_last_batch_can_be_dropped():
    """The others are what they were."""
    dataset = _dataset(5)
    with_last = Sampling(crop=4, batch=2)
    without = Sampling(crop=4, batch=2, drop_last=True)
    whole, found = (list(batches(dataset, s, 3, epoch=1)) for s in (with_last, without))
    assert [len(batch.x) for batch in whole] == [2, 2, 1]
    assert [len(batch.x) for batch in found] == [2, 2]
    assert without.steps(dataset) == 2
    for one, other in zip(whole, found, strict=False):
        np.testing.assert_array_equal(one.x, other.x)
    exact = Sampling(crop=4, batch=5, drop_last=True)
    assert exact.steps(dataset) == 1
