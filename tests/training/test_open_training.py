"""Open doors: graphs of any kind, losses that are operators, and what a checkpoint says of both."""

from __future__ import annotations

import dataclasses
import json
import sys
from types import ModuleType

import numpy as np
import pytest

import numseg as ns
from numseg import ArgumentError, DeviceError, FileError, device
from numseg.data import Dataset, Sample, scenes
from numseg.graph import Graph, Late, digest
from numseg.nets import blocks, unet
from numseg.training import (
    SGD,
    Loss,
    Recipe,
    Sampling,
    evaluate,
    load_checkpoint,
    load_network,
    make_network,
    predict,
    train,
)

RECIPE = Recipe(epochs=2, lr=1e-2, sampling=Sampling(crop=16, batch=2))
UNET = {"name": "unet", "in_channels": 3, "classes": 8, "width": 2, "depth": 1, "padding": "same"}
FOCAL = {"reduction": "mean"}


@pytest.fixture(scope="module")
def data():
    both = scenes(6, size=16, seed=0)
    return tuple(
        dataclasses.replace(both, samples=part) for part in (both.samples[:4], both.samples[4:])
    )


def net(in_channels, classes, width=3, activation="relu"):
    """A padded image through two convolutions, at half the size and back."""
    net = Graph.build()
    h = net.add(ns.pad, net.input("x"), 1)
    h = blocks.conv(net, "a", h, in_channels, width, stride=2, activation=activation)
    h = blocks.conv(net, "b", h, width, classes, 1)
    return net.output(net.add(ns.upsample_bilinear2d, h, scale_factor=2, name="up"))


def two_heads(classes=8):
    """A second output, to learn from what lies on the way."""
    net = Graph.build()
    h = blocks.conv(net, "stem", net.input("x"), 3, 3, padding=1, activation="relu")
    main = blocks.conv(net, "main", blocks.conv(net, "mid", h, 3, 3, 1), 3, classes, 1)
    return net.output(main, blocks.conv(net, "aux", h, 3, classes, 1))


@pytest.fixture
def module(monkeypatch):
    """A module of somebody else's."""
    made = ModuleType("somebodys")
    made.net, made.graph = net, net(3, 8)
    made.half = lambda step, steps: 0.5
    made.half.__module__, made.half.__qualname__ = "somebodys", "half"
    monkeypatch.setitem(sys.modules, "somebodys", made)
    return made


def _same(one, other):
    assert one.params.keys() == other.params.keys()
    for name, array in one.params.items():
        assert array.tobytes() == other.params[name].tobytes(), name
    assert one.history == other.history


# -- graphs ---------------------------------------------------------------------------------------


def test_a_graph_trains_as_its_description_does(data):
    _same(train(make_network(UNET), *data, RECIPE), train(UNET, *data, RECIPE))


def test_a_run_of_a_graph_goes_on_with_the_same_bits(data, tmp_path):
    path = tmp_path / "c.safetensors"
    whole = train(net(3, 8), *data, RECIPE)

    def stop(result):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(net(3, 8), *data, RECIPE, checkpoint=path, report=stop)
    assert load_checkpoint(path).epoch == 1
    _same(train(net(3, 8), *data, RECIPE, checkpoint=path, resume=True), whole)


def test_another_graph_is_refused_with_both_digests(data, tmp_path):
    path, other = tmp_path / "c.safetensors", net(3, 8, activation="silu")
    train(net(3, 8), *data, RECIPE, checkpoint=path)
    was, now = digest(net(3, 8)), digest(other)
    with pytest.raises(ArgumentError, match=f"net.graph was '{was}', now it is '{now}'"):
        train(other, *data, RECIPE, checkpoint=path, resume=True)
    with pytest.raises(
        ArgumentError, match=f"net was {{'graph': '{was}'}}, now it is {{'name': 'unet'"
    ):
        train(UNET, *data, RECIPE, checkpoint=path, resume=True)


def test_a_checkpoint_asks_for_the_graph_that_it_cannot_make(data, tmp_path):
    path = tmp_path / "c.safetensors"
    trained = train(net(3, 8), *data, RECIPE, checkpoint=path)
    with pytest.raises(FileError, match=r"a graph without a name was trained .*: give it to load"):
        load_network(path)
    for given in (net(3, 8), lambda: net(3, 8)):
        graph, found = load_network(path, given)
        assert digest(graph) == digest(net(3, 8))
        assert all(found.params[n].tobytes() == a.tobytes() for n, a in trained.params.items())
    other = net(3, 8, activation="silu")  # with the same parameters
    with pytest.raises(FileError, match=f"was trained is {digest(graph)}, the one given "):
        load_network(path, other)
    with pytest.raises(FileError, match="makes dict, not a graph"):
        load_network(path, lambda: {})


