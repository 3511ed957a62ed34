"""YOLO v1 (Redmon, Divvala, Girshick and Farhadi, "You only look once: unified, real-time object
detection", 2016).

::

    448 x 448    conv 7 x 7 / 2, 64                                        maxpool  2 x 2 / 2
    112 x 112    conv 3 x 3, 192                                           maxpool
     56 x 56     1 x 1, 128;  3 x 3, 256;  1 x 1, 256;  3 x 3, 512         maxpool
     28 x 28     4 x (1 x 1, 256;  3 x 3, 512);  1 x 1, 512;  3 x 3, 1024  maxpool
     14 x 14     2 x (1 x 1, 512;  3 x 3, 1024);  3 x 3, 1024;  3 x 3 / 2, 1024
      7 x 7      2 x (3 x 3, 1024);  linear, 4096;  dropout;  linear, 7 x 7 x 30

One pass: each of S x S cells says of B boxes where they lie and how sure it is of each, and once
which class an object in it would have.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from numseg import boxes as box_ops
from numseg import checks
from numseg.data.instances import Detections, Instances
from numseg.detectors.images import check_truth, checked, dtype_of
from numseg.errors import ArgumentError, ArgumentTypeError, shown
from numseg.graph import Builder, Graph, Param, Tape, Value
from numseg.nets import blocks
from numseg.ops.flatten import flatten
from numseg.ops.max_pool2d import max_pool2d
from numseg.ops.multiply import multiply
from numseg.ops.reshape import reshape
from numseg.ops.subtract import subtract
from numseg.ops.sum import sum as sum_
from numseg.ops.upsample_bilinear2d import upsample_bilinear2d
from numseg.typing import Array, ArrayLike

PAPER = (
    ((7, 64, 2),),
    ((3, 192),),
    ((1, 128), (3, 256), (1, 256), (3, 512)),
    (*((1, 256), (3, 512)) * 4, (1, 512), (3, 1024)),
    (*((1, 512), (3, 1024)) * 2, (3, 1024), (3, 1024, 2), (3, 1024), (3, 1024)),
)
"""The 24 convolutions: kernel, filters and, where it is not 1, stride; a pooling between stages."""

SLOPE = ("leaky_relu", {"negative_slope": 0.1})

TERMS = ("position", "size", "object", "no_object", "class")
"""The five sums of the paper's equation 3, in its order."""

FARTHEST = 1e9
"""Cells and roots of sides: predictions beyond that are taken for as much where boxes are compared,
so that an overlap is a number whatever the network says."""


