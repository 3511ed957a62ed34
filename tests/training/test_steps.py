"""Steps of several batches, clipped gradients, moving averages, given weights, batches ahead."""

from __future__ import annotations

import dataclasses
import threading

import numpy as np
import pytest

from numseg import ArgumentError, FileError
from numseg.data import Dataset, scenes
from numseg.errors import MismatchError
from numseg.interop import weights
from numseg.training import (
    SGD,
    Recipe,
    Sampling,
    batches,
    evaluate,
    load_network,
    make_network,
    scores,
    train,
)
from numseg.training.stepping import averaged, clipped

NET = {"name": "unet", "in_channels": 3, "classes": 8, "width": 2, "depth": 1, "padding": "same"}
NORMED = NET | {"norm": True}
RECIPE = Recipe(epochs=2, lr=1e-2, schedule="constant", sampling=Sampling(crop=16, batch=2))


@pytest.fixture(scope="module")
def data():
    both = scenes(7, size=16, seed=0)
    return tuple(
        dataclasses.replace(both, samples=part) for part in (both.samples[:5], both.samples[5:])
    )


def _with(**changes):
    return dataclasses.replace(RECIPE, **changes)


def _same(one, other):
    for found, expected in ((one.params, other.params), (one.average, other.average)):
        assert found.keys() == expected.keys()
        for name, array in found.items():
            assert array.tobytes() == expected[name].tobytes(), name
    assert one.history == other.history


def _resumes(net, data, recipe, path, **how):
    """Stopped after its first epoch, it goes on with the same bits."""
    whole = train(net, *data, recipe, **how)
    train(net, *data, dataclasses.replace(recipe, epochs=1), checkpoint=path, **how)
    _same(train(net, *data, recipe, checkpoint=path, resume=True, **how), whole)
    return whole


# -- several batches a step -----------------------------------------------------------------------


def test_two_batches_are_a_larger_one_but_for_roundings(data, monkeypatch):
    four = dataclasses.replace(data[0], samples=data[0].samples[:4])
    small = _with(optimiser="sgd", accumulate=2, epochs=3)
    large = _with(optimiser="sgd", epochs=3, sampling=Sampling(crop=16, batch=4))
    rates = []
    real = SGD.step

    def spy(self, params, grads, state, lr=None, donate=False):
        rates.append(lr)
        return real(self, params, grads, state, lr, donate)

    monkeypatch.setattr(SGD, "step", spy)
    one = train(NET, four, data[1], dataclasses.replace(small, schedule="cosine"))
    assert len(rates) == 3  # a step an epoch, and the schedule counts steps
    two = train(NET, four, data[1], dataclasses.replace(large, schedule="cosine"))
    assert rates[:3] == rates[3:]
    for name, array in one.params.items():
        np.testing.assert_allclose(array, two.params[name], rtol=1e-4, atol=1e-6)
    for mine, other in zip(one.history, two.history, strict=True):
        assert mine["loss"] == pytest.approx(other["loss"], rel=1e-5)


def test_an_epochs_last_step_may_have_fewer_batches(data, tmp_path):
    """Five pictures are batches of 2, 2 and 1: steps of two batches and of one."""
    seen = []
    recipe = _with(accumulate=2, warm_up=3, epochs=2)
    train(NORMED, *data, recipe, report=lambda epoch: seen.append(epoch.steps))
    assert [len(steps) for steps in seen] == [2, 2]
    rates = [step.lr for steps in seen for step in steps]
    np.testing.assert_allclose(rates, np.array([3, 5, 7, 9]) / 9 * RECIPE.lr, rtol=1e-12)
    short = dataclasses.replace(recipe, warm_up=1)
    _resumes(NORMED | {"dropout": 0.5}, data, short, tmp_path / "c.safetensors")


# -- clipping -------------------------------------------------------------------------------------


def test_clipped_gradients_by_hand():
    grads = {"a": np.array([3.0, -0.5]), "b": np.array([[4.0]])}
    by_value, none = clipped(grads, 2.0, None)
    assert none is None
    assert by_value["a"].tolist() == [2.0, -0.5]
    assert by_value["b"].tolist() == [[2.0]]
    grads["a"][1] = 0.0
    found, length = clipped(grads, None, 1.0)
    assert length == 5.0
    np.testing.assert_allclose(found["a"], [3 / (5 + 1e-6), 0.0], rtol=1e-15)
    np.testing.assert_allclose(found["b"], [[4 / (5 + 1e-6)]], rtol=1e-15)
    same, length = clipped(grads, None, 6.0)
    assert same is grads
    both, length = clipped(grads, 3.0, 100.0)  # first the values: 3, 0, 3
    assert length == pytest.approx(18**0.5)
    assert both["b"].tolist() == [[3.0]]