def test_a_module_names_a_network(data, tmp_path, module):
    about = {"name": "somebodys:net", "in_channels": 3, "classes": 8, "width": 2}
    path = tmp_path / "c.safetensors"
    train(about, *data, dataclasses.replace(RECIPE, epochs=1, schedule="constant"), checkpoint=path)
    longer = dataclasses.replace(RECIPE, schedule="constant")
    resumed = train(about, *data, longer, checkpoint=path, resume=True)
    _same(resumed, train(about, *data, longer))
    with pytest.raises(ArgumentError, match=r"net.width was 2, now it is 3"):
        train(about | {"width": 3}, *data, longer, checkpoint=path, resume=True)
    # nothing is imported on a file's word
    del sys.modules["somebodys"]
    with pytest.raises(FileError, match="somebodys:net was trained, which no file makes us import"):
        load_network(path)
    graph, _ = load_network(path, net)
    assert digest(graph) == digest(net(3, 8, width=2))


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"name": "vnet"}, "net must be one of .*'unet'.*, or module:name, got 'vnet'"),
        ({"name": "somebodys:vnet"}, "somebodys has no function 'vnet'"),
        ({"name": "nobodys:net"}, "cannot import nobodys"),
        ({"name": "unet", "colour": 3}, "unet: .*in_channels|unet: .*colour"),
        ({"name": "somebodys:graph", "classes": 2}, "is a graph, which takes no classes"),
        ({"classes": 2}, "net must be a graph, or the name of a function, got None"),
    ],
)
def test_networks_that_nobody_can_make(module, about, message):
    with pytest.raises(ArgumentError, match=message):
        make_network(about)


def test_graphs_that_no_picture_trains(data):
    net = Graph.build()
    h = blocks.conv(net, "a", net.input("x"), 3, 8, 1)
    graph = net.output(net.add(ns.add, h, net.input("rest")))
    with pytest.raises(ArgumentError, match="the graph takes x, rest, but pictures are all"):
        train(graph, *data, RECIPE)

    net = Graph.build()
    coarse = net.output(blocks.conv(net, "a", net.input("x"), 3, 8, 4, stride=4))
    with pytest.raises(ArgumentError, match="a has one pixel for 4 x 4 of the image: upsample it"):
        train(coarse, *data, RECIPE)
    with pytest.raises(ArgumentError, match="a has one pixel for 4 x 4 of the image: upsample it"):
        predict(coarse, coarse.init(), data[0][0].image)

    net = Graph.build()
    graph = net.output(net.add(ns.relu, net.input("x")))
    with pytest.raises(ArgumentError, match="no parameters that tell how many channels"):
        train(graph, *data, RECIPE)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_the_images_channels_are_found_behind_what_comes_first(groups):
    """Behind padding and normalisation, for grouped and depthwise convolutions too."""
    net = Graph.build()
    h = blocks.conv(net, "a", net.add(ns.pad, net.input("x"), 1), 4, 4, groups=groups)
    graph = net.output(h)
    grey = np.zeros((1, 5, 5), np.uint8)
    assert predict(graph, graph.init(), grey).shape == (5, 5)  # repeated to 4 channels
    normed = Graph.build()
    h = blocks.normalise(normed, "n", normed.input("x"), 3)
    graph = normed.output(h)
    assert predict(graph, graph.init(), grey).shape == (5, 5)


# -- several outputs ------------------------------------------------------------------------------