def yolov1(
    in_channels: int = 3,
    classes: int = 21,
    *,
    image_size: int = 448,
    grid: int = 7,
    boxes: int = 2,
    layers: Sequence[Sequence[Sequence[int]]] | None = None,
    width: int = 64,
    hidden: int = 4096,
    dropout: float = 0.5,
    norm: Any = None,
    lambda_coord: float = 5.0,
    lambda_noobj: float = 0.5,
    confidence: str = "iou",
    without_overlap: str = "rmse",
    score_threshold: float = 0.001,
    iou_threshold: float = 0.5,
    max_detections: int | None = None,
) -> YoloV1:
    """YOLO v1, and smaller networks of its kind.

    Parameters
    ----------
    in_channels, classes : int
        Channels of an image, and classes, the background included: the paper's C is ``classes -
        1``.
    image_size : int
        Images are resized to so many rows and columns, bilinearly, whatever their shape is.
    grid, boxes : int
        The paper's S and B.
    layers : sequence of stages, optional
        A stage is a sequence of convolutions, ``(kernel, filters)`` or ``(kernel, filters,
        stride)``; between stages there is a max pooling. The paper's 24 by default.
    width : int
        Filters are so many 64ths of what ``layers`` says.
    hidden : int
        Numbers that the first linear layer gives.
    dropout : float
        After it, in training.
    norm : normalisation, optional
        After each convolution, which the paper's network has not and darknet's ``yolov1.cfg`` has:
        ``"batch_norm"``.
    lambda_coord, lambda_noobj : float
        Weights of the paper's loss.
    confidence : {"iou", "one"}
        What the responsible predictor's confidence is to be: its overlap with the object, as the
        paper and darknet (``rescore=1``) have it, a number that no gradient goes through; or 1.
    without_overlap : {"rmse", "first"}
        Which predictor of a cell is responsible where none overlaps the object: the one that is
        nearest in x, y, w, h (darknet; the paper does not say), or the first.
    score_threshold, iou_threshold, max_detections : float, float, int
        Detections have larger scores; suppression is by overlap, within each class; and of all
        classes together at most so many are given. Defaults are those of darknet's validation.

    Returns
    -------
    YoloV1

    Raises
    ------
    ArgumentError
        For arguments out of range, and layers that leave no pixel of an image.

    Notes
    -----
    A cell's 5 B + C numbers are x, y, w, h and confidence of each box, then the probabilities of
    classes 1, 2, ...; the paper states no order. x and y count from the cell's corner in cells, w
    and h are square roots of shares of the image, as the paper and darknet (``sqrt=1``) have it.
    The last layer is linear. Darknet's ``yolov1.cfg`` is another network (batch normalisation, a
    locally connected layer, 3 boxes: 1715 numbers).

    Examples
    --------
    >>> from numseg.detectors import yolov1
    >>> net = yolov1(classes=21)
    >>> net.graph.shapes((1, 3, 448, 448))["cells"], sum(p.size for p in net.graph.params)
    ((1, 7, 7, 30), 271703550)
    """
    size = checks.integer("image_size", image_size, 1)
    s, b = checks.integer("grid", grid, 1), checks.integer("boxes", boxes, 1)
    c = checks.integer("classes", classes, 2) - 1
    net = Graph.build()
    x = blocks.image(net, in_channels, size, largest=size)
    h, numbers = _features(net, x, in_channels, size, _stages(layers), width, norm)
    hidden = checks.integer("hidden", hidden, 1)
    h = blocks.linear(net, "fc1", h, numbers, hidden, activation=SLOPE)
    h = blocks.dropout(net, "drop1", h, dropout)
    y = blocks.linear(net, "fc2", h, hidden, s * s * (5 * b + c), init=("normal", {"std": 0.01}))
    y = net.add(reshape, y, (-1, s, s, 5 * b + c), name="cells")
    return YoloV1(
        graph=net.output(y),
        size=size,
        grid=s,
        boxes=b,
        channels=in_channels,
        classes=c + 1,
        lambda_coord=checks.real("lambda_coord", lambda_coord, 0),
        lambda_noobj=checks.real("lambda_noobj", lambda_noobj, 0),
        confidence=checks.choice("confidence", confidence, ("iou", "one")),
        without_overlap=checks.choice("without_overlap", without_overlap, ("rmse", "first")),
        score_threshold=checks.real("score_threshold", score_threshold),
        iou_threshold=checks.real("iou_threshold", iou_threshold, 0, 1),
        max_detections=None
        if max_detections is None
        else checks.integer("max_detections", max_detections, 0),
    )


def _stages(given: Any) -> list[list[tuple[int, int, int]]]:
    """Kernel, filters and stride of every convolution."""
    stages = []
    for i, stage in enumerate(PAPER if given is None else given):
        found = []
        for j, layer in enumerate(stage):
            name = f"layers[{i}][{j}]"
            if not checks.is_sequence(layer) or not 2 <= len(layer) <= 3:
                raise ArgumentTypeError(
                    f"{name} must be (kernel, filters) or (kernel, filters, stride), got "
                    f"{shown(layer)}"
                )
            kernel, filters, stride = (checks.integer(name, n, 1) for n in (*layer, 1)[:3])
            found.append((kernel, filters, stride))
        stages.append(found)
    return stages


