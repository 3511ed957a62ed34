"""A network applied to a picture of any size: padded to a size it takes, large ones in tiles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from numseg.data.dataset import Dataset, Sample
from numseg.data.images import check_channels, check_image
from numseg.device import Cuda
from numseg.errors import ArgumentError
from numseg.graph import Graph, image_channels
from numseg.tiling.frame import Frame, scores
from numseg.tiling.pieces import Piece, Place, pieces, runner
from numseg.tiling.proof import Inexact
from numseg.training import devices
from numseg.training.metrics import confusion_matrix
from numseg.typing import Array

TILE = 512
"""Rows and columns of a tile, where nothing else is said."""


def predict(
    graph: Graph,
    params: Mapping[str, Array],
    image: Array,
    tile: int | None = None,
    device: str | None = None,
    batch: int = 1,
) -> Array:
    """The class of every pixel.

    Parameters
    ----------
    graph : Graph
        One image in, logits out, as large as the image or (without padding) smaller; of several
        outputs the first.
    params : mapping of str to array
    image : array, (C, H, W), uint8, uint16 or float32 in [0, 1]
        Grey and colour are converted to what the network takes (:func:`numseg.data.as_input`).
    tile : int, optional
        A picture of more rows or columns than this is done in tiles of about this size, each run
        with the halo that its pixels read, so that they are those of the whole picture, to the last
        bit (:mod:`numseg.tiling`). By default 512, where the network can be cut, and the picture
        whole where it cannot: if it has a global pooling, for example.
    device : {"cpu", "cuda"}, optional
        Where to run; by default where the parameters are.
    batch : int
        Tiles that are run at a time.

    Returns
    -------
    array, (H, W), int64
        The first of the largest logits.

    Raises
    ------
    Inexact
        (an ArgumentError) If tiles are asked for, and would give other logits than the whole
        picture: a line that names the first node that does not allow them.

    Notes
    -----
    The picture is continued by its mirror image where the network needs more of it: to a size that
    it takes and, for networks without padding, by the margin that they lose (the overlap-tile
    strategy of the U-Net paper).
    """
    classes = np.zeros(check_image("image", image).shape[1:], np.int64)
    for piece in _pieces(graph, params, image, tile, device, batch):
        classes[piece.rows, piece.columns] = devices.to_host(_labels(piece))
    return classes


def predict_logits(
    graph: Graph,
    params: Mapping[str, Array],
    image: Array,
    tile: int | None = None,
    device: str | None = None,
    batch: int = 1,
) -> Array:
    """The logits of every pixel, (classes, H, W): what :func:`predict` takes the largest of."""
    size = check_image("image", image).shape[1:]
    found: Array | None = None
    for piece in _pieces(graph, params, image, tile, device, batch):
        logits = piece.values
        if found is None:
            found = np.empty((len(logits), *size), logits.dtype)
        found[:, piece.rows, piece.columns] = logits
    if found is None:
        raise ArgumentError(f"image has {size[0]} x {size[1]} pixels, expected at least one")
    return found


def _labels(piece: Piece) -> Any:
    """The class of each pixel, where the logits are."""
    if devices.of({"logits": piece.outputs}) is Cuda:
        return devices.cuda().largest(piece.outputs, *piece.inner)
    return np.argmax(piece.values, axis=0)


def _pieces(
    graph: Graph,
    params: Mapping[str, Array],
    image: Array,
    tile: int | None,
    device: str | None,
    batch: int,
) -> Iterator[Piece]:
    """Tiles of the picture, and the logits there."""
    where = devices.of(params) if device is None else devices.named(device)
    graph.check(params)
    head = scores(graph)
    params = {param.name: devices.moved(params[param.name], where) for param in head.params}
    channels = image_channels(head)
    image = check_image("image", image, channels)
    if 0 in image.shape:
        return
    frame = Frame.of(head, channels, *image.shape[1:])

    def read(place: Place) -> Array:
        window = frame.window(place)
        return window.tile(image[:, window.rows, window.columns])

    yield from pieces(_places(frame, tile), read, runner(head, params), batch)


def _places(frame: Frame, tile: int | None) -> list[Place]:
    if tile is not None:
        return frame.tiles(tile)
    try:
        return frame.tiles(TILE)
    except Inexact:
        return [frame.whole()]


def evaluate(
    graph: Graph, params: Mapping[str, Array], dataset: Dataset, device: str | None = None
) -> Array:
    """The confusion matrix over a dataset's whole pictures; ``device`` as in :func:`predict`.

    Raises
    ------
    ArgumentError
        If a sample does not fit (:meth:`numseg.data.Dataset.checked`), or the network has another
        number of classes.
    """
    classes = len(dataset.classes)
    where = devices.of(params) if device is None else devices.named(device)
    if where is Cuda:
        return _counted(graph, devices.all_moved(params, where), dataset)
    confusion = np.zeros((classes, classes), np.int64)
    for judged in evaluate_each(graph, params, dataset, device):
        confusion += judged.confusion
    return confusion


def _counted(graph: Graph, params: Mapping[str, Array], dataset: Dataset) -> Array:
    """The confusion matrix, counted on the GPU: the host waits for nothing but the whole of it."""
    classes, kernels = len(dataset.classes), devices.cuda()
    table = kernels.table(classes)
    for index in range(len(dataset)):
        sample = dataset.checked(index)
        check_takes(graph, len(sample.image), sample.image.shape[1:], classes)
        for piece in _pieces(graph, params, sample.image, None, None, 1):
            labels = np.array(sample.labels[piece.rows, piece.columns], np.int64)
            truth = devices.labels_moved(labels, Cuda)
            kernels.count(truth, _labels(piece), table, classes, dataset.ignored)
    found: Array = devices.to_host(table)[:-1].reshape(classes, classes)
    return found


class Judged(NamedTuple):
    """A picture, and what a network makes of it."""

    sample: Sample
    prediction: Array
    """(H, W) int64."""
    confusion: Array
    """(C, C) int64: :func:`confusion_matrix` of this picture."""


def evaluate_each(
    graph: Graph, params: Mapping[str, Array], dataset: Dataset, device: str | None = None
) -> Iterator[Judged]:
    """What :func:`evaluate` adds up, picture by picture."""
    if device is not None:
        params = devices.all_moved(params, devices.named(device))
    classes = len(dataset.classes)
    for index in range(len(dataset)):
        sample = dataset.checked(index)
        check_takes(graph, len(sample.image), sample.image.shape[1:], classes)
        found = predict(graph, params, sample.image)
        confusion = confusion_matrix(sample.labels, found, classes, dataset.ignored)
        yield Judged(sample, found, confusion)


def check_takes(graph: Graph, channels: int, size: Sequence[int], classes: int) -> None:
    """The network takes pictures of so many channels and pixels, and scores so many classes."""
    head = scores(graph)
    takes = image_channels(head)
    check_channels("image", channels, takes)
    if 0 not in size and (found := Frame.of(head, takes, *size).classes) != classes:
        raise ArgumentError(f"the network gives {found} classes, the data has {classes}")


def padded_size(graph: Graph, image: Array) -> tuple[int, int]:
    """Rows and columns to which a picture is continued so that the network takes it."""
    head = scores(graph)
    rows, columns = Frame.of(head, image_channels(head), *image.shape[1:]).image[2:]
    return rows, columns
