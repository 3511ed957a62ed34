"""Recipes beside PyTorch and torchvision: schedules, groups, clipping, averages, augmentation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from numseg.chance import Dice
from numseg.data.augment import THOUSAND, Axis, Colours, piece, recoloured, scaled_size
from numseg.training import SGD, Recipe
from numseg.training.groups import Grouped, split
from numseg.training.stepping import averaged, clipped

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

STEPS = 12
SCHEDULERS = {
    "poly": lambda o: torch.optim.lr_scheduler.PolynomialLR(o, total_iters=STEPS, power=0.9),
    "step": lambda o: torch.optim.lr_scheduler.StepLR(o, step_size=5, gamma=0.1),
    "cosine": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=STEPS),
}


def _rates(scheduler, optimiser):
    rates = []
    for _ in range(STEPS):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("schedule", SCHEDULERS)
def test_schedules(schedule):
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    arguments = {"step_size": 5} if schedule == "step" else {}
    recipe = Recipe(lr=0.5, schedule=schedule, schedule_arguments=arguments)
    found = [recipe.lr_at(step, STEPS) for step in range(STEPS)]
    expected = _rates(SCHEDULERS[schedule](optimiser), optimiser)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_a_warm_up_before_poly():
    """torchvision's references/segmentation: LinearLR, then PolynomialLR, by SequentialLR."""
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    lr = torch.optim.lr_scheduler
    warm = lr.LinearLR(optimiser, total_iters=4)
    main = lr.PolynomialLR(optimiser, total_iters=STEPS - 4, power=0.9)
    expected = _rates(lr.SequentialLR(optimiser, [warm, main], milestones=[4]), optimiser)
    recipe = Recipe(lr=0.5, schedule="poly", warm_up=4)
    found = [recipe.lr_at(step, STEPS) for step in range(STEPS)]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_groups_are_pytorchs():
    rng = np.random.default_rng(0)
    names = {"a.weight": (3, 2), "a.bias": (3,), "head.weight": (2, 3), "head.bias": (2,)}
    params = {name: rng.normal(size=shape) for name, shape in names.items()}
    factors = {"*.bias": {"lr": 2.0, "weight_decay": 0.0}, "head.*": {"lr": 10.0}}
    tensors = {name: torch.tensor(array, requires_grad=True) for name, array in params.items()}
    lr, decay = 0.1, 0.01
    torchs = torch.optim.SGD(
        [
            {"params": [tensors[name]], "lr": lr * rate, "weight_decay": decay * share}
            for (rate, share), mine in split(factors, list(names)).items()
            for name in mine
        ],
        lr=lr, momentum=0.9,
    )  # fmt: skip
    ours = Grouped(
        tuple((SGD(lr, 0.9, decay * d), r, mine)
              for (r, d), mine in split(factors, list(names)).items()), lr,
    )  # fmt: skip
    state = ours.start(params)
    for _ in range(3):
        grads = {name: rng.normal(size=shape) for name, shape in names.items()}
        for name, tensor in tensors.items():
            tensor.grad = torch.tensor(grads[name])
        torchs.step()
        params, state = ours.step(params, grads, state)
    for name, tensor in tensors.items():
        np.testing.assert_allclose(params[name], tensor.detach().numpy(), rtol=1e-12)


@pytest.mark.parametrize("norm", [0.5, 100.0])
def test_clipped_gradients(norm):
    rng = np.random.default_rng(1)
    grads = {name: rng.normal(size=shape) for name, shape in {"a": (3, 4), "b": (5,)}.items()}
    tensors = [
        torch.zeros(g.shape, dtype=torch.float64, requires_grad=True) for g in grads.values()
    ]
    for tensor, grad in zip(tensors, grads.values(), strict=True):
        tensor.grad = torch.tensor(grad)
    length = torch.nn.utils.clip_grad_norm_(tensors, norm)
    found, ours = clipped(grads, None, norm)
    assert ours == pytest.approx(float(length), rel=1e-12)
    for tensor, grad in zip(tensors, found.values(), strict=True):
        np.testing.assert_allclose(grad, tensor.grad.numpy(), rtol=1e-12)
    torch.nn.utils.clip_grad_value_(tensors, 0.1)
    for tensor, grad in zip(tensors, clipped(found, 0.1, None)[0].values(), strict=True):
        np.testing.assert_allclose(grad, tensor.grad.numpy(), rtol=1e-12)


def test_moving_averages():
    rng = np.random.default_rng(2)
    module = torch.nn.Linear(2, 3, dtype=torch.float64)
    mean = torch.optim.swa_utils.AveragedModel(
        module, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9)
    )
    mean.update_parameters(module)  # which begins as a copy
    average = {"weight": module.weight.detach().numpy().copy()}
    for _ in range(3):
        new = rng.normal(size=(3, 2))
        with torch.no_grad():
            module.weight.copy_(torch.tensor(new))
        mean.update_parameters(module)
        average = averaged(average, {"weight": new}, 0.9)
    expected = mean.module.weight.detach().numpy()
    np.testing.assert_allclose(average["weight"], expected, rtol=1e-12)


@pytest.mark.parametrize("thousandths", [431, 1000, 1777])
def test_scaled_pictures_are_pytorchs(thousandths):
    rng = np.random.default_rng(3)
    image = rng.random((3, 13, 17)).astype(np.float32)
    labels = rng.integers(0, 9, (13, 17))
    sizes = [scaled_size(size, thousandths) for size in (13, 17)]
    rows, columns = (Axis(a, b, 0, b) for a, b in zip((13, 17), sizes, strict=True))
    found, truth = piece(image, labels, rows, columns, 3)
    interpolate = torch.nn.functional.interpolate
    expected = interpolate(torch.tensor(image)[None], sizes, mode="bilinear", align_corners=False)
    np.testing.assert_allclose(found, expected[0].numpy(), atol=1e-6)
    nearest = interpolate(torch.tensor(labels[None, None] * 1.0), sizes, mode="nearest-exact")
    np.testing.assert_array_equal(truth, nearest[0, 0].numpy())


class Always(Dice):
    """A throw that is what it is told."""

    def __init__(self, share):
        super().__init__(0)
        self._share = share

    def between(self, low, high):
        return round(self._share * high)


@pytest.mark.parametrize("share", [-0.8, 0.35, 1.0])
@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "hue"])
def test_colours_are_torchvisions(name, share):
    vision = pytest.importorskip("torchvision.transforms.functional")
    x = np.random.default_rng(4).random((3, 6, 7)).astype(np.float32)
    amount = 0.5
    found = recoloured(x, Colours(**{name: amount}), Always(share))
    factor = round(share * THOUSAND) / THOUSAND * amount
    adjust = getattr(vision, f"adjust_{name}")
    expected = adjust(torch.tensor(x), factor if name == "hue" else 1 + factor).numpy()
    # torchvision's grey is 0.2989 r + 0.587 g + 0.114 b, ours has 0.299
    np.testing.assert_allclose(found, expected, atol=3e-6 if name == "hue" else 1e-4)
    assert math.isfinite(found.sum())
