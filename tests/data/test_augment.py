"""Scaled pieces and other colours, by hand."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest

from numseg import ArgumentError
from numseg.chance import Dice
from numseg.data import Dataset, Sample, scenes
from numseg.data.augment import Axis, Colours, piece, recoloured, scaled_size
from numseg.training import Sampling, batches


class Loaded(Dice):
    """Always throws the largest number, or the smallest."""

    def __init__(self, high):
        super().__init__(0)
        self._high = high

    def between(self, low, high):
        return high if self._high else low


def test_sizes_are_rounded():
    assert [scaled_size(5, t) for t in (500, 1000, 1500, 2000, 1)] == [3, 5, 8, 10, 1]


def test_twice_as_large_by_hand():
    """Half-pixel centres: a quarter of the way, three quarters, and the border itself."""
    image = np.array([[[0, 4, 8]]], np.float32)
    labels = np.array([[7, 255, 3]])
    x, truth = piece(image, labels, Axis(1, 2, 0, 2), Axis(3, 6, 0, 6), 1)
    np.testing.assert_array_equal(x[0, 0], [0, 1, 3, 5, 7, 8])
    np.testing.assert_array_equal(x[0, 1], x[0, 0])
    assert truth.tolist() == [[7, 7, 255, 255, 3, 3]] * 2


def test_half_as_large_by_hand():
    image = np.array([[[0, 4, 8, 16]]], np.float32)
    x, truth = piece(image, np.array([[1, 2, 3, 4]]), Axis(1, 1, 0, 1), Axis(4, 2, 0, 2), 1)
    assert x.tolist() == [[[2, 12]]]
    assert truth.tolist() == [[2, 4]]


@pytest.mark.parametrize("thousandths", [370, 500, 999, 1370, 2000])
def test_a_piece_is_part_of_the_whole_scaled_picture(thousandths):
    image, labels, _ = scenes(1, (21, 32), 4)[0]
    sizes = [scaled_size(size, thousandths) for size in labels.shape]
    whole, truth = piece(
        image, labels, *(Axis(a, b, 0, b) for a, b in zip(labels.shape, sizes, strict=True)), 3
    )
    assert whole.dtype == np.float32
    assert whole.shape[1:] == truth.shape == tuple(sizes)
    assert set(np.unique(truth)) <= set(np.unique(labels))
    rows, columns = Axis(21, sizes[0], 3, 7), Axis(32, sizes[1], 2, 11)
    part, some = piece(image, labels, rows, columns, 3)
    assert part.tobytes() == np.ascontiguousarray(whole[:, 3:7, 2:11]).tobytes()
    np.testing.assert_array_equal(some, truth[3:7, 2:11])


def test_brightness_contrast_and_saturation_by_hand():
    x = np.array([[[0.2, 0.6]], [[0.2, 0.6]], [[0.2, 0.6]]], np.float32)  # grey, mean 0.4
    found = recoloured(x, Colours(brightness=0.5), Loaded(True))
    np.testing.assert_allclose(found[:, 0], [[0.3, 0.9]] * 3, rtol=1e-6)
    found = recoloured(x, Colours(brightness=1.0), Loaded(True))
    np.testing.assert_allclose(found[:, 0], [[0.4, 1.0]] * 3, rtol=1e-6)  # cut off at 1
    found = recoloured(x, Colours(contrast=0.5), Loaded(False))
    np.testing.assert_allclose(found[:, 0], [[0.3, 0.5]] * 3, rtol=1e-6)
    found = recoloured(x, Colours(saturation=1.0), Loaded(True))
    np.testing.assert_allclose(found, x, rtol=1e-6)  # it is grey already
    red = np.array([1, 0, 0], np.float32).reshape(3, 1, 1)
    found = recoloured(red, Colours(saturation=1.0), Loaded(False))
    np.testing.assert_allclose(found.ravel(), [0.299] * 3, rtol=1e-6)
    found = recoloured(red, Colours(saturation=0.5), Loaded(False))
    np.testing.assert_allclose(found.ravel(), [(1 + 0.299) / 2, 0.1495, 0.1495], rtol=1e-6)


@pytest.mark.parametrize("high", [False, True])
@pytest.mark.parametrize("amount", [0.1, 1 / 3, 0.5])
def test_hues_are_pythons(amount, high):
    x = np.random.default_rng(0).random((3, 4, 5)).astype(np.float32)
    x[:, 0] = [[0.5]] * 3  # grey keeps what it is
    x[:, 1, 0] = 1, 0, 0
    found = recoloured(x, Colours(hue=amount), Loaded(high))
    turn = amount if high else -amount
    for i, j in np.ndindex(4, 5):
        h, s, v = colorsys.rgb_to_hsv(*x[:, i, j].tolist())
        expected = colorsys.hsv_to_rgb((h + turn) % 1, s, v)
        np.testing.assert_allclose(found[:, i, j], expected, atol=3e-6)


EVERYTHING = {
    "crop": (12, 20), "batch": 4, "repeat": 8, "scale": (0.5, 2.0), "brightness": 0.3,
    "contrast": 0.3, "saturation": 0.3, "hue": 0.1, "light": 0.1,
}  # fmt: skip


def test_pictures_of_any_size_give_pieces_of_one():
    samples = [scenes(1, size, i)[0] for i, size in enumerate([(16, 16), (40, 24), (20, 50)])]
    samples[1] = samples[1]._replace(image=samples[1].image[:1])  # one is grey
    dataset = Dataset(samples, scenes(0).classes)
    found = list(batches(dataset, Sampling(**EVERYTHING), 3, epoch=1))
    assert {batch.x.shape for batch in found} == {(4, 3, 12, 20)}
    assert {batch.labels.shape for batch in found} == {(4, 12, 20)}
    labels = np.concatenate([batch.labels.ravel() for batch in found])
    known = {label for sample in samples for label in np.unique(sample.labels).tolist()}
    assert set(np.unique(labels).tolist()) == known | {255}
    again = list(batches(dataset, Sampling(**EVERYTHING), 3, epoch=1))
    for one, other in zip(found, again, strict=True):
        assert one.x.tobytes() == other.x.tobytes()
        assert one.labels.tobytes() == other.labels.tobytes()
    other = list(batches(dataset, Sampling(**EVERYTHING, seed=1), 3, epoch=1))
    assert found[0].x.tobytes() != other[0].x.tobytes()


def test_scaling_and_padding_go_together():
    """Half of 16 is 8: the rest of the piece is zero, and ignored."""
    dataset = scenes(2, 16, 0)
    (batch,) = batches(dataset, Sampling(crop=12, batch=2, scale=(0.5, 0.5), flip=False), 3, 0)
    assert (batch.labels[:, 8:] == 255).all()
    assert (batch.labels[:, :, 8:] == 255).all()
    assert (batch.labels[:, :8, :8] < 8).all()
    assert not batch.x[:, :, 8:].any()
    assert batch.x[:, :, :8, :8].all()


def test_labels_and_image_are_scaled_alike():
    """A ramp: the nearest pixel's number lies within half a pixel of the interpolated one."""
    ramp = np.add.outer(np.zeros(30), np.arange(40)).astype(np.uint8)
    dataset = Dataset([Sample(ramp[None], ramp, "ramp")], tuple(map(str, range(40))))
    sampling = Sampling(crop=16, batch=8, repeat=8, scale=(0.6, 1.8))
    (batch,) = batches(dataset, sampling, 1, 0)
    inside = batch.labels < 255
    assert np.abs(batch.x[:, 0] * 255 - batch.labels)[inside].max() <= 0.5 + 1e-4
    slopes = np.abs(np.diff(batch.x[:, 0, 0], axis=1) * 255).max(axis=1)
    assert slopes.min() < 0.8 < 1.2 < slopes.max()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scale": (2.0, 0.5)}, "scale goes from 2.0 to 0.5"),
        ({"scale": (0.0, 1.0)}, r"scale\[0\] must be positive"),
        ({"hue": 0.6}, r"hue must lie in \[0, 0.5\], got 0.6"),
        ({"brightness": 2}, "brightness must lie in"),
        ({"crop": (8, 16), "turn": True}, r"turn lays pieces on their side, but crop is \(8, 16\)"),
        ({"crop": (8, 0)}, r"crop\[1\] must be at least 1, got 0"),
    ],
)
def test_samplings_that_are_none(settings, message):
    with pytest.raises(ArgumentError, match=message):
        Sampling(**settings)


def test_colours_of_grey_pictures():
    with pytest.raises(ArgumentError, match="the network takes 1 channel, not red"):
        next(batches(scenes(1, 16), Sampling(crop=8, hue=0.1), 1, 0))