def _features(
    net: Builder,
    x: Value,
    channels: int,
    size: int,
    stages: list[list[tuple[int, int, int]]],
    width: int,
    norm: Any,
) -> tuple[Value, int]:
    """The convolutions and poolings; a vector of each image, and how many numbers it has."""
    width, number = checks.integer("width", width, 1), 0
    for level, stage in enumerate(stages):
        if level:
            x, size = net.add(max_pool2d, x, 2, name=f"pool{level}"), size // 2
        for kernel, filters, stride in stage:
            number, filters = number + 1, max(filters * width // 64, 1)
            x = blocks.conv(
                net, f"conv{number}", x, channels, filters, kernel, kernel // 2, stride=stride,
                norm=norm, activation=SLOPE,
            )  # fmt: skip
            channels, size = filters, (size + 2 * (kernel // 2) - kernel) // stride + 1
        if size < 1:
            raise ArgumentError("layers leave no pixel of an image: image_size is too small")
    return net.add(flatten, x, name="flatten"), channels * size * size


def _loss() -> Graph:
    """Each term is a sum of squares of differences, weighted: weights are 0 where a number is none
    of the term's."""
    net = Graph.build()
    predicted, target, weights = map(net.input, ("predicted", "target", "weights"))
    error = net.add(subtract, predicted, target, name="error")
    square = net.add(multiply, error, error, name="square")
    every = net.add(multiply, weights, square, name="weighted")
    return net.output(net.add(sum_, every, (1, 2, 3, 4), name="terms"))


LOSS = _loss()


class Targets(NamedTuple):
    """What a batch's predictions are compared with."""

    values: Array
    """(N, S, S, 5 B + C)."""
    weights: Array
    """(terms, N, S, S, 5 B + C): how much each number counts in each of the :data:`TERMS`."""


@dataclasses.dataclass(frozen=True, eq=False)
class YoloLosses:
    """The terms of the loss, and what gradients need."""

    terms: dict[str, float]
    updates: Mapping[str, Array]
    tape: Tape
    loss_tape: Tape
    dtype: Any


@dataclasses.dataclass(frozen=True, eq=False)
class YoloV1:
    """A :class:`~numseg.detectors.Detector`; :func:`yolov1` makes one and says what the fields
    are."""

    graph: Graph
    """Of images (N, channels, size, size), and gives cells (N, S, S, 5 B + C)."""
    size: int
    grid: int
    boxes: int
    channels: int
    classes: int
    lambda_coord: float
    lambda_noobj: float
    confidence: str
    without_overlap: str
    score_threshold: float
    iou_threshold: float
    max_detections: int | None

    @property
    def params(self) -> tuple[Param, ...]:
        return self.graph.params

    @property
    def trainable(self) -> tuple[str, ...]:
        return self.graph.trainable

    def init(self, seed: int = 0, dtype: Any = np.float32) -> dict[str, Array]:
        return self.graph.init(seed, dtype)

    def check(self, params: Mapping[str, ArrayLike]) -> None:
        self.graph.check(params)

    # -- what it finds ------------------------------------------------------------------------

    def detect(self, params: Mapping[str, Array], images: Sequence[Array]) -> list[Detections]:
        """What is found in each image, the highest score first.

        Raises
        ------
        ArgumentError
            For images that are none of this detector's, and predictions that are not finite.
        """
        return [self._detect(params, i, image) for i, image in enumerate(images)]

    def _detect(self, params: Mapping[str, Array], number: int, image: Array) -> Detections:
        cells = self.graph.run(params, self.resized([image], dtype_of(params)))[0]
        if not np.isfinite(cells).all():
            raise ArgumentError(f"yolov1: what is predicted of image {number} is not finite")
        return self.decode(cells, image.shape[1:])

    def decode(self, cells: Array, size: Sequence[int]) -> Detections:
        """What the cells (S, S, 5 B + C) of an image of so many rows and columns say.

        A box's score for a class is its confidence times the probability of the class. Boxes are
        clipped to the image; those without area are left out.
        """
        cells = np.asarray(cells, np.float64)
        each = _each_box(cells, self.boxes)
        row, column = np.indices((self.grid, self.grid))[..., None]
        corners = self._corners(each[..., :4], column, row) * np.array([size[1], size[0]] * 2)
        clipped = box_ops.clip(corners.reshape(-1, 4), tuple(size))
        kinds = cells[..., None, 5 * self.boxes :]
        scores = (each[..., 4:] * kinds).reshape(len(clipped), -1)
        solid = np.asarray((clipped[:, 2:] > clipped[:, :2]).all(axis=1))[:, None]
        which, kind = np.nonzero((scores > self.score_threshold) & solid)
        found = Detections(clipped[which], kind + 1, scores[which, kind])
        kept = box_ops.batched_nms(
            found.boxes, found.scores, found.labels, self.iou_threshold,
            post_nms_top_n=self.max_detections,
        )  # fmt: skip
        return found.take(kept)

    # -- what it learns from ------------------------------------------------------------------

    def forward(
        self,
        params: Mapping[str, Array],
        images: Sequence[Array],
        instances: Sequence[Instances],
        *,
        training: bool = True,
        seed: int = 0,
        step: int = 0,
    ) -> YoloLosses:
        """The five terms of the paper's loss, weighted as there, each the mean over the images.

        Objects that are difficult, and crowds, are left out (as in darknet's lists). Of several
        objects whose centres lie in a cell the first counts.
        """
        if len(images) != len(instances) or not len(images):
            raise ArgumentError(f"yolov1: {len(images)} images, and objects of {len(instances)}")
        for i, (image, there) in enumerate(zip(images, instances, strict=True)):
            check_truth(f"yolov1: instances[{i}]", there, image.shape[1:], self.classes)
        x = self.resized(images, dtype_of(params))
        cells, tape = self.graph.forward(params, x, training=training, seed=seed, step=step)
        sizes = [image.shape[1:] for image in images]
        return self.losses(cells, tape, self.targets(cells, instances, sizes))

    def losses(self, cells: Array, tape: Tape, targets: Targets) -> YoloLosses:
        """The loss of predictions, given what they are compared with."""
        values, weights = (np.asarray(part, cells.dtype) for part in targets)
        terms, loss_tape = LOSS.forward({}, cells, values, weights)
        named = dict(zip(TERMS, map(float, terms), strict=True))
        return YoloLosses(named, tape.updates, tape, loss_tape, cells.dtype)

    def backward(
        self, losses: YoloLosses, *, share: float = 1.0, needs: Collection[str] | None = None
    ) -> dict[str, Array]:
        """Gradients of ``share`` times the sum of the terms, by the parameters' names."""
        grad_terms = np.full(len(TERMS), share, losses.dtype)
        grads = LOSS.backward(losses.loss_tape, grad_terms, needs=("predicted",))
        needs = self.trainable if needs is None else needs
        return self.graph.backward(losses.tape, grads["predicted"], needs=needs)

    def targets(
        self, cells: Array, instances: Sequence[Instances], sizes: Sequence[Sequence[int]]
    ) -> Targets:
        """Which predictor is responsible for which object, and what it should have said.

        Parameters
        ----------
        cells : array, (N, S, S, 5 B + C)
            What is predicted: of a cell's boxes the one that overlaps the object most is
            responsible; of equal ones the first.
        instances : sequence of Instances
            Of N images.
        sizes : sequence of (rows, columns)
            Of the images, in whose pixels boxes are.
        """
        values, weights = np.zeros(cells.shape), np.zeros((len(TERMS), *cells.shape))
        _each_box(weights[TERMS.index("no_object")], self.boxes)[..., 4] = self.lambda_noobj
        guesses = np.clip(np.nan_to_num(np.asarray(cells, np.float64)), -FARTHEST, FARTHEST)
        for n, (given, (rows, columns)) in enumerate(zip(instances, sizes, strict=True)):
            there = given.take(~(given.difficult | given.crowd))
            truth = (there.boxes / np.array([columns, rows] * 2)).clip(0, 1)
            centres = (truth[:, :2] + truth[:, 2:]) / 2 * self.grid
            places = np.minimum(centres.astype(np.int64), self.grid - 1)  # 1 is in the last cell
            _, firsts = np.unique(places, axis=0, return_index=True)
            for k in firsts:
                cell = n, places[k, 1], places[k, 0]
                parts = dict(zip(TERMS, weights[:, *cell], strict=True))
                best, overlap = self._responsible(guesses[cell], truth[k], places[k])
                self._ask(parts, best)
                target = overlap if self.confidence == "iou" else 1.0
                numbers = self._numbers(truth[k], places[k])
                _each_box(values[cell], self.boxes)[best] = [*numbers, target]
                values[cell][5 * self.boxes + there.labels[k] - 1] = 1
        return Targets(values, weights / len(cells))

    def _ask(self, parts: Mapping[str, Array], best: int) -> None:
        """Weights of a cell with an object, for which one of its boxes is responsible."""
        first = 5 * best
        parts["position"][first : first + 2] = self.lambda_coord
        parts["size"][first + 2 : first + 4] = self.lambda_coord
        parts["object"][first + 4] = 1
        parts["no_object"][first + 4] = 0
        parts["class"][5 * self.boxes :] = 1

    def _responsible(self, cell: Array, truth: Array, place: Array) -> tuple[int, float]:
        """Which of a cell's boxes answers for an object, and their overlap."""
        guess = _each_box(cell, self.boxes)[:, :4]
        overlaps = box_ops.iou(self._corners(guess, *place), truth[None], zero_area="zero")[:, 0]
        best = int(overlaps.argmax())
        if overlaps[best] == 0 and self.without_overlap == "rmse":
            scale = np.array([1 / self.grid, 1 / self.grid, 1, 1])  # all in shares of the image
            power = np.array([1, 1, 2, 2])
            off = (guess**power - self._numbers(truth, place) ** power) * scale
            best = int((off * off).sum(axis=1).argmin())
        return best, float(overlaps[best])

    def _numbers(self, truth: Array, place: Array) -> Array:
        """What a cell should say of a box, which is in shares of the image: x, y, w, h."""
        centre, sides = (truth[:2] + truth[2:]) / 2, truth[2:] - truth[:2]
        return np.concatenate([centre * self.grid - place, np.sqrt(sides)])

    def _corners(self, numbers: Array, column: Any, row: Any) -> Array:
        """x0, y0, x1, y1, in shares of the image, of boxes x, y, w, h that these cells predict."""
        x, y, w, h = np.moveaxis(numbers, -1, 0)
        x, y = (x + column) / self.grid, (y + row) / self.grid
        w, h = w * w / 2, h * h / 2
        return np.stack([x - w, y - h, x + w, y + h], axis=-1)

    def resized(self, images: Sequence[Array], dtype: Any) -> Array:
        """A batch of images, as large as the network takes them."""
        return np.concatenate([self._resized(i, image, dtype) for i, image in enumerate(images)])

    def _resized(self, number: int, given: Array, dtype: Any) -> Array:
        image = checked(number, given, self.channels, dtype)
        _, rows, columns = image.shape
        if (rows, columns) == (self.size, self.size):
            return image[None]
        return upsample_bilinear2d(image[None], self.size)


def _each_box(cells: Array, boxes: int) -> Array:
    """The boxes (..., B, 5) of cells (..., 5 B + C), whose memory they share."""
    return cells[..., : 5 * boxes].reshape(*cells.shape[:-1], boxes, 5)