def test_every_output_has_a_loss_of_its_own(data):
    """The gradient of ``a + 0.5 b`` is that of a, plus half of that of b."""
    graph = two_heads()
    recipe = dataclasses.replace(
        RECIPE,
        epochs=1,
        optimiser="sgd",
        sampling=Sampling(crop=16, batch=4, flip=False),
        loss=[Loss("cross_entropy"), Loss("dice_loss", 0.5, {"batch": True}, output=1)],
    )
    trained = train(graph, *data, recipe)
    params = graph.init(0)
    x = np.stack([sample.image for sample in data[0]]).astype(np.float32) / np.float32(255)
    labels = np.stack([sample.labels for sample in data[0]]).astype(np.int64)
    (main, aux), tape = graph.forward(params, x)
    one, saved = ns.cross_entropy.forward(main, labels, ignore_index=255)
    two, kept = ns.dice_loss.forward(aux, labels, ignore_index=255, batch=True)
    assert trained.history[0]["loss"] == pytest.approx(float(one + two / 2), rel=1e-6)
    (grad_main,) = ns.cross_entropy.backward(saved, np.ones_like(one))
    (grad_aux,) = ns.dice_loss.backward(kept, np.full_like(two, 0.5))
    grads = graph.backward(tape, (grad_main, grad_aux), needs=graph.trainable)
    sgd = SGD()
    expected, _ = sgd.step(params, grads, sgd.start(params), lr=recipe.lr)
    for name, array in expected.items():
        np.testing.assert_allclose(trained.params[name], array, rtol=1e-4, atol=1e-6)


def test_the_first_output_is_the_prediction(data):
    graph = two_heads()
    params = graph.init(3)
    image = data[0][0].image
    main = graph.at("main")
    alone = {param.name: params[param.name] for param in main.params}
    np.testing.assert_array_equal(predict(graph, params, image), predict(main, alone, image))
    np.testing.assert_array_equal(
        evaluate(graph, params, data[1]), evaluate(main, alone, data[1], device="cpu")
    )


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("cross_entropy", "no loss scores output 1 of the graph, aux"),
        ([Loss("dice_loss", output=1)], "no loss scores output 0 of the graph, main"),
        ([Loss("dice_loss", output=2)], "a loss scores output 2, the graph's last is 1"),
    ],
)
def test_outputs_that_do_not_fit_the_losses(data, loss, message):
    with pytest.raises(ArgumentError, match=message):
        train(two_heads(), *data, dataclasses.replace(RECIPE, loss=loss))


def test_every_output_has_every_class(data):
    net = Graph.build()
    x = net.input("x")
    graph = net.output(blocks.conv(net, "a", x, 3, 8, 1), blocks.conv(net, "b", x, 3, 7, 1))
    both = [Loss("cross_entropy"), Loss("cross_entropy", output=1)]
    with pytest.raises(ArgumentError, match="the network gives 7 classes, the data has 8"):
        train(graph, *data, dataclasses.replace(RECIPE, loss=both))


# -- losses ---------------------------------------------------------------------------------------


def test_a_loss_is_an_operator_or_its_name(data):
    assert Recipe(loss=ns.dice_loss) == Recipe(loss="dice_loss")
    assert Recipe(loss=[(ns.dice_loss, 2)]) == Recipe(loss=[Loss("dice_loss", 2.0)])
    _same(*(train(UNET, *data, dataclasses.replace(RECIPE, loss=loss))
            for loss in (ns.dice_loss, [("dice_loss", 1.0)])))  # fmt: skip


@pytest.mark.parametrize(
    "loss",
    [
        [("cross_entropy", 1.0), ("dice_loss", 0.5, {"batch": True})],
        [("sigmoid_focal_loss", 3.0, FOCAL), "binary_cross_entropy_with_logits"],
        "smooth_l1_loss",
    ],
)
def test_any_loss_learns_and_goes_on_with_the_same_bits(data, tmp_path, loss):
    path = tmp_path / "c.safetensors"
    long = dataclasses.replace(RECIPE, loss=loss, schedule="constant", epochs=4)
    whole = train(UNET, *data, long)
    assert whole.history[-1]["loss"] < whole.history[0]["loss"]
    train(UNET, *data, dataclasses.replace(long, epochs=2), checkpoint=path)
    _same(train(UNET, *data, long, checkpoint=path, resume=True), whole)
    other = dataclasses.replace(long, loss="cross_entropy")
    with pytest.raises(ArgumentError, match=r"recipe\.loss was .*, now it is 'cross_entropy'"):
        train(UNET, *data, other, checkpoint=path, resume=True)


def test_the_loss_of_masks_is_the_operators(data):
    """A mask of each class, where the operator wants no labels."""
    recipe = dataclasses.replace(
        RECIPE, epochs=1, loss="sigmoid_focal_loss", loss_arguments=FOCAL,
        sampling=Sampling(crop=16, batch=4, flip=False),
    )  # fmt: skip
    graph = make_network(UNET)
    x = np.stack([sample.image for sample in data[0]]).astype(np.float32) / np.float32(255)
    masks = np.stack([[sample.labels == c for c in range(8)] for sample in data[0]])
    logits = graph.run(graph.init(0), x)
    expected = ns.sigmoid_focal_loss(logits, masks.astype(np.float32), **FOCAL)
    found = train(UNET, *data, recipe).history[0]["loss"]
    assert found == pytest.approx(float(expected), rel=1e-6)


