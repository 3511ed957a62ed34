"""Training and predictions on the GPU: arrays are moved once, steps are taken there."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

import numseg as ns
from numseg.cuda import memory, runtime
from numseg.data import Dataset, Sample
from numseg.device import Cuda
from numseg.graph import Graph
from numseg.nets import blocks
from numseg.ops.registry import OPERATORS
from numseg.training import (
    SGD,
    Adam,
    Loss,
    Recipe,
    Sampling,
    confusion_matrix,
    evaluate,
    load_network,
    loop,
    make_network,
    predict,
    train,
)
from numseg.training.batches import Batch, batches
from numseg.training.stepping import Trainee
from numseg.training.uploads import uploaded

if not runtime.cuda_available():
    pytest.skip(
        "no GPU: NUMBA_ENABLE_CUDASIM=1 pytest tests/cuda, after pip install '.[cuda-test]'",
        allow_module_level=True,
    )

from numseg.testing import compile_gate
from numseg.training import cuda as training_cuda

RNG = np.random.default_rng(0)
OURS = OPERATORS
TWINS = {module.split(".")[2] for module in compile_gate.twins()}
LOSSES = ["cross_entropy", "dice_loss", "sigmoid_focal_loss", "binary_cross_entropy_with_logits"]


def _there(arrays: dict[str, Any]) -> dict[str, Any]:
    return {name: Cuda.from_host(array.copy()) for name, array in arrays.items()}


def _here(array: Any) -> Any:
    return array.copy_to_host() if hasattr(array, "copy_to_host") else array


def _assert_as_on_the_cpu(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """The simulator rounds as NumPy does; a GPU multiplies and adds in one rounding."""
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        got = _here(found[name])
        assert (got.shape, got.dtype) == (array.shape, array.dtype), name
        if runtime.simulated():
            np.testing.assert_array_equal(got, array, err_msg=name)
        else:
            tolerance = 8 * np.finfo(array.dtype).eps if array.dtype.kind == "f" else 0
            np.testing.assert_allclose(got, array, rtol=tolerance, atol=tolerance, err_msg=name)


# -- optimisers -----------------------------------------------------------------------------------

OPTIMISERS = [SGD(), SGD(momentum=0, weight_decay=0.1), Adam(), Adam(weight_decay=0.1, eps=1e-3)]
each_optimiser = pytest.mark.parametrize("optimiser", OPTIMISERS, ids=str)


@each_optimiser
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("donate", [False, True])
def test_three_steps_as_on_the_cpu(optimiser: Any, dtype: Any, donate: bool) -> None:
    shapes = {"w": (3, 2, 3, 3), "b": (5,), "one": (), "none": (0, 2)}
    params = {name: RNG.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}
    there, kept = _there(params), Cuda.from_host(np.ones(2, dtype))
    state, state_there = optimiser.start(params), optimiser.start(there)
    there["running_mean"] = kept
    for _ in range(3):
        grads = {n: RNG.standard_normal(s).astype(dtype) for n, s in shapes.items()}
        params, state = optimiser.step(params, grads, state)
        before = {name: _here(array).copy() for name, array in (there | state_there).items()}
        given = there | state_there
        there, state_there = optimiser.step(
            there, _there(grads), state_there, lr=None, donate=donate
        )
        in_place = [name for name in shapes if there[name] is given[name]]
        assert in_place == (list(shapes) if donate else [])
        if not donate:
            for name, array in before.items():
                np.testing.assert_array_equal(_here(given[name]), array, err_msg=name)
    assert there.pop("running_mean") is kept
    assert all(hasattr(array, "copy_to_host") for array in there.values())
    _assert_as_on_the_cpu(there, params)
    _assert_as_on_the_cpu(state_there, state)


def test_a_donated_array_that_is_not_contiguous_is_not_written_to() -> None:
    wide = Cuda.from_host(np.ones((3, 4), np.float32))
    params = {"w": wide[:, ::2]}
    new, _ = SGD(lr=1.0).step(
        params,
        {"w": Cuda.from_host(np.ones((3, 2), np.float32))},
        {"momentum_buffer.w": Cuda.from_host(np.zeros((3, 2), np.float32))},
        donate=True,
    )
    np.testing.assert_array_equal(_here(new["w"]), np.zeros((3, 2)))
    np.testing.assert_array_equal(_here(wide), np.ones((3, 4)))


@each_optimiser
def test_arrays_on_two_sides_are_refused(optimiser: Any) -> None:
    params = {"w": np.ones(3, np.float32)}
    state = optimiser.start(params)
    with pytest.raises(ns.DeviceError, match=r"^params\['w'\] is on the CPU, but another"):
        optimiser.step(params, _there({"w": np.ones(3, np.float32)}), state)
    with pytest.raises(ns.DeviceError, match=r"^grads\['w'\] is on the CPU, but another"):
        optimiser.step(_there(params), {"w": np.ones(3, np.float32)}, _there(state))


# -- runs -----------------------------------------------------------------------------------------


def fcn(in_channels: int, classes: int) -> Graph:
    """Of operators that have twins."""
    net = Graph.build()
    h = blocks.conv(net, "conv", net.input("x"), in_channels, 3, padding=1)
    h = net.add(ns.max_pool2d, h, 3, stride=1, padding=1)
    return net.output(blocks.conv(net, "head", h, 3, classes, 1))


def _halves(classes: int = 2) -> Dataset:
    """Left dark, right bright."""
    labels = np.zeros((6, 6), np.uint8)
    labels[:, 3:] = 1
    image = labels[None] * np.uint8(200) + np.uint8(20)
    return Dataset([Sample(image, labels, "halves")] * 2, tuple("abcdefgh"[:classes]))


RECIPE = Recipe(
    epochs=2,
    lr=1e-2,
    schedule="constant",
    loss=[Loss("squared_error:squared_error", 0.25)],
    sampling=Sampling(crop=6, batch=2),
)


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_a_run_on_the_gpu(tmp_path: Any, optimiser: str) -> None:
    """As on the CPU but for roundings, and it goes on from its checkpoint with the same bits."""
    graph, data = fcn(1, 2), _halves()
    recipe = dataclasses.replace(RECIPE, optimiser=optimiser)
    path = tmp_path / "run.safetensors"
    expected = train(graph, data, data, recipe)
    one = dataclasses.replace(recipe, epochs=1)
    whole = train(graph, data, data, recipe, device="cuda")
    train(graph, data, data, one, device="cuda", checkpoint=path)
    again = train(graph, data, data, recipe, device="cuda", checkpoint=path, resume=True)
    for name, array in whole.params.items():
        assert hasattr(array, "copy_to_host")
        np.testing.assert_array_equal(_here(again.params[name]), _here(array))
        np.testing.assert_allclose(_here(array), expected.params[name], rtol=1e-4, atol=1e-5)
    assert again.history == whole.history
    losses = [[entry["loss"] for entry in run.history] for run in (whole, expected)]
    np.testing.assert_allclose(*losses, rtol=1e-5)

    loaded, checkpoint = load_network(path, fcn(1, 2))
    image = data[0].image
    labels = predict(loaded, checkpoint.params, image)
    assert isinstance(labels, np.ndarray)
    np.testing.assert_array_equal(predict(loaded, checkpoint.params, image, device="cuda"), labels)
    np.testing.assert_array_equal(predict(loaded, whole.params, image, tile=3), labels)
    np.testing.assert_array_equal(predict(loaded, whole.params, image, device="cpu"), labels)
    both = (evaluate(loaded, checkpoint.params, data, device=d) for d in ("cpu", "cuda"))
    np.testing.assert_array_equal(*both)


def test_a_recipe_of_everything_on_the_gpu(tmp_path: Any) -> None:
    """Several batches a step, clipped, averaged, in groups: as on the CPU, and it goes on."""
    graph, data, path = fcn(1, 2), _halves(), tmp_path / "c.safetensors"
    recipe = dataclasses.replace(
        RECIPE, accumulate=2, clip_value=0.5, clip_norm=0.1, average=0.5, score_average=True,
        groups={"*.bias": {"lr": 2.0}}, sampling=Sampling(crop=6, batch=1),
    )  # fmt: skip
    here = train(graph, data, data, recipe)
    there = train(graph, data, data, recipe, device="cuda")
    train(graph, data, data, dataclasses.replace(recipe, epochs=1), checkpoint=path, device="cuda")
    again = train(graph, data, data, recipe, checkpoint=path, resume=True, device="cuda")
    for name, array in here.params.items():
        for ours, run in ((array, there.params), (here.average[name], there.average)):
            assert hasattr(run[name], "copy_to_host")
            np.testing.assert_allclose(_here(run[name]), ours, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(_here(again.params[name]), _here(there.params[name]))
        np.testing.assert_array_equal(_here(again.average[name]), _here(there.average[name]))


def test_parameters_are_moved_once(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, data, moved = fcn(1, 2), _halves(), []
    real = Cuda.from_host
    monkeypatch.setattr(
        Cuda, "from_host", staticmethod(lambda a, **k: (moved.append(a.shape), real(a, **k))[1])
    )
    train(graph, data, data, RECIPE, device="cuda")
    for param in graph.params:  # and what Adam keeps of it
        same = [p for p in graph.params if p.shape == param.shape]
        assert moved.count(param.shape) == 3 * len(same), param.name


NETS = {
    "fcn": fcn(1, 2),
    "unet": make_network(
        {
            "name": "unet", "in_channels": 1, "classes": 2, "width": 1, "depth": 1,
            "padding": "same", "norm": True,
        }
    ),
}  # fmt: skip


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("loss", LOSSES)
def test_what_has_twins_trains_and_what_has_none_says_so(net: str, loss: str) -> None:
    """The more operators have twins, the more of these train."""
    graph, data = NETS[net], _halves()
    arguments = {"reduction": "mean"}
    recipe = dataclasses.replace(RECIPE, epochs=1, loss=loss, loss_arguments=arguments)
    used = {node.operator.__name__ for node in graph.nodes} | {loss}
    if used <= TWINS:
        expected = train(graph, data, data, recipe).history[0]["loss"]
        found = train(graph, data, data, recipe, device="cuda").history[0]["loss"]
        assert found == pytest.approx(expected, rel=1e-4)
    else:
        with pytest.raises(ns.DeviceError, match="has no cuda kernels") as caught:
            train(graph, data, data, recipe, device="cuda")
        assert "\n" not in str(caught.value)
        assert any(f"{name}: has no cuda" in str(caught.value) for name in used - TWINS)


def test_the_command_line(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    from numseg.cli import main

    monkeypatch.chdir(tmp_path)
    data = _halves()
    trained = train(fcn(1, 2), data, data, RECIPE, device="cuda", checkpoint="w.safetensors")
    Image.fromarray(data[0].image[0]).save("p.png")
    (tmp_path / "mine.py").write_text("from test_training_cuda import fcn\ngraph = fcn(1, 2)\n")
    for where in ("cpu", "cuda"):
        argv = ["segment", "p.png", "--weights", "w.safetensors", "--net", "mine.py:graph"]
        assert main([*argv, "--device", where, "--out", f"{where}.png"]) == 0
    assert (tmp_path / "cpu.png").read_bytes() == (tmp_path / "cuda.png").read_bytes()
    assert all(hasattr(array, "copy_to_host") for array in trained.params.values())


def test_scores_of_arrays_on_the_gpu() -> None:
    truth, guess = np.array([[0, 1, 1]]), np.array([[0, 0, 1]])
    np.testing.assert_array_equal(
        confusion_matrix(Cuda.from_host(truth), Cuda.from_host(guess), 2),
        confusion_matrix(truth, guess, 2),
    )


# -- what stays on the GPU ------------------------------------------------------------------------


def _stepper(recipe: Recipe) -> tuple[Any, Any, Any]:
    """A run, where it is, and batches without end."""
    data = _halves()
    run = loop.Run(fcn(1, 2), data, data, recipe, Cuda, 0)
    run.check_run()
    run.check_crop()
    at = run.start({}, None, ())

    def every() -> Any:
        while True:
            yield from batches(data, recipe.sampling, 1, 0)

    return run, Trainee(at.params, at.state, dict(at.average)), uploaded(every(), Cuda)


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_a_step_copies_the_loss_and_allocates_nothing(
    optimiser: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the gradient's length, if it is asked for."""
    recipe = dataclasses.replace(
        RECIPE, optimiser=optimiser, clip_value=0.5, clip_norm=0.1, average=0.5,
        groups={"*.bias": {"lr": 2.0}},
    )  # fmt: skip
    run, now, found = _stepper(recipe)
    now, _ = run.stepper.step(now, found, 0, 0)
    now, _ = run.stepper.step(now, found, 0, 0)  # gradients have been given back by now
    copied, real = [], Cuda.to_host
    monkeypatch.setattr(
        Cuda, "to_host", staticmethod(lambda a: (copied.append(a.size), real(a))[1])
    )
    before = memory.stats().allocations
    for _ in range(2):
        now, _ = run.stepper.step(now, found, 0, 0)
    assert copied == [1, 1] * 2  # the loss and the length
    assert memory.stats().allocations == before
    found.close()


