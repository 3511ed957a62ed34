"""What a run is a function of: the recipe, checked before the work, and as a file holds it."""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from numseg import checks, names
from numseg.errors import ArgumentError, ArgumentTypeError
from numseg.operator import Operator
from numseg.training import balance, groups, schedules
from numseg.training.batches import DetectionSampling, Sampling
from numseg.training.checkpoints import plain, written
from numseg.training.losses import Loss, takes_weights, terms
from numseg.training.optimisers import SGD, Adam, Optimiser

OPTIMISERS: dict[str, Callable[..., Optimiser]] = {"adam": Adam, "sgd": SGD}
"""By name; made of ``lr``, ``weight_decay`` and a recipe's ``optimiser_arguments``."""

FIRST = {
    "recipe": {"epochs", "optimiser", "lr", "schedule", "weight_decay", "loss", "loss_arguments",
               "sampling"},
    "sampling": {"crop", "batch", "repeat", "flip", "turn", "light", "seed"},
}  # fmt: skip
"""What is always written. Of all that came later, only what is not the default: a checkpoint of
before is then one of the same recipe."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How to train. Equal recipes on equal data give equal parameters, bit for bit.

    Where a word names something, the thing itself will do: ``loss=numseg.dice_loss``, a function
    for a schedule. What a module can be asked for is kept by its name, ``"module:name"``; what it
    cannot (a lambda) trains as well, but no checkpoint can hold it.
    """

    epochs: int = 20
    optimiser: str | Callable[..., Optimiser] = "adam"
    """"adam", "sgd" with a momentum of 0.9, or what makes an :class:`Optimiser`."""
    lr: float = 2e-3
    schedule: str | schedules.Schedule = "cosine"
    """"cosine": the learning rate falls to zero along half a cosine; "poly": as ``(1 - step /
    steps) ** power``, power 0.9; "step": to a tenth after every ``step_size`` steps; "constant"; or
    a function ``f(step, steps)`` that gives what it is multiplied by."""
    weight_decay: float = 0.0
    loss: str | Operator[..., Any] | Sequence[Any] = "cross_entropy"
    """An operator or its name; or several, a list of :class:`Loss` or of as many values:
    ``[("cross_entropy", 1.0), ("dice_loss", 0.5, {"batch": True})]``."""
    loss_arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Of a single loss by name, such as ``{"gamma": 2.0}``."""
    sampling: Sampling | DetectionSampling = dataclasses.field(default_factory=Sampling)
    """How pieces are cut out of pictures; a :class:`DetectionSampling` for a detector."""
    optimiser_arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Such as ``{"momentum": 0.5}``."""
    schedule_arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Such as ``{"power": 1.0}`` of "poly", ``{"step_size": 2000, "gamma": 0.1}`` of "step"."""
    warm_up: int = 0
    """So many steps in which the learning rate rises along a line; the schedule begins then, and
    has the steps that are left."""
    warm_up_start: float = 1 / 3
    """The share of the learning rate with which the warm-up begins (as in PyTorch's LinearLR)."""
    groups: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)
    """By pattern of parameters' names, what their learning rate and weight decay are multiplied by:
    ``{"*.bias": {"lr": 2.0, "weight_decay": 0.0}}`` is Caffe's ``lr_mult`` and ``decay_mult``. A
    name that several patterns match has the product of their factors."""
    frozen: Sequence[str] = ()
    """Patterns of the names of parameters that keep their start values."""
    frozen_norms: Sequence[str] = ()
    """Patterns of the names of batch normalisations that go by their running statistics while the
    rest is trained; their scale and shift keep their start values. ``["*"]`` are all."""
    balance: str | balance.Balance | None = None
    """"median_frequency" (SegNet) or "inverse_frequency": classes weigh by how rare they are in the
    pictures to train on, in every loss that takes a weight for each and is given none; or a
    function of :class:`~numseg.training.balance.Frequencies`."""
    accumulate: int = 1
    """Batches per step: the step is made with the mean of their gradients, each taken with the same
    parameters. (An epoch's last step may have fewer.)"""
    clip_value: float | None = None
    """The largest that a number of the gradient may be, either way."""
    clip_norm: float | None = None
    """The greatest length of the gradient of all parameters together."""
    average: float = 0.0
    """Keep a moving average of the parameters, running statistics included: after each step ``d
    average + (1 - d) parameters`` for this d, such as 0.999. It does not change the training."""
    score_average: bool = False
    """Score the held-out pictures with the moving average."""

    def __post_init__(self) -> None:
        self._keep("epochs", checks.integer("epochs", self.epochs, minimum=1))
        self._keep("lr", checks.real("lr", self.lr))
        self._keep("weight_decay", checks.real("weight_decay", self.weight_decay))
        if not isinstance(self.sampling, (Sampling, DetectionSampling)):
            raise ArgumentTypeError(
                f"sampling must be a Sampling or a DetectionSampling, got {self.sampling!r}"
            )
        for name in ("loss_arguments", "optimiser_arguments", "schedule_arguments"):
            if not isinstance(given := getattr(self, name), Mapping):
                raise ArgumentTypeError(f"{name} must be a dict of arguments, got {given!r}")
            self._keep(name, plain(given))
        self._keep("optimiser", names.named("optimiser", self.optimiser, OPTIMISERS))
        self._keep("schedule", names.named("schedule", self.schedule, schedules.SCHEDULES))
        losses = terms(self.loss, self.loss_arguments)
        single = isinstance(self.loss, (str, Operator))
        self._keep("loss", losses[0].operator if single else losses)
        if single:
            self._keep("loss_arguments", losses[0].arguments)
        self._keep("warm_up", checks.integer("warm_up", self.warm_up, minimum=0))
        self._keep("warm_up_start", checks.real("warm_up_start", self.warm_up_start, 0, 1))
        self._keep("groups", groups.as_groups(self.groups))
        for name in ("frozen", "frozen_norms"):
            self._keep(name, groups.as_patterns(name, getattr(self, name)))
        self._keep("accumulate", checks.integer("accumulate", self.accumulate, minimum=1))
        for name in ("clip_value", "clip_norm"):
            if getattr(self, name) is not None:
                self._keep(name, checks.positive(name, getattr(self, name)))
        self._keep("average", checks.real("average", self.average, 0, math.nextafter(1, 0)))
        self._keep("score_average", checks.flag("score_average", self.score_average))
        if self.score_average and not self.average:
            raise ArgumentError("score_average is True, but average is 0: there is none")
        if self.balance is not None:
            self._keep("balance", names.named("balance", self.balance, balance.BALANCES))
            if not any(map(takes_weights, losses)):
                raise ArgumentError(
                    f"balance is {self.balance!r}, but no loss takes a weight for each class, as "
                    "cross_entropy does, that is not given"
                )
        self._check_factors()
        self._factor(0, 1)

    def _keep(self, name: str, value: Any) -> None:
        """In the form in which it can be written down, if there is one."""
        object.__setattr__(self, name, value)

    def _check_factors(self) -> None:
        """The optimiser can be made, for every group."""
        self._made(1.0)
        for pattern, factors in self.groups.items():
            if factors.get("weight_decay", 0) > 0 and not self.weight_decay:
                raise ArgumentError(
                    f"groups[{pattern!r}] multiplies weight_decay by {factors['weight_decay']}, "
                    "but weight_decay is 0"
                )

    @property
    def losses(self) -> tuple[Loss, ...]:
        """The terms of the sum that is minimised."""
        return terms(self.loss, self.loss_arguments)

    def make_optimiser(self, trainable: Sequence[str] = ()) -> Optimiser:
        """For these parameters, in groups if there are any."""
        if not self.groups:
            return self._made(1.0)
        parts = groups.split(self.groups, trainable)
        return groups.Grouped(
            tuple((self._made(decay), lr, mine) for (lr, decay), mine in parts.items()), self.lr
        )

    def _made(self, decay: float) -> Optimiser:
        make = names.find("optimiser", self.optimiser, OPTIMISERS)
        usual = {"lr": self.lr, "weight_decay": self.weight_decay * decay}
        arguments = {**usual, **self.optimiser_arguments}
        try:
            bound = inspect.signature(make).bind(**arguments)
        except TypeError as error:
            raise ArgumentError(f"optimiser {self.optimiser}: {error}") from None
        return make(*bound.args, **bound.kwargs)

    def lr_at(self, step: int, steps: int) -> float:
        """The learning rate of a step, of so many in all."""
        if step < self.warm_up:
            return self.lr * schedules.warming(step, self.warm_up, self.warm_up_start)
        return self.lr * self._factor(step - self.warm_up, steps - self.warm_up)

    def _factor(self, step: int, steps: int) -> float:
        return schedules.factor(self.schedule, self.schedule_arguments, step, steps)

    def written(self) -> dict[str, Any]:
        """As a checkpoint holds it.

        Raises
        ------
        ArgumentError
            That names what cannot be written: what a module cannot be asked for by name.
        """
        plain = _told("recipe", self)
        plain["sampling"] = _told("sampling", self.sampling)
        if not isinstance(self.loss, (str, Operator)):
            plain["loss"] = [loss._asdict() for loss in self.losses]
        return {name: written(f"recipe.{name}", value) for name, value in plain.items()}


def completed(given: Mapping[str, Any], kind: type = Sampling) -> dict[str, Any]:
    """A recipe as a file holds it, with the defaults of all that it does not say; its sampling is
    of this kind."""

    def defaults(of: Any) -> dict[str, Any]:
        return {field.name: plain(getattr(of, field.name)) for field in dataclasses.fields(of)}

    sampling = given.get("sampling")
    sampling = defaults(kind()) | sampling if isinstance(sampling, dict) else sampling
    return {**defaults(Recipe()), **given, "sampling": sampling}


def _told(what: str, given: Any) -> dict[str, Any]:
    """The fields that a file names."""
    told = {}
    for field in dataclasses.fields(given):
        value, factory = getattr(given, field.name), field.default_factory
        default = field.default if factory is dataclasses.MISSING else factory()
        if field.name in FIRST[what] or value != default:
            told[field.name] = value
    return told
