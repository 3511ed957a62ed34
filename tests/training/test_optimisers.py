"""Optimisers: steps computed by hand, and PyTorch's where it is installed."""

from __future__ import annotations

import math

import numpy as np
import pytest

from numseg import ArgumentError
from numseg.training import SGD, Adam


def test_sgd_by_hand():
    sgd = SGD(lr=0.5, momentum=0.5)
    params, state = {"w": np.array([1.0, 2.0])}, {"momentum_buffer.w": np.zeros(2)}
    grads = {"w": np.array([1.0, -2.0])}
    params, state = sgd.step(params, grads, state)  # b = g
    assert params["w"].tolist() == [0.5, 3.0]
    params, state = sgd.step(params, grads, state)  # b = 0.5 g + g
    assert params["w"].tolist() == [-0.25, 4.5]
    assert state["momentum_buffer.w"].tolist() == [1.5, -3.0]


def test_adams_first_step_is_lr_times_the_sign():
    adam = Adam(lr=0.25, eps=0)
    params = {"w": np.array([1.0, 1.0])}
    params, state = adam.step(params, {"w": np.array([3.0, -0.5])}, adam.start(params))
    np.testing.assert_allclose(params["w"], [0.75, 1.25], rtol=1e-15)
    assert state["step"] == 1


def test_adams_eps_is_added_to_the_corrected_root():
    # the first step corrects m and v to g and g^2: 1/2 / (1/2 + 1/2)
    adam = Adam(lr=1.0, eps=0.5)
    params = {"w": np.array([0.0])}
    params, _ = adam.step(params, {"w": np.array([0.5])}, adam.start(params))
    np.testing.assert_allclose(params["w"], [-0.5], rtol=1e-15)


def test_adams_second_step_by_hand():
    # g = 1, then 0, with betas 1/2 and 3/4: m = 1/2, 1/4; v = 1/4, 3/16
    # corrected: m = (1/4) / (3/4) = 1/3; v = (3/16) / (7/16) = 3/7
    adam = Adam(lr=1.0, betas=(0.5, 0.75), eps=0)
    params = {"w": np.array([0.0])}
    state = adam.start(params)
    params, state = adam.step(params, {"w": np.array([1.0])}, state)
    assert params["w"].tolist() == [-1.0]
    params, state = adam.step(params, {"w": np.array([0.0])}, state)
    np.testing.assert_allclose(params["w"], [-1 - (1 / 3) / math.sqrt(3 / 7)], rtol=1e-15)


@pytest.mark.parametrize("optimiser", [SGD(), Adam()])
def test_steps_are_pure(optimiser):
    params = {"w": np.ones(3, np.float32), "running_mean": np.ones(2, np.float32)}
    grads = {"w": np.full(3, 0.5, np.float32)}
    state = optimiser.start({"w": params["w"]})
    before = {name: array.copy() for name, array in (params | state | {"g": grads["w"]}).items()}
    for array in (*params.values(), *state.values(), grads["w"]):
        array.flags.writeable = False
    new, after = optimiser.step(params, grads, state)
    for name, array in (params | state | {"g": grads["w"]}).items():
        np.testing.assert_array_equal(array, before[name])
    assert new["running_mean"] is params["running_mean"]
    assert new["w"].dtype == np.float32
    assert sorted(after) == sorted(state)
    assert all(after[name].dtype == state[name].dtype for name in state)


@pytest.mark.parametrize("optimiser", [SGD(weight_decay=0.1), Adam(weight_decay=0.1)])
def test_what_is_donated_is_used_again_and_the_numbers_are_the_same(optimiser):
    rng = np.random.default_rng(0)
    shapes = {"w": (3, 70, 331), "b": (), "empty": (0, 2), "turned": (4, 5), "kept": (2,)}
    params = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    params["turned"] = rng.standard_normal((5, 4)).T
    params["kept"].flags.writeable = False
    grads = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    state = optimiser.start(params)
    params, state = optimiser.step(params, grads, state)
    params = params | {"turned": np.asfortranarray(params["turned"])}
    params["kept"].flags.writeable = False
    fresh, fresh_state = optimiser.step(params, grads, state)
    kept = params["kept"].copy()
    again, again_state = optimiser.step(params, grads, state, donate=True)
    for one, other in ((fresh, again), (fresh_state, again_state)):
        assert one.keys() == other.keys()
        assert all(np.array_equal(one[name], other[name]) for name in one)
    used = {name for name in shapes if again[name] is params[name]}
    assert used == {"w", "b", "empty"}
    np.testing.assert_array_equal(params["kept"], kept)
    assert not np.array_equal(again["kept"], kept)


@pytest.mark.parametrize("optimiser", [SGD(lr=0.1), Adam(lr=0.1)])
def test_a_rate_for_one_step(optimiser):
    params, grads = {"w": np.ones(1)}, {"w": np.ones(1)}
    state = optimiser.start(params)
    assert optimiser.step(params, grads, state, lr=0.0)[0]["w"].tolist() == [1.0]


def test_weight_decay_pulls_to_zero():
    params, grads = {"w": np.array([2.0])}, {"w": np.zeros(1)}
    sgd = SGD(lr=0.5, weight_decay=0.25)
    assert sgd.step(params, grads, sgd.start(params))[0]["w"].tolist() == [1.75]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(lr=-1), "lr must lie in"),
        (lambda: SGD(momentum=1.5), "momentum must lie in"),
        (lambda: Adam(betas=(0.9, 1.0)), r"betas\[1\] must lie in"),
        (lambda: Adam(lr=math.nan), "lr must lie in"),
        (lambda: Adam(weight_decay="much"), "weight_decay must be a real number"),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()


@pytest.mark.parametrize("optimiser", [SGD(), Adam()])
def test_gradients_that_do_not_fit(optimiser):
    params = {"w": np.ones(3)}
    state = optimiser.start(params)
    with pytest.raises(ArgumentError, match="grads has 'v', which is not among the parameters"):
        optimiser.step(params, {"v": np.ones(3)}, state)
    with pytest.raises(ArgumentError, match=r"grads\['w'\] has shape \(1,\), expected \(3,\)"):
        optimiser.step(params, {"w": np.ones(1)}, state)