def test_a_clipped_step_has_the_length_that_was_asked_for(data, tmp_path):
    recipe = _with(optimiser="sgd", clip_norm=1e-2, epochs=1, sampling=Sampling(crop=16, batch=5))
    seen = []
    found = train(NET, *data, recipe, report=lambda epoch: seen.append(epoch.steps[0]))
    start = make_network(NET).init(0)
    moved = sum(float(np.sum((found.params[n] - start[n]) ** 2)) for n in start) ** 0.5
    assert seen[0].norm > 1e-2
    assert moved == pytest.approx(1e-2 * RECIPE.lr, rel=1e-3)
    _resumes(NET, data, _with(clip_norm=0.1, clip_value=0.01), tmp_path / "c.safetensors")


# -- moving averages ------------------------------------------------------------------------------


def test_an_average_by_hand():
    found = averaged({"a": np.array([1.0, 3.0])}, {"a": np.array([2.0, 1.0]), "b": 0}, 0.75)
    np.testing.assert_allclose(found["a"], [1.25, 2.5], rtol=1e-15)
    assert list(found) == ["a"]


def test_the_average_is_kept_scored_and_changes_nothing(data, tmp_path):
    path = tmp_path / "c.safetensors"
    plain = train(NORMED, *data, RECIPE)
    kept = _with(average=0.5)
    whole = _resumes(NORMED, data, kept, path)
    _same(whole._replace(average={}), plain)
    graph = make_network(NORMED)
    assert whole.average.keys() == plain.params.keys()
    assert np.any(whole.average["mid.norm1.running_mean"] != plain.params["mid.norm1.running_mean"])
    one_step = train(NORMED, *data, _with(average=0.75, epochs=1,
                                          sampling=Sampling(crop=16, batch=5)))  # fmt: skip
    for name, start in graph.init(0).items():
        expected = 0.75 * start + 0.25 * one_step.params[name]
        np.testing.assert_allclose(one_step.average[name], expected, rtol=1e-5, atol=1e-7)
    _, found = load_network(path, average=True)
    assert all(found.params[n].tobytes() == a.tobytes() for n, a in whole.average.items())
    scored = train(NORMED, *data, dataclasses.replace(kept, score_average=True))
    expected = scores(evaluate(graph, whole.average, data[1])).mean_iou
    assert scored.history[-1]["mean_iou"] == expected
    assert [e["loss"] for e in scored.history] == [e["loss"] for e in plain.history]


def test_averages_that_are_not_there(data, tmp_path):
    path = tmp_path / "c.safetensors"
    train(NET, *data, _with(epochs=1), checkpoint=path)
    with pytest.raises(FileError, match="has no moving averages: its recipe had no average"):
        load_network(path, average=True)
    with pytest.raises(ArgumentError, match=r"recipe.average was 0.0, now it is 0.5"):
        train(NET, *data, _with(average=0.5), checkpoint=path, resume=True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"average": 1.0}, "average must lie in"),
        ({"score_average": True}, "score_average is True, but average is 0"),
        ({"accumulate": 0}, "accumulate must be at least 1, got 0"),
        ({"clip_norm": 0.0}, "clip_norm must be positive"),
        ({"clip_value": "much"}, "clip_value must be a real number, got 'much'"),
    ],
)
def test_recipes_that_are_none(settings, message):
    with pytest.raises(ArgumentError, match=message):
        Recipe(**settings)


# -- given weights --------------------------------------------------------------------------------


def test_a_run_begins_with_the_weights_of_a_file(data, tmp_path):
    """All of a checkpoint's; or, but for the head, those of a network of other classes."""
    given, path = tmp_path / "given.safetensors", tmp_path / "c.safetensors"
    first = train(NORMED, *data, _with(epochs=1), checkpoint=given)
    still = _with(lr=0.0, optimiser="sgd", frozen_norms=["*"], epochs=1)
    found = train(NORMED, *data, still, weights=given)
    for name, array in first.params.items():
        assert found.params[name].tobytes() == array.tobytes(), name
    _resumes(NORMED, data, RECIPE, path, weights=given)
    with pytest.raises(ArgumentError, match=r"it began with the weights \w{32}, not of its seed"):
        train(NORMED, *data, RECIPE, checkpoint=path, resume=True)
    torchs = tmp_path / "t.pth"  # with what PyTorch's norms count, and nothing here reads
    weights.save(torchs, first.params | {"mid.norm1.num_batches_tracked": np.array(3)})
    _same(train(NORMED, *data, still, weights=torchs), train(NORMED, *data, still, weights=given))
    three = {n: np.float64(a) for n, a in first.params.items() if not n.startswith("head")}
    three |= {"head.weight": np.zeros((3, 2, 1, 1)), "fc.weight": np.zeros(3)}
    found = train(NORMED, *data, still, weights=three, fresh=["head.*", "fc.*"])
    assert found.params["head.weight"].tobytes() == make_network(NORMED).init(0)[
        "head.weight"
    ].tobytes()  # fmt: skip
    assert found.params["mid.conv1.weight"].tobytes() == first.params["mid.conv1.weight"].tobytes()


