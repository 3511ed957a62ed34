"""A network applied to a picture of any size: padded to a size it takes, large ones in tiles."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from numseg import checks
from numseg.data.dataset import Dataset, Sample
from numseg.data.images import as_input, check_image
from numseg.device import Cuda
from numseg.errors import ArgumentError
from numseg.graph import Graph, image_channels, receptive
from numseg.training import devices
from numseg.training.metrics import confusion_matrix
from numseg.typing import Array, Shape

Stride = tuple[Fraction, Fraction]

TILE = 512
"""Rows and columns of a tile, unless another number is asked for."""

_SEARCH = 2048
"""How far beyond the size of a picture a size is looked for that a network takes."""


def predict(
    graph: Graph,
    params: Mapping[str, Array],
    image: Array,
    tile: int = TILE,
    device: str | None = None,
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
    tile : int
        A picture of more rows or columns than this is done in tiles of about this size. Each is
        run with as much of its surroundings as its pixels read, so that no seam appears.
    device : {"cpu", "cuda"}, optional
        Where to run; by default where the parameters are.

    Returns
    -------
    array, (H, W), int64
        The first of the largest logits.

    Notes
    -----
    The picture is continued by its mirror image where the network needs more of it: to a size that
    it takes and, for networks without padding, by the margin that they lose (the overlap-tile
    strategy of the U-Net paper).
    """
    classes = np.zeros(check_image("image", image).shape[1:], np.int64)
    for piece in _pieces(graph, params, image, tile, device):
        classes[piece.rows, piece.columns] = devices.to_host(piece.labels())
    return classes


def predict_logits(
    graph: Graph,
    params: Mapping[str, Array],
    image: Array,
    tile: int = TILE,
    device: str | None = None,
) -> Array:
    """The logits of every pixel, (classes, H, W): what :func:`predict` takes the largest of."""
    size = check_image("image", image).shape[1:]
    found: Array | None = None
    for piece in _pieces(graph, params, image, tile, device):
        logits = devices.to_host(piece.logits)[0, :, *piece.inner]
        if found is None:
            found = np.empty((len(logits), *size), logits.dtype)
        found[:, piece.rows, piece.columns] = logits
    if found is None:
        raise ArgumentError(f"image has {size[0]} x {size[1]} pixels, expected at least one")
    return found


class _Piece(NamedTuple):
    """A tile of the picture: its rows, its columns, and the logits there, where they were made."""

    rows: slice
    columns: slice
    logits: Any
    """(1, classes, H, W), of the tile and of some of what is around it."""
    inner: tuple[slice, slice]
    """Rows and columns of the tile itself among them."""

    def labels(self) -> Any:
        """The class of each pixel, where the logits are."""
        if devices.of({"logits": self.logits}) is Cuda:
            return devices.cuda().largest(self.logits, *self.inner)
        return np.argmax(self.logits[0, :, *self.inner], axis=0)


def _pieces(
    graph: Graph, params: Mapping[str, Array], image: Array, tile: int, device: str | None
) -> Iterator[_Piece]:
    """The tiles of the picture."""
    checks.integer("tile", tile, minimum=1)
    where = devices.of(params) if device is None else devices.named(device)
    graph.check(params)
    head = _scores(graph)
    params = {param.name: devices.moved(params[param.name], where) for param in head.params}
    x = as_input(image, image_channels(head))
    rows, columns = x.shape[1:]
    if not rows or not columns:
        return
    plan = _Frame.of(head, x.shape[0], rows, columns)
    padded = np.pad(x, ((0, 0), plan.rows.pad(rows), plan.columns.pad(columns)), mode="symmetric")
    for r in plan.rows.tiles(tile):
        for c in plan.columns.tiles(tile):
            piece = devices.moved(padded[None, :, r.start : r.stop, c.start : c.stop], where)
            down, across = slice(r.first, min(r.last, rows)), slice(c.first, min(c.last, columns))
            inner = _beginning(r.inner, down), _beginning(c.inner, across)
            yield _Piece(down, across, head.run(params, piece), inner)


def _beginning(inner: slice, kept: slice) -> slice:
    """As much of the first as the second is long."""
    return slice(inner.start, inner.start + max(kept.stop - kept.start, 0))


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
        check_takes(graph, sample.image, classes)
        for piece in _pieces(graph, params, sample.image, TILE, None):
            labels = np.array(sample.labels[piece.rows, piece.columns], np.int64)
            truth = devices.labels_moved(labels, Cuda)
            kernels.count(truth, piece.labels(), table, classes, dataset.ignored)
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
        check_takes(graph, sample.image, classes)
        found = predict(graph, params, sample.image)
        confusion = confusion_matrix(sample.labels, found, classes, dataset.ignored)
        yield Judged(sample, found, confusion)


def check_takes(graph: Graph, image: Array, classes: int) -> None:
    """The network takes the picture, and has scores for so many classes."""
    head = _scores(graph)
    channels, (rows, columns) = image_channels(head), image.shape[1:]
    check_image("image", image, channels)
    if rows and columns and (found := _Frame.of(head, channels, rows, columns).classes) != classes:
        raise ArgumentError(f"the network gives {found} classes, the data has {classes}")


def padded_size(graph: Graph, image: Array) -> tuple[int, int]:
    """Rows and columns to which a picture is continued so that the network takes it."""
    head = _scores(graph)
    frame = _Frame.of(head, image_channels(head), *image.shape[1:])
    return frame.rows.inputs, frame.columns.inputs