def test_scores_are_counted_on_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, data, copied, real = fcn(1, 2), _halves(), [], Cuda.to_host
    params = graph.init()
    expected = evaluate(graph, params, data)
    monkeypatch.setattr(
        Cuda, "to_host", staticmethod(lambda a: (copied.append(a.size), real(a))[1])
    )
    np.testing.assert_array_equal(evaluate(graph, params, data, device="cuda"), expected)
    assert copied == [2 * 2 + 1]


@pytest.mark.parametrize("ignored", [None, 255, 1])
def test_a_confusion_matrix_is_counted_where_the_labels_are(ignored: int | None) -> None:
    truth, guess = RNG.integers(0, 3, (2, 9, 31)), RNG.integers(0, 3, (2, 9, 31))
    if ignored == 255:
        truth[0, :4], guess[0, :2] = 255, -7  # what is predicted there does not matter
    expected = confusion_matrix(truth, guess, 3, ignored)
    there = confusion_matrix(Cuda.from_host(truth), Cuda.from_host(guess), 3, ignored)
    np.testing.assert_array_equal(there, expected)
    truth[1, 0, 0] = 3
    with pytest.raises(ns.ArgumentError, match=r"^truth holds label 3, expected 0 to 2$"):
        confusion_matrix(Cuda.from_host(truth), Cuda.from_host(guess), 3, ignored)


