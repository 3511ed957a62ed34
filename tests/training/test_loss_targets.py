"""Which label each pixel of an output is scored against, by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import numseg as ns
import numseg.training
from numseg import ArgumentError
from numseg.data import Dataset, Sample, scenes
from numseg.graph import Graph
from numseg.nets import blocks, deeplabv1_vgg16
from numseg.training import Loss, Recipe, Sampling, predict, train
from numseg.training.losses import Criterion
from numseg.training.targets import target

RECIPE = Recipe(epochs=1, lr=1e-2, optimiser="sgd",
                sampling=Sampling(crop=16, batch=4, flip=False))  # fmt: skip


@pytest.fixture(scope="module")
def data():
    both = scenes(6, size=16, seed=0)
    return tuple(
        dataclasses.replace(both, samples=part) for part in (both.samples[:4], both.samples[4:])
    )


def _graph(*layers):
    """The first output has a pixel for each of the image; the second goes through the layers."""
    net = Graph.build()
    stem = aux = blocks.conv(net, "stem", net.input("x"), 3, 8, 1)
    for j, layer in enumerate(layers):
        aux = layer(net, f"aux{j}", aux)
    return net.output(stem, aux)


def _conv(kernel, **others):
    return lambda net, name, x: blocks.conv(net, name, x, 8, 8, kernel, **others)


def _pool(net, name, x):
    return net.add(ns.max_pool2d, x, 2, name=name)


def _up(factor):
    return lambda net, name, x: net.add(
        ns.upsample_nearest2d, x, scale_factor=factor, name=name
    )  # fmt: skip


def _disagreeing(net, name, x):
    """Half the size by two ways, whose pixels do not lie together."""
    a, b = _pool(net, f"{name}.a", x), _conv(3, stride=2, padding=1)(net, f"{name}.b", x)
    return net.add(ns.add, a, b, name=name)


HALF = _conv(3, stride=2, padding=1)


@pytest.mark.parametrize(
    ("layers", "size", "expected"),
    [
        ([_conv(3)], 6, [1, 2, 3, 4]),  # two fewer: the middle
        ([_conv(1, padding=1)], 4, [-1, 0, 1, 2, 3, -1]),  # two more: ignored around
        ([HALF], 7, [0, 2, 4, 6]),  # centred on every second pixel
        ([HALF, HALF, HALF], 33, [0, 8, 16, 24, 32]),  # DeepLab's 321 -> 41, in small
        ([_pool], 6, [1, 3, 5]),  # between two pixels: the second
        ([_conv(3), HALF], 8, [1, 3, 5]),
        ([_conv(3, padding=3), HALF], 6, [-1, 0, 2, 4, -1]),  # centres at -2, 0, 2, 4, 6
        ([_up(2)], 3, [0, 0, 1, 1, 2, 2]),  # finer: at -0.25, 0.25, 0.75, ...
        ([_disagreeing], 8, [1, 3, 5, 7]),  # no geometry: by the sizes
    ],
)
def test_the_rows_of_an_output(layers, size, expected):
    graph = _graph(*layers)
    name = graph.outputs[1].source
    found = target(graph, name, (1, 3, size, size), first=False)
    assert found.rows.tolist() == expected
    assert found.columns.tolist() == expected
    labels = np.arange(size * size).reshape(1, size, size)
    seen = found.of(labels, -7)
    assert seen.shape[1:] == graph.shapes((1, 3, size, size))[name][2:]
    for i, row in enumerate(expected):
        for j, column in enumerate(expected):
            inside = row >= 0 and column >= 0
            assert seen[0, i, j] == (size * row + column if inside else -7)


def test_deeplab_v1_is_trained_on_every_eighth_label():
    """As its authors do, 321 > 41; the scores of every pixel, by which it predicts, count for 0."""
    graph = deeplabv1_vgg16(3, 8, width=1).at("upscore", "fc8_voc12")
    found = target(graph, "fc8_voc12", (1, 3, 321, 321), first=False)
    assert found.rows.tolist() == found.columns.tolist() == list(range(0, 321, 8))
    losses = Recipe(loss=[("cross_entropy", 0.0), ("cross_entropy", 1.0, {}, 1)]).losses
    Criterion(losses, 8, 255).check(graph, (1, 3, 321, 321))


def test_a_loss_of_a_coarse_output_is_that_of_the_labels_at_its_centres(data):
    graph = _graph(HALF)
    recipe = dataclasses.replace(
        RECIPE, loss=[("cross_entropy", 1.0), ("cross_entropy", 0.4, {}, 1)]
    )
    trained = train(graph, *data, recipe)
    x = np.stack([sample.image for sample in data[0]]).astype(np.float32) / np.float32(255)
    labels = np.stack([sample.labels for sample in data[0]]).astype(np.int64)
    main, aux = graph.run(graph.init(0), x)
    expected = ns.cross_entropy(main, labels) + 0.4 * ns.cross_entropy(aux, labels[:, ::2, ::2])
    assert trained.history[0]["loss"] == pytest.approx(float(expected), rel=1e-6)
    assert np.any(trained.params["aux0.weight"] != graph.init(0)["aux0.weight"])


def test_what_lies_beyond_the_image_counts_for_nothing(data):
    recipe = dataclasses.replace(RECIPE, loss=[Loss("cross_entropy"), Loss("dice_loss", output=1)])
    graph = _graph(_conv(1, padding=2))
    x = np.stack([sample.image for sample in data[0]]).astype(np.float32) / np.float32(255)
    labels = np.stack([sample.labels for sample in data[0]]).astype(np.int64)
    main, aux = graph.run(graph.init(0), x)
    padded = np.pad(labels, ((0, 0), (2, 2), (2, 2)), constant_values=255)
    expected = ns.cross_entropy(main, labels) + ns.dice_loss(aux, padded, ignore_index=255)
    found = train(graph, *data, recipe).history[0]["loss"]
    assert found == pytest.approx(float(expected), rel=1e-6)
    terms = [Loss("cross_entropy"), Loss("smooth_l1_loss", output=1)]
    with pytest.raises(ArgumentError, match="aux0 has pixels beyond the image, but smooth_l1_loss"):
        train(graph, *data, dataclasses.replace(RECIPE, loss=terms))


def test_the_first_output_has_a_pixel_for_each_of_the_image(data):
    net = Graph.build()
    large = net.output(blocks.conv(net, "a", net.input("x"), 3, 8, 1, padding=1))
    with pytest.raises(ArgumentError, match="a has 18 x 18 pixels for an image of 16 x 16: crop"):
        train(large, *data, RECIPE)

    net = Graph.build()  # image pooling: what it gives is spread over a coarse map
    h = blocks.conv(net, "a", net.input("x"), 3, 8, 3, stride=2, padding=1)
    mean = net.add(ns.global_avg_pool2d, h, name="mean")
    spread = net.add(ns.upsample_nearest2d, mean, size=h.size, name="spread")
    coarse = net.output(net.add(ns.add, h, spread, name="sum"))
    with pytest.raises(ArgumentError, match="sum has one pixel for 2 x 2 of the image: upsample"):
        train(coarse, *data, RECIPE)
    with pytest.raises(ArgumentError, match="sum has one pixel for 2 x 2 of the image: upsample"):
        predict(coarse, coarse.init(), data[0][0].image)


# -- weights of classes ---------------------------------------------------------------------------


def _dataset():
    """a: 6 of 8 and 2 of 4 pixels; b: 2 of 8; c: 2 of 4; d: nowhere; an ignored pixel each."""

    def sample(*labels):
        return Sample(np.zeros((1, 1, len(labels)), np.uint8), np.array([labels]), "p")

    return Dataset([sample(0, 0, 0, 0, 0, 0, 1, 1, 255), sample(255, 0, 2, 0, 2)], tuple("abcd"))


def test_weights_of_classes_by_hand():
    # shares: a 8 / 12, b 2 / 8, c 2 / 4; their median is 1 / 2
    assert ns.training.class_weights(_dataset()) == [0.75, 2.0, 1.0, 0.0]
    # 12 pixels, three classes
    assert ns.training.class_weights(_dataset(), "inverse_frequency") == [0.5, 2.0, 2.0, 0.0]
    assert ns.training.class_weights(_dataset(), lambda found: found.pixels) == [8, 2, 2, 0]
    for wrong, message in ((lambda f: [1], r"gives \(1,\) weights for 4"),
                           (lambda f: -f.pixels, "gives the weights")):  # fmt: skip
        with pytest.raises(ArgumentError, match=message):
            ns.training.class_weights(_dataset(), wrong)


@pytest.mark.parametrize("balance", ["median_frequency", "inverse_frequency"])
def test_balance_is_the_weight_of_the_loss(data, tmp_path, balance):
    graph = _graph(HALF)
    weight = ns.training.class_weights(data[0], balance)
    terms = [Loss("cross_entropy"), Loss("cross_entropy", 0.4, output=1), Loss("dice_loss")]
    given = [t._replace(arguments={"weight": weight}) if "cross" in t.operator else t
             for t in terms]  # fmt: skip
    path = tmp_path / "c.safetensors"
    recipe = dataclasses.replace(RECIPE, loss=terms, balance=balance, schedule="constant")
    one = train(graph, *data, recipe, checkpoint=path)
    two = train(graph, *data, dataclasses.replace(RECIPE, loss=given, schedule="constant"))
    for name, array in one.params.items():
        assert array.tobytes() == two.params[name].tobytes()
    longer = dataclasses.replace(recipe, epochs=2)
    resumed = train(graph, *data, longer, checkpoint=path, resume=True)
    assert resumed.history == train(graph, *data, longer).history
    with pytest.raises(ArgumentError, match=r"recipe\.balance"):
        train(graph, *data, dataclasses.replace(longer, balance=None), checkpoint=path,
              resume=True)  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"balance": "fair"}, "balance must be one of 'median_frequency', 'inverse_frequency'"),
        ({"balance": "median_frequency", "loss": "dice_loss"}, "no loss takes a weight for each"),
        (
            {"balance": "median_frequency", "loss_arguments": {"weight": [1.0] * 8}},
            "no loss takes a weight for each class, as cross_entropy does, that is not given",
        ),
    ],
)
def test_balances_that_are_none(settings, message):
    with pytest.raises(ArgumentError, match=message):
        Recipe(**settings)