@functools.lru_cache(maxsize=32)
def _scores(graph: Graph) -> Graph:
    """The part of the graph that gives its first output."""
    return graph if len(graph.outputs) == 1 else graph.at(graph.outputs[0].source)


def pixel_stride(graph: Graph, name: str, image: Shape) -> Stride | None:
    """Rows and columns of the image from one output pixel to the next, as far as that is known."""
    field = graph.receptive_field(name, image)
    if field is not None:
        return field.stride
    try:  # something on the way reads the whole image, and is spread over what lies beside it
        rows, columns = receptive.centres(graph, graph.plans(image), name)
    except ArgumentError:
        return None
    return rows.stride, columns.stride


def check_stride(name: str, stride: Stride | None) -> None:
    """An output has a pixel for each pixel of the image, as far as that is known."""
    if stride is not None and any(s != 1 for s in stride):
        rows, columns = stride
        raise ArgumentError(
            f"{name} has one pixel for {rows} x {columns} of the image: upsample it to the image"
        )


@dataclasses.dataclass(frozen=True)
class _Tile:
    """A piece of one axis."""

    start: int
    stop: int
    """What is read: ``[start, stop)`` of the padded picture."""
    first: int
    last: int
    """What is written: ``[first, last)`` of the outputs."""
    inner: slice
    """Where that lies in the tile's own output."""


@dataclasses.dataclass(frozen=True)
class _Axis:
    """How a network's sizes work along one axis."""

    inputs: int
    """Padded size."""
    outputs: int
    step: int
    """From one size that the network takes to the next."""
    before: int
    after: int
    """How many more inputs than those of its tile an output reads, on either side."""

    @property
    def margin(self) -> int:
        """What a network without padding takes off each side."""
        return (self.inputs - self.outputs) // 2

    def pad(self, size: int) -> tuple[int, int]:
        return self.margin, self.inputs - self.margin - size

    def tiles(self, tile: int) -> Iterator[_Tile]:
        """Cover the outputs by tiles that all read equally much.

        They start at multiples of the step, so that pooling windows and strides fall on the same
        pixels as in the whole picture.
        """
        core = max(tile // self.step, 1) * self.step
        before, after = (-(-side // self.step) * self.step for side in (self.before, self.after))
        window = before + core + after
        window += (self.outputs - window) % self.step  # a size that the network takes
        if self.outputs <= tile or self.outputs <= window:
            yield _Tile(0, self.inputs, 0, self.outputs, slice(0, self.outputs))
            return
        for first in range(0, self.outputs, core):
            last = min(first + core, self.outputs)
            start = min(max(first - before, 0), self.outputs - window)
            stop = start + window + self.inputs - self.outputs
            yield _Tile(start, stop, first, last, slice(first - start, last - start))


@dataclasses.dataclass(frozen=True)
class _Frame:
    """Both axes."""

    rows: _Axis
    columns: _Axis

    classes: int

    @classmethod
    @functools.lru_cache(maxsize=4096)  # datasets have pictures of many sizes, again and again
    def of(cls, graph: Graph, channels: int, rows: int, columns: int) -> _Frame:
        output = graph.outputs[0].source

        def outputs(h: int, w: int) -> tuple[int, int] | None:
            try:
                _, _, oh, ow = graph.shapes((1, channels, h, w))[output]
            except ArgumentError:
                return None
            return (oh, ow) if _aligned(graph, channels, (h, w), (oh, ow)) else None

        def fitting(axis: int, wanted: int, other: int) -> tuple[int, int]:
            """The smallest input size whose output has ``wanted`` pixels, and the next."""
            found: list[int] = []
            for size in range(wanted, wanted + _SEARCH):
                given = outputs(*((size, other) if axis == 0 else (other, size)))
                if given is not None and given[axis] >= wanted:
                    found.append(size)
                    if len(found) == 2:
                        return found[0], found[1] - found[0]
            raise ArgumentError(f"the network takes no image that covers {rows} x {columns} pixels")

        largest = max(rows, columns)
        square = next(
            (s for s in range(largest, largest + _SEARCH) if outputs(s, s) is not None), largest
        )
        h, step_h = fitting(0, rows, square)
        w, step_w = fitting(1, columns, h)
        oh, ow = outputs(h, w) or (0, 0)
        check_stride(output, pixel_stride(graph, output, (1, channels, h, w)))
        field = graph.receptive_field(output, (1, channels, h, w))
        classes = graph.shapes((1, channels, h, w))[output][1]
        if field is None:  # every output reads the whole image: it cannot be cut
            return cls(_Axis(h, oh, h, h, h), _Axis(w, ow, w, w, w), classes)
        return cls(
            _Axis(h, oh, step_h, *_surroundings(field.rows, h - oh)),
            _Axis(w, ow, step_w, *_surroundings(field.columns, w - ow)),
            classes,
        )


def _aligned(graph: Graph, channels: int, image: tuple[int, int], out: tuple[int, int]) -> bool:
    """Not where scores are interpolated to the image's size, and their grid to a little more of it:
    the 3 x 3 scores of 17 rows at stride 8 are those of 24. Tiles would lie on other grids."""
    if image != out:
        return True
    field = graph.receptive_field(graph.outputs[0].source, (1, channels, *image))
    return field is None or field.stride is None or set(field.stride) == {1}


def _surroundings(intervals: Array, lost: int) -> tuple[int, int]:
    """By how much the inputs that outputs read exceed a tile's ``[start, stop + lost)``."""
    place = np.arange(len(intervals))
    before, after = place - intervals[:, 0], intervals[:, 1] - place - lost
    return max(int(before.max()), 0), max(int(after.max()), 0)
