"""Detection as a task: a detector, which states its own loss, and pictures with objects."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from numseg import detectors
from numseg import names as words
from numseg.data.augment import check_colours
from numseg.data.detection import DetectionDataset
from numseg.data.images import as_input, check_image
from numseg.data.instances import Detections, Instances
from numseg.detectors.detector import Detector
from numseg.device import Device, Host
from numseg.errors import ArgumentError, FileError, one_line
from numseg.training import groups
from numseg.training.average_precision import AveragePrecision, average_precision
from numseg.training.batches import DetectionBatch, DetectionSampling, detection_batches
from numseg.training.checkpoints import DETECTION, Checkpoint, called, chosen, written
from numseg.training.progress import bar
from numseg.training.recipe import Recipe
from numseg.training.task import Gradients
from numseg.typing import Array, ArrayLike


class DetectionScores(NamedTuple):
    """How good a detector is on held-out pictures: average precision by the rule of VOC 2010, of
    detections that overlap an object by at least one half."""

    ap50: float
    """Mean over the classes that have objects."""
    class_ap50: Array
    """(C,) float64; NaN for a class without objects, as the background is."""
    mask_ap50: float | None = None
    """The same by the overlap of masks; None unless the detector finds masks and the pictures have
    them."""
    class_mask_ap50: Array | None = None


class Detection:
    """A detector and its pictures (:class:`~numseg.training.task.Task`)."""

    def __init__(
        self,
        net: Detector | Mapping[str, Any],
        dataset: DetectionDataset,
        held_out: DetectionDataset,
        recipe: Recipe,
        where: Device,
    ) -> None:
        if where is not Host:
            raise ArgumentError("device is 'cuda', but detectors are trained on the CPU")
        self.detector = make_detector(net) if isinstance(net, Mapping) else net
        self.dataset, self.held_out, self.recipe = dataset, held_out, recipe
        self.sampling = _sampling(recipe)
        self.channels, self.params = self.detector.channels, self.detector.params
        names = [param.name for param in self.params]
        self.trainable = groups.trained(names, self.detector.trainable, recipe.frozen)
        self.batches = self.sampling.steps(dataset)

    def describe(self, net: Detector | Mapping[str, Any]) -> dict[str, Any]:
        if not isinstance(net, Mapping):
            raise ArgumentError(
                f"a checkpoint of a detector holds how to make it, got {type(net).__name__}: give "
                "its name and arguments"
            )
        recipe = self.recipe.written()
        for name in SEGMENTATION:
            recipe.pop(name, None)
        return {"task": DETECTION, "net": written("net", net), "recipe": recipe}

    def init(self, seed: int) -> dict[str, Array]:
        return self.detector.init(seed)

    def check(self, params: Mapping[str, ArrayLike]) -> None:
        self.detector.check(params)

    def check_pieces(self) -> None:
        check_colours(self.sampling.colours, self.channels)
        if len(self.dataset.classes) != self.detector.classes:
            raise ArgumentError(
                f"the detector finds {self.detector.classes} classes, the data has "
                f"{len(self.dataset.classes)} (the background included)"
            )

    def check_pictures(self, progress: str | None) -> None:
        pictures = len(self.dataset) + len(self.held_out)
        shown = bar(progress and f"{progress}: pictures", 0, pictures, "picture")
        try:
            for what, data in (("to train on", self.dataset), ("held out", self.held_out)):
                if not _objects(data, self.channels, shown.count):
                    warnings.warn(
                        f"none of the {len(data)} pictures {what} has an object", stacklevel=3
                    )
        finally:
            shown.close()

    def epoch(self, number: int, workers: int) -> Generator[DetectionBatch, None, None]:
        return detection_batches(self.dataset, self.sampling, self.channels, number, workers)

    def gradients(
        self, params: Mapping[str, Array], batch: DetectionBatch, step: int, share: float
    ) -> Gradients:
        losses = self.detector.forward(
            params, batch.images, batch.instances, seed=self.sampling.seed, step=step
        )
        terms = {
            name if name.startswith("loss_") else f"loss_{name}": float(value)
            for name, value in losses.terms.items()
        }
        if not math.isfinite(loss := sum(terms.values())):
            return Gradients(loss, {}, {}, terms)
        grads = self.detector.backward(losses, share=share, needs=self.trainable)
        return Gradients(loss, grads, losses.updates, terms)

    def scores(self, params: Mapping[str, Array]) -> DetectionScores:
        truth = [self.held_out.checked(i).instances for i in range(len(self.held_out))]
        found = list(detect_each(self.detector, params, self.held_out))
        return detection_scores(truth, found, self.detector.classes)

    def headline(self, scores: DetectionScores) -> dict[str, float]:
        figures = {"AP50": scores.ap50}
        return figures if scores.mask_ap50 is None else {**figures, "mask AP50": scores.mask_ap50}


SEGMENTATION = ("loss", "loss_arguments")
"""Of a recipe, what a detector's checkpoint does not hold."""


