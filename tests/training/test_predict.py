"""Predictions on pictures of any size, whole and in tiles."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns
from numseg import ArgumentError
from numseg.data import Dataset, Sample
from numseg.nets import blocks, unet
from numseg.training import evaluate, predict, predict_logits


def _network(padding, depth=2, channels=1, seed=3):
    graph = unet(channels, 4, width=2, depth=depth, padding=padding)
    return graph, graph.init(seed)


def _image(rows, columns, channels=1):
    rng = np.random.default_rng(rows * columns)
    return rng.integers(0, 256, (channels, rows, columns)).astype(np.uint8)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("size", [(1, 1), (7, 20), (33, 5), (16, 16)])
def test_any_size_gives_a_class_for_every_pixel(padding, size):
    graph, params = _network(padding)
    found = predict(graph, params, _image(*size))
    assert found.shape == size
    assert found.dtype == np.int64
    assert 0 <= found.min() <= found.max() < 4


def test_a_size_that_fits_is_the_networks_own_output():
    graph, params = _network("same")
    image = _image(12, 16)
    x = image[None].astype(np.float32) / np.float32(255)
    expected = np.argmax(graph.run(params, x)[0], axis=0)
    np.testing.assert_array_equal(predict(graph, params, image), expected)
    assert len(np.unique(expected)) > 1


def test_without_padding_the_picture_is_continued_by_its_mirror_image():
    graph, params = _network("valid", depth=1)
    image = _image(12, 12)
    # an output of 12 takes 28 pixels of input: 8 more on every side
    padded = np.pad(image, ((0, 0), (8, 8), (8, 8)), mode="symmetric")
    logits = graph.run(params, padded[None].astype(np.float32) / np.float32(255))
    assert logits.shape[-2:] == (12, 12)
    np.testing.assert_array_equal(predict(graph, params, image), np.argmax(logits[0], axis=0))


@pytest.mark.parametrize(
    ("padding", "depth", "size", "tile"),
    [
        ("same", 2, (100, 76), 16),
        ("same", 2, (61, 130), 32),
        ("valid", 2, (90, 77), 40),
        ("valid", 3, (75, 140), 64),  # gives 8 k + 4 pixels
    ],
)
def test_tiles_have_no_seams(padding, depth, size, tile):
    graph, params = _network(padding, depth)
    image = _image(*size)
    whole, tiled = predict(graph, params, image), predict(graph, params, image, tile=tile)
    assert len(np.unique(whole)) > 1
    np.testing.assert_array_equal(whole, tiled)


def test_grey_and_colour_for_either_network():
    grey, colour = _network("same", channels=1), _network("same", channels=3)
    assert predict(*grey, _image(8, 8, channels=3)).shape == (8, 8)
    one = _image(8, 8)
    np.testing.assert_array_equal(
        predict(*colour, one), predict(*colour, np.repeat(one, 3, axis=0))
    )


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("tile", [8, 512])
def test_logits_are_what_the_class_is_the_largest_of(padding, tile):
    graph, params = _network(padding)
    image = _image(13, 21)
    logits = predict_logits(graph, params, image, tile)
    assert logits.shape == (4, 13, 21)
    np.testing.assert_array_equal(logits.argmax(0), predict(graph, params, image))
    with pytest.raises(ArgumentError, match="image has 0 x 5 pixels, expected at least one"):
        predict_logits(graph, params, image[:, :0, :5])


def test_an_empty_picture():
    assert predict(*_network("same"), np.zeros((1, 0, 5), np.uint8)).shape == (0, 5)


def test_bad_arguments():
    graph, params = _network("same")
    with pytest.raises(ArgumentError, match="image has 2 channels, but the network takes 1"):
        predict(graph, params, _image(8, 8, channels=2))
    with pytest.raises(ArgumentError, match="tile must be at least 1, got 0"):
        predict(graph, params, _image(8, 8), tile=0)


def test_evaluation_adds_up_pictures_and_leaves_out_ignored_pixels():
    graph, params = _network("same")
    images = [_image(8, 8), _image(9, 11)]
    labels = [predict(graph, params, image).astype(np.uint8) for image in images]
    labels[0][0] = 255
    samples = [Sample(*pair, "") for pair in zip(images, labels, strict=True)]
    confusion = evaluate(graph, params, Dataset(samples, tuple("abcd"), 255))
    assert confusion.sum() == 7 * 8 + 9 * 11
    assert np.trace(confusion) == confusion.sum()


def _interpolated():
    """Scores at stride 4, interpolated to the size of the image, as torchvision's networks do."""
    net = ns.Graph.build()
    x = net.input("x")
    scores = blocks.conv(net, "scores", x, 1, 3, 3, padding=1, stride=4)
    graph = net.output(net.add(ns.upsample_bilinear2d, scores, x.size, name="out"))
    return graph, graph.init(1)


@pytest.mark.parametrize("size", [(13, 22), (61, 43), (30, 50)])
def test_scores_that_are_interpolated_to_the_image(size):
    """The image is continued to where a pixel of the output is one of the image, and tiles lie on
    the grid of the scores: there are no seams."""
    graph, params = _interpolated()
    image = _image(*size)
    rows, columns = (-(-length // 4) * 4 for length in size)
    padded = np.pad(image, ((0, 0), (0, rows - size[0]), (0, columns - size[1])), mode="symmetric")
    scores = graph.run(params, padded[None].astype(np.float32) / np.float32(255))
    expected = np.argmax(scores[0], axis=0)[: size[0], : size[1]]
    assert len(np.unique(expected)) > 1
    np.testing.assert_array_equal(predict(graph, params, image), expected)
    np.testing.assert_array_equal(predict(graph, params, image, tile=8), expected)