def test_the_class_of_a_pixel_is_the_first_of_the_largest() -> None:
    few = np.array([-np.inf, 0, 1, np.inf, np.nan], np.float32)
    scores = RNG.choice(few, (1, 4, 7, 9))
    found = training_cuda.largest(Cuda.from_host(scores), slice(1, 6), slice(2, 9))
    np.testing.assert_array_equal(_here(found), np.argmax(scores[0, :, 1:6, 2:9], axis=0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_length_of_gradients_is_summed_in_float64(dtype: Any) -> None:
    grads = [RNG.standard_normal(shape).astype(dtype) for shape in ((3, 5), (1,), (0, 2), (40,))]
    expected = sum(float(np.sum(np.square(grad, dtype=np.float64))) for grad in grads)
    found = training_cuda.sum_of_squares([Cuda.from_host(grad) for grad in grads])
    assert found == pytest.approx(expected, rel=1e-14)
    large = [Cuda.from_host(np.array([3e30, 4e30], dtype))]
    assert training_cuda.sum_of_squares(large) == pytest.approx(25e60, rel=1e-6)


def test_batches_arrive_in_their_order_and_images_alone_are_moved() -> None:
    made = [Batch(RNG.random((2, 1, 3, 3), np.float32), np.full((2, 3, 3), k)) for k in range(7)]
    closed = []

    def every() -> Any:
        try:
            yield from made
        finally:
            closed.append(1)

    for batch, sent in zip(made, uploaded(every(), Cuda), strict=True):
        np.testing.assert_array_equal(_here(sent.x), batch.x)
        assert sent.labels is batch.labels
    assert closed == [1]
    half = uploaded(every(), Cuda)
    next(half)
    half.close()
    assert closed == [1, 1]


def test_labels_that_were_seen_on_the_host_are_not_copied_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """max_unpool2d looks at its indices."""
    from numseg.training.devices import labels_moved

    y = Cuda.from_host(np.ones((1, 1, 1, 2), np.float32))
    copied, real = [], Cuda.to_host
    monkeypatch.setattr(Cuda, "to_host", staticmethod(lambda a: (copied.append(a), real(a))[1]))
    ns.max_unpool2d(y, labels_moved(np.array([[[[0, 1]]]]), Cuda), 2)
    assert not copied
    with pytest.raises(ns.ArgumentError, match=r"^max_unpool2d: "):
        ns.max_unpool2d(y, labels_moved(np.array([[[[0, 99]]]]), Cuda), 2)
    ns.max_unpool2d(y, Cuda.from_host(np.array([[[[0, 1]]]])), 2)
    assert copied