def test_what_weights_expect_of_colours_is_part_of_the_network(data, tmp_path):
    """It is in no other program's file; checkpoints have it, and training leaves it alone."""
    path = tmp_path / "c.safetensors"
    plain = make_network(NET).init(1)
    net = NET | {"normalise": "imagenet"}
    found = _resumes(net, data, RECIPE, path, weights=plain)
    graph, checkpoint = load_network(path)
    for name in ("normalise.weight", "normalise.bias"):
        assert found.params[name].tobytes() == graph.init(0)[name].tobytes()
        assert checkpoint.params[name].tobytes() == found.params[name].tobytes()
    confusion = evaluate(graph, checkpoint.params, data[1])
    assert scores(confusion).mean_iou == found.history[-1]["mean_iou"]


def test_weights_that_do_not_fit_are_listed(data, tmp_path):
    own = make_network(NET).init(0)
    wrong = dict(own)
    wrong["enc1.conv_1.weight"] = wrong.pop("enc1.conv1.weight")
    wrong["head.bias"] = np.zeros(3)
    wrong["up1.bias"] = np.zeros(2, np.int64)
    path = tmp_path / "w.npz"
    weights.save(path, wrong)
    with pytest.raises(MismatchError) as error:
        train(NET, *data, RECIPE, weights=path)
    said = str(error.value)
    assert said.startswith(f"{path}: ")
    for part in (
        "missing parameter enc1.conv1.weight (2, 3, 3, 3) (is it enc1.conv_1.weight?)",
        "unexpected parameter enc1.conv_1.weight",
        "head.bias has shape (3,), expected (8,)",
    ):
        assert part in said
    wrong = own | {"up1.bias": np.zeros(2, np.int64)}
    with pytest.raises(ArgumentError, match=r"up1\.bias has dtype int64, expected real numbers"):
        train(NET, *data, RECIPE, weights=wrong)
    with pytest.raises(MismatchError, match="weights: "):
        train(NET, *data, RECIPE, weights={})
    with pytest.raises(ArgumentError, match=r"fresh: 'tail.\*' matches none of the parameters and"):
        train(NET, *data, RECIPE, weights=own, fresh=["tail.*"])
    with pytest.raises(ArgumentError, match="but no weights are given"):
        train(NET, *data, RECIPE, fresh=["head.*"])


# -- batches ahead --------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 3])
def test_batches_made_by_threads_are_the_same(data, tmp_path, workers):
    sampling = Sampling(crop=12, batch=2, repeat=4, scale=(0.5, 2.0), hue=0.1)
    plain = list(batches(data[0], sampling, 3, 1))
    ahead = list(batches(data[0], sampling, 3, 1, workers=workers))
    for one, other in zip(plain, ahead, strict=True):
        assert one.x.tobytes() == other.x.tobytes()
        assert one.labels.tobytes() == other.labels.tobytes()
    recipe = _with(sampling=sampling, accumulate=3)
    _same(train(NET, *data, recipe, workers=workers), train(NET, *data, recipe))
    assert not any(t.name.startswith("numseg-batches") for t in threading.enumerate())


def test_what_a_thread_stumbles_over_is_said_and_the_threads_end(data):
    class Broken(Dataset):
        def __getitem__(self, index):
            if index == 3:
                raise FileError("p.png: cannot be read")
            return super().__getitem__(index)

    broken = Broken(data[0].samples, data[0].classes)
    with pytest.raises(FileError, match=r"p\.png: cannot be read"):
        list(batches(broken, Sampling(crop=8, batch=1), 3, 0, workers=2))
    some = batches(data[0], Sampling(crop=8, batch=1), 3, 0, workers=2)
    next(some)
    some.close()
    assert not any(t.name.startswith("numseg-batches") for t in threading.enumerate())


def test_pictures_of_mixed_sizes_train_and_are_scored(data):
    mixed = Dataset([scenes(1, size, 3)[0] for size in (16, (24, 18), (19, 40))], data[0].classes)
    recipe = _with(sampling=Sampling(crop=(16, 24), batch=2, scale=(0.5, 1.5), contrast=0.2))
    found = train(NORMED, mixed, mixed, recipe, workers=2)
    assert np.isfinite(found.history[-1]["loss"])
    graph = make_network(NORMED)
    assert evaluate(graph, found.params, mixed).sum() == 16 * 16 + 24 * 18 + 19 * 40
