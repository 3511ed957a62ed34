"""Recipes: schedules, groups of parameters, and what is frozen."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

import numseg as ns
from numseg import ArgumentError
from numseg.data import scenes
from numseg.training import SGD, Adam, Recipe, Sampling, load_checkpoint, make_network, train
from numseg.training.groups import Grouped, split

NET = {"name": "unet", "in_channels": 3, "classes": 8, "width": 2, "depth": 1, "padding": "same"}
NET |= {"norm": True}
RECIPE = Recipe(epochs=2, lr=1e-2, schedule="constant", sampling=Sampling(crop=16, batch=2))


@pytest.fixture(scope="module")
def data():
    both = scenes(6, size=16, seed=0)
    return tuple(
        dataclasses.replace(both, samples=part) for part in (both.samples[:4], both.samples[4:])
    )


def _with(**changes):
    return dataclasses.replace(RECIPE, **changes)


def _same(one, other):
    assert one.params.keys() == other.params.keys()
    for name, array in one.params.items():
        assert array.tobytes() == other.params[name].tobytes(), name
    assert one.history == other.history


# -- schedules ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"schedule": "poly"}, [1.0, 0.75**0.9, 0.5**0.9, 0.25**0.9]),
        ({"schedule": "poly", "schedule_arguments": {"power": 1}}, [1.0, 0.75, 0.5, 0.25]),
        ({"schedule": "step", "schedule_arguments": {"step_size": 2}}, [1, 1, 0.1, 0.1]),
        (
            {"schedule": "step", "schedule_arguments": {"step_size": 1, "gamma": 0.5}},
            [1, 0.5, 0.25, 0.125],
        ),
        # from 0.2 it rises to 1 in step 2; then poly has the two steps that are left
        (
            {"schedule": "poly", "schedule_arguments": {"power": 1}, "warm_up": 2,
             "warm_up_start": 0.2},
            [0.2, 0.6, 1.0, 0.5],
        ),
        ({"schedule": "constant", "warm_up": 3}, [1 / 3, 5 / 9, 7 / 9, 1.0]),
    ],
)  # fmt: skip
def test_the_learning_rate_of_each_of_four_steps(settings, expected):
    recipe = Recipe(lr=0.5, **settings)
    found = [recipe.lr_at(step, 4) for step in range(4)]
    np.testing.assert_allclose(found, 0.5 * np.array(expected), rtol=1e-12)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"schedule": "step"}, "schedule step: missing a required argument: 'step_size'"),
        ({"schedule_arguments": {"power": 1}}, "schedule cosine: .*'power'"),
        ({"schedule": "poly", "schedule_arguments": {"power": -1}}, "power must lie in"),
        ({"schedule": "poly", "schedule_arguments": [1]}, "schedule_arguments must be a dict"),
        ({"warm_up": -1}, "warm_up must be at least 0, got -1"),
        ({"warm_up_start": 2}, "warm_up_start must lie in"),
        ({"groups": {"*": {"speed": 1}}}, "must be one of 'lr', 'weight_decay', got 'speed'"),
        ({"groups": {"*": {"lr": -1}}}, r"groups\['\*'\]\['lr'\] must lie in"),
        ({"groups": {"*": 2.0}}, "groups must be a dict"),
        ({"groups": {"*": {"weight_decay": 2}}}, "by 2.0, but weight_decay is 0"),
        ({"frozen": 3}, "frozen must be patterns of names, got 3"),
    ],
)
def test_recipes_that_are_none(settings, message):
    with pytest.raises(ArgumentError, match=message):
        Recipe(**settings)


def test_a_warm_up_that_never_ends(data):
    with pytest.raises(ArgumentError, match="warm_up is 4 steps, but the run has 4"):
        train(NET, *data, _with(warm_up=4))


def test_what_came_later_is_not_written_where_it_says_nothing():
    """A checkpoint of before is one of the same recipe."""
    written = Recipe().written()
    assert sorted(written) == sorted(
        ["epochs", "optimiser", "lr", "schedule", "weight_decay", "loss", "loss_arguments",
         "sampling"]
    )  # fmt: skip
    assert sorted(written["sampling"]) == sorted(
        ["crop", "batch", "repeat", "flip", "turn", "light", "seed"]
    )
    assert Recipe(warm_up=3, frozen="enc*").written().items() >= {
        "warm_up": 3, "frozen": ["enc*"],
    }.items()  # fmt: skip


# -- groups ---------------------------------------------------------------------------------------


def test_a_step_of_two_groups_by_hand():
    """weight: 1 - 0.5 (1 + 0.1 * 1); bias: 1 - 2 * 0.5 * 1, without decay."""
    params = {"a.weight": np.ones(2), "a.bias": np.ones(1), "a.mean": np.ones(1)}
    grads = {"a.weight": np.ones(2), "a.bias": np.ones(1)}
    parts = split({"*.bias": {"lr": 2.0, "weight_decay": 0.0}}, ["a.weight", "a.bias"])
    assert parts == {(1.0, 1.0): ("a.weight",), (2.0, 0.0): ("a.bias",)}
    both = Grouped(
        tuple((SGD(0.5, 0.0, 0.1 * d), lr, mine) for (lr, d), mine in parts.items()), 0.5
    )
    state = both.start({name: params[name] for name in grads})
    new, after = both.step(params, grads, state)
    np.testing.assert_allclose(new["a.weight"], [0.45, 0.45], rtol=1e-15)
    np.testing.assert_allclose(new["a.bias"], [0.0], atol=1e-15)
    assert new["a.mean"] is params["a.mean"]
    assert sorted(after) == ["momentum_buffer.a.bias", "momentum_buffer.a.weight"]


def test_factors_of_several_patterns_are_multiplied():
    """DeepLab's: 10 for the last layer's weights, 20 for its bias."""
    groups = {"*.bias": {"lr": 2.0, "weight_decay": 0.0}, "head.*": {"lr": 10.0}}
    names = ["a.weight", "a.bias", "head.weight", "head.bias"]
    found = {name: factors for factors, mine in split(groups, names).items() for name in mine}
    assert list(found.values()) == [(1.0, 1.0), (2.0, 0.0), (10.0, 1.0), (20.0, 0.0)]
    with pytest.raises(ArgumentError, match=r"groups: 'heat.\*' matches none of the trained"):
        split({"heat.*": {"lr": 2.0}}, names)


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_a_group_of_all_is_the_optimiser_with_other_numbers(data, optimiser):
    twice = _with(optimiser=optimiser, weight_decay=0.5,
                  groups={"*": {"lr": 2.0, "weight_decay": 0.25}})  # fmt: skip
    plain = _with(optimiser=optimiser, lr=2 * RECIPE.lr, weight_decay=0.125)
    _same(train(NET, *data, twice), train(NET, *data, plain))


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_a_run_in_groups_goes_on_with_the_same_bits(data, tmp_path, optimiser):
    path = tmp_path / "c.safetensors"
    recipe = _with(
        optimiser=optimiser,
        weight_decay=1e-3,
        groups={"*.bias": {"lr": 2.0, "weight_decay": 0.0}, "head.*": {"lr": 10.0}},
        frozen=["enc1.*"],
        warm_up=1,
    )
    whole = train(NET, *data, recipe)
    train(NET, *data, dataclasses.replace(recipe, epochs=1), checkpoint=path)
    _same(train(NET, *data, recipe, checkpoint=path, resume=True), whole)
    other = dataclasses.replace(recipe, groups={"*.bias": {"lr": 2.0}})
    with pytest.raises(ArgumentError, match=re.escape("recipe.groups.*.bias")):
        train(NET, *data, other, checkpoint=path, resume=True)


# -- frozen ---------------------------------------------------------------------------------------


def test_frozen_parameters_keep_their_start_values_and_have_no_state(data, tmp_path):
    path = tmp_path / "c.safetensors"
    found = train(NET, *data, _with(frozen=["enc1.conv?.weight", "mid.*"]), checkpoint=path)
    start = make_network(NET).init(0)
    still = {n for n in start if n.startswith("enc1.conv") or n.startswith("mid.")}
    learnt = {n for n in make_network(NET).trainable if n not in still}
    assert any(n.startswith("mid.norm") for n in still)
    for name in still - {n for n in still if ".running_" in n}:
        assert found.params[name].tobytes() == start[name].tobytes(), name
    assert all(np.any(found.params[name] != start[name]) for name in learnt)
    assert {n.partition(".")[2] for n in load_checkpoint(path).state} - {""} == learnt


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"frozen": ["encoder.*"]}, r"frozen: 'encoder.\*' matches none of the parameters"),
        ({"frozen": ["*"]}, "parameters are frozen: nothing is left to train"),
        ({"frozen_norms": ["norm"]}, "frozen_norms: 'norm' matches none of the norms"),
    ],
)
def test_what_cannot_be_frozen(data, settings, message):
    with pytest.raises(ArgumentError, match=message):
        train(NET, *data, _with(**settings))
    if "frozen_norms" in settings:
        with pytest.raises(ArgumentError, match="the network has no batch normalisation"):
            train(NET | {"norm": False}, *data, _with(frozen_norms=["*"]))


def test_frozen_norms_go_by_their_running_statistics(data):
    """One step is that of the graph as inference runs it, and the other norms learn."""
    recipe = _with(
        epochs=1, optimiser="sgd", frozen_norms=["enc1.*"],
        sampling=Sampling(crop=16, batch=4, flip=False),
    )  # fmt: skip
    found = train(NET, *data, recipe).params
    graph = make_network(NET)
    start = graph.init(0)
    still = [n for n in start if n.startswith("enc1.norm")]
    assert len(still) == 8
    for name in still:
        assert found[name].tobytes() == start[name].tobytes(), name
    assert np.any(found["mid.norm1.running_mean"] != start["mid.norm1.running_mean"])
    assert np.any(found["mid.norm1.weight"] != start["mid.norm1.weight"])

    everywhere = train(NET, *data, dataclasses.replace(recipe, frozen_norms=["*"])).params
    x = np.stack([sample.image for sample in data[0]]).astype(np.float32) / np.float32(255)
    labels = np.stack([sample.labels for sample in data[0]]).astype(np.int64)
    y, tape = graph.forward(start, x, training=False)
    _, saved = ns.cross_entropy.forward(y, labels)
    (grad_y,) = ns.cross_entropy.backward(saved, np.ones((), np.float32))
    grads = graph.backward(tape, grad_y, needs=graph.trainable)
    for name, array in start.items():
        moved = 0 if ".norm" in name else RECIPE.lr * grads[name]
        np.testing.assert_allclose(everywhere[name], array - moved, rtol=1e-4, atol=1e-6)


def test_an_optimiser_of_ones_own_in_groups(data):
    """What it is made of is handed on; the number of steps is one for all."""
    recipe = _with(optimiser=Adam, optimiser_arguments={"eps": 1e-4}, groups={"*.bias": {"lr": 2}})
    optimiser = recipe.make_optimiser(["a.weight", "a.bias"])
    assert [part[0] for part in optimiser.parts] == [Adam(1e-2, eps=1e-4)] * 2
    state = optimiser.start({"a.weight": np.zeros(1), "a.bias": np.zeros(1)})
    _, state = optimiser.step(
        {"a.weight": np.zeros(1), "a.bias": np.zeros(1)},
        {"a.weight": np.ones(1), "a.bias": np.ones(1)},
        state,
    )
    assert int(state["step"]) == 1