def test_weights_of_classes(data, tmp_path):
    """Lists in a file, arrays for the operator."""
    weight = np.linspace(0.5, 2, 8).astype(np.float32)
    recipe = dataclasses.replace(RECIPE, epochs=1, loss_arguments={"weight": weight})
    assert recipe == dataclasses.replace(recipe, loss_arguments={"weight": weight.tolist()})
    path = tmp_path / "c.safetensors"
    weighted = train(UNET, *data, recipe, checkpoint=path)
    assert load_checkpoint(path).about["recipe"]["loss_arguments"]["weight"] == weight.tolist()
    assert weighted.history != train(UNET, *data, dataclasses.replace(RECIPE, epochs=1)).history
    ones = dataclasses.replace(recipe, loss_arguments={"weight": [1] * 8})
    _same(train(UNET, *data, ones), train(UNET, *data, dataclasses.replace(RECIPE, epochs=1)))
    few = dataclasses.replace(recipe, loss_arguments={"weight": [1.0, 2.0]})
    with pytest.raises(ArgumentError, match=r"weight has shape \(2,\), expected \(8,\)"):
        train(UNET, *data, few)


def test_a_loss_that_cannot_leave_out_pixels_says_so(data):
    samples = [Sample(s.image, np.where(s.labels == 0, 255, s.labels), "") for s in data[0]]
    holes = Dataset(samples, data[0].classes, 255)
    recipe = dataclasses.replace(RECIPE, loss="sigmoid_focal_loss", loss_arguments=FOCAL)
    with pytest.raises(ArgumentError, match=r"sigmoid_focal_loss has no ignore_index, but .* 255"):
        train(UNET, holes, data[1], recipe)


@pytest.mark.parametrize(
    ("loss", "arguments", "message"),
    [
        ("dice_los", {}, r"loss: numseg has no operator 'dice_los' \(is it dice_loss"),
        ("relu", {}, "loss: relu takes x, a loss scores and labels"),
        ("nobodys:loss", {}, "cannot import nobodys"),
        ("math:sqrt", {}, "loss must be an operator or the name of one, got 'math:sqrt'"),
        (3, {}, "loss must be an operator or the name of one, got 3"),
        ("sigmoid_focal_loss", {}, r"without a reduction to one number: it gives \(1, 2, 2, 2\)"),
        ([], {}, "loss names no operator"),
        (["dice_loss"], {"batch": True}, "loss_arguments are for a single loss"),
        ([("dice_loss", 1, {}, 0, 5)], {}, r"loss\[0\] must be \(operator, weight, .*got 5 values"),
        (["dice_loss", ("dice_loss", "much")], {}, "weight must be a real number, got 'much'"),
        ([("dice_loss", 1, "batch")], {}, r"loss\[0\] must be a dict of arguments, got 'batch'"),
        ([("dice_loss", 1, {"x": 1})], {}, r"loss\[0\] has x, which the data gives"),
        ([("dice_loss", 1, {}, -1)], {}, "output must be at least 0, got -1"),
    ],
)
def test_losses_that_are_none(loss, arguments, message):
    with pytest.raises(ArgumentError, match=message):
        Recipe(loss=loss, loss_arguments=arguments)


# -- recipes --------------------------------------------------------------------------------------