def _sampling(recipe: Recipe) -> DetectionSampling:
    """How pictures are varied, if the recipe is one for detectors."""
    usual = Recipe(sampling=DetectionSampling())
    for name in (*SEGMENTATION, "balance", "frozen_norms"):
        if (given := getattr(recipe, name)) != getattr(usual, name):
            raise ArgumentError(
                f"{name} is {given!r}, but a detector has losses and norms of its own"
            )
    if not isinstance(recipe.sampling, DetectionSampling):
        kind = type(recipe.sampling).__name__
        raise ArgumentError(f"sampling is {kind}, but detectors are trained with DetectionSampling")
    return recipe.sampling


def _objects(dataset: DetectionDataset, channels: int, advance: Callable[[], Any]) -> int:
    """How many there are in all pictures, each of which is seen to fit."""
    count = 0
    for index in range(len(dataset)):
        sample = dataset.checked(index)
        name = f" ({sample.name})" if sample.name else ""
        check_image(f"sample {index}{name}: image", sample.image, channels)
        count += len(sample.instances)
        advance()
    return count


# -- what it finds ----------------------------------------------------------------------------


def detect_each(
    detector: Detector, params: Mapping[str, Array], dataset: DetectionDataset
) -> Iterator[Detections]:
    """What a detector finds in each picture of a dataset, one after the other.

    Raises
    ------
    ArgumentError
        If a sample does not fit (:meth:`numseg.data.DetectionDataset.checked`).
    """
    for index in range(len(dataset)):
        image = as_input(dataset.checked(index).image, detector.channels)
        yield detector.detect(params, [image])[0]


def detection_scores(
    truth: Sequence[Instances], found: Sequence[Detections], classes: int
) -> DetectionScores:
    """AP50 of boxes, and of masks where there are any.

    Parameters
    ----------
    truth : sequence of Instances
    found : sequence of Detections
        In the same pictures.
    classes : int
        With the background.
    """
    boxes = average_precision(truth, found, classes)
    masks = masks_precision(truth, found, classes)
    if masks is None:
        return DetectionScores(boxes.mean, boxes.each)
    return DetectionScores(boxes.mean, boxes.each, masks.mean, masks.each)


def masks_precision(
    truth: Sequence[Instances], found: Sequence[Detections], classes: int
) -> AveragePrecision | None:
    """By the overlap of masks; None where some picture has none."""
    if any(one.masks is None for one in truth) or any(one.masks is None for one in found):
        return None
    return average_precision(truth, found, classes, of="masks")


# -- detectors by name, and of files ----------------------------------------------------------


def load_detector(
    path: str | os.PathLike[str],
    detector: Detector | Callable[..., Detector] | None = None,
    average: bool = False,
) -> tuple[Detector, Checkpoint]:
    """The detector a checkpoint was made with, and the checkpoint.

    Parameters
    ----------
    path
        The checkpoint.
    detector : Detector or function, optional
        The detector, where it is not of :mod:`numseg.detectors`. A function is called with the
        arguments that the file holds. No module is ever imported because a file names it.
    average : bool
        The moving averages of the parameters in the place of the parameters.

    Raises
    ------
    FileError
        If the file is missing or damaged, holds no detector, or one of other parameters.
    """
    checkpoint = chosen(path, average)
    if checkpoint.about.get("task") != DETECTION:
        raise FileError(f"{path}: is of a network that segments, not of a detector")
    try:
        net, classes = dict(checkpoint.about["net"]), checkpoint.about["classes"]
        found = _detector(net, detector)
        found.check(checkpoint.params)
        if len(classes) != found.classes:
            raise ArgumentError(f"it names {len(classes)} classes, the detector {found.classes}")
    except (AttributeError, KeyError, TypeError, ArgumentError) as error:
        raise FileError(f"{path}: does not fit its detector: {one_line(error)}") from None
    return found, checkpoint


def _detector(net: Mapping[str, Any], given: Detector | Callable[..., Detector] | None) -> Detector:
    """The detector of a checkpoint."""
    if given is not None:
        arguments = {name: value for name, value in net.items() if name != "name"}
        return given if not callable(given) else called("detector", given, arguments)
    if ":" in str(net["name"]):
        raise ArgumentError(
            f"{net['name']} was trained, which no file makes us import: give it to load it"
        )
    return make_detector(net)


def make_detector(about: Mapping[str, Any]) -> Detector:
    """A detector from ``{"name": "yolov1", ...its arguments}``.

    The name is one of :mod:`numseg.detectors`, or ``"module:function"`` of any function that makes
    a :class:`~numseg.detectors.Detector`, which is imported.

    Raises
    ------
    ArgumentError
        For another name, or arguments that the function does not take.
    """
    arguments = dict(about)
    given = arguments.pop("name", None)
    make = words.find("net", given, detectors_by_name())
    found = called(str(given), make, arguments)
    if not isinstance(found, Detector):
        raise ArgumentError(f"{given} makes {type(found).__name__}, not a detector")
    return found


def detectors_by_name() -> dict[str, Callable[..., Detector]]:
    """The functions of :mod:`numseg.detectors` that make one."""
    every = {name: getattr(detectors, name) for name in detectors.__all__}
    return {name: make for name, make in every.items() if not isinstance(make, type)}