def test_what_a_module_can_be_asked_for_is_written_by_name(data, tmp_path, module):
    recipe = dataclasses.replace(
        RECIPE, optimiser=SGD, optimiser_arguments={"momentum": 0.5}, schedule=module.half
    )
    assert (recipe.optimiser, recipe.schedule) == ("sgd", "somebodys:half")
    assert recipe.lr_at(3, 5) == RECIPE.lr / 2
    assert recipe.make_optimiser() == SGD(lr=RECIPE.lr, momentum=0.5)
    path = tmp_path / "c.safetensors"
    train(UNET, *data, recipe, checkpoint=path)
    written = load_checkpoint(path).about["recipe"]
    assert written == json.loads(json.dumps(recipe.written()))
    assert written["optimiser_arguments"] == {"momentum": 0.5}
    with pytest.raises(ArgumentError, match=r"recipe.optimiser_arguments.momentum was 0.5, now"):
        train(
            UNET, *data, dataclasses.replace(recipe, optimiser_arguments={"momentum": 0.25}),
            checkpoint=path, resume=True,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"schedule": lambda step, steps: 1.0}, "recipe.schedule"),
        ({"optimiser": lambda lr, weight_decay: SGD(lr)}, "recipe.optimiser"),
    ],
)
def test_what_has_no_name_trains_but_no_checkpoint_holds_it(data, tmp_path, change, what):
    recipe = dataclasses.replace(RECIPE, epochs=1, **change)
    train(UNET, *data, recipe)
    with pytest.raises(ArgumentError, match=f"{what} is <function .*, which no checkpoint can"):
        train(UNET, *data, recipe, checkpoint=tmp_path / "c.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_networks_argument_that_no_checkpoint_holds(data, tmp_path, module):
    about = {"name": "somebodys:net", "in_channels": 3, "classes": 8, "activation": ns.silu}
    train(about, *data, dataclasses.replace(RECIPE, epochs=1))
    with pytest.raises(ArgumentError, match=r"net.activation is <numseg operator silu.*, which no"):
        train(about, *data, RECIPE, checkpoint=tmp_path / "c.safetensors")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimiser_arguments": {"speed": 3}}, "optimiser adam: .*'speed'"),
        ({"optimiser_arguments": {"eps": -1}}, "eps must lie in"),
        ({"optimiser": 3}, "optimiser must be a word or a function, got 3"),
        ({"schedule": lambda step, steps: "fast"}, "schedule must be a real number, got 'fast'"),
        ({"schedule": "nobodys:warm"}, "cannot import nobodys"),
    ],
)
def test_recipes_that_are_none(settings, message):
    with pytest.raises(ArgumentError, match=message):
        Recipe(**settings)


def test_a_checkpoint_of_another_optimisers_state_is_refused(data, tmp_path):
    from numseg.training import save_checkpoint

    path = tmp_path / "c.safetensors"
    train(UNET, *data, RECIPE, checkpoint=path)
    found = load_checkpoint(path)
    save_checkpoint(path, found._replace(state={}, epoch=1))
    with pytest.raises(FileError, match="its state is not that of adam"):
        train(UNET, *data, RECIPE, checkpoint=path, resume=True)


# -- devices --------------------------------------------------------------------------------------


def test_without_a_gpu_one_line_says_so(data, monkeypatch):
    monkeypatch.setattr(device, "cuda_available", lambda: False)
    monkeypatch.setattr(device, "describe_cuda", lambda: "no device (no driver)")
    graph = unet(3, 8, width=2, depth=1, padding="same")
    message = r"^device is 'cuda', but there is none: no device \(no driver\)$"
    with pytest.raises(DeviceError, match=message):
        train(graph, *data, RECIPE, device="cuda")
    with pytest.raises(DeviceError, match=message):
        predict(graph, graph.init(), data[0][0].image, device="cuda")
    with pytest.raises(ArgumentError, match="device must be one of 'cpu', 'cuda', got 'tpu'"):
        train(graph, *data, RECIPE, device="tpu")


# -- digests --------------------------------------------------------------------------------------


def test_a_digest_is_the_same_for_the_same_graph_only():
    def made(**change):
        given = {"name": "c", "stride": 1, "shape": (2, 3, 1, 1), "op": ns.relu, "seed": 1}
        given |= change
        net = Graph.build()
        w = net.param("w", given["shape"], lambda shape, rng: np.ones(shape))
        h = net.add(ns.conv2d, net.input("x"), w, stride=given["stride"], name=given["name"])
        drop = net.add(ns.dropout, h, 0.5, seed=given["seed"], training=net.training)
        return digest(net.output(net.add(given["op"], drop, name="last")))

    same = [made(), made(), made(stride=np.int64(1))]
    assert len(set(same)) == 1
    changes = [{"name": "d"}, {"stride": 2}, {"stride": (1, 1)}, {"shape": (2, 3, 3, 3)}]
    changes += [{"op": ns.silu}, {"op": ns.relu.reference}, {"seed": 2}, {"seed": Late.SEED}]
    digests = [made(**change) for change in changes]
    assert len({same[0], *digests}) == 1 + len(changes)
    net = Graph.build()
    h = net.add(ns.crop, net.input("x"), object(), name="odd")
    with pytest.raises(ArgumentError, match=r"odd: size is <object .*no digest"):
        digest(net.output(h))
