"""torchvision's state dicts to graphs and back: names, and what only one side has."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns
from numseg.interop import torchvision, weights

SMALL = {"width": 4, "classes": 3}


def saved(path, **arguments) -> dict[str, np.ndarray]:
    """A state dict as torchvision's model of this size has it, in a file."""
    graph = ns.nets.fcn_resnet50(**SMALL, **arguments)
    params = graph.init(seed=1)
    weights.save(path, torchvision.state_dict(graph, params))
    return params


def test_every_network_of_torchvision_s_is_one_of_ours():
    assert set(torchvision.NETWORKS) <= set(ns.nets.__all__)


def test_a_model_s_file(tmp_path):
    params = saved(tmp_path / "fcn.pth")
    graph, loaded = torchvision.load("fcn_resnet50", tmp_path / "fcn.pth", **SMALL)
    assert list(loaded) == [param.name for param in graph.params]
    for name, array in params.items():
        np.testing.assert_array_equal(loaded[name], array, strict=True)


def test_state_dict_counts_batches_as_pytorch_does():
    graph = ns.nets.fcn_resnet50(**SMALL)
    found = torchvision.state_dict(graph, graph.init())
    counters = [name for name in found if name.endswith("num_batches_tracked")]
    assert "backbone.bn1.num_batches_tracked" in counters
    assert len(counters) == 54  # 53 of ResNet-50 and one of the head
    assert found[counters[0]].dtype == np.int64
    assert found[counters[0]].shape == ()
    assert set(found) - set(counters) == {param.name for param in graph.params}
    with pytest.raises(ns.MismatchError, match="unexpected parameter w"):
        torchvision.state_dict(graph, graph.init() | {"w": np.ones(1)})


def test_an_auxiliary_head_is_dropped_where_the_graph_has_none(tmp_path):
    path = tmp_path / "fcn.pth"
    params = saved(path, aux=True)
    assert "aux_classifier.0.weight" in params
    _, plain = torchvision.load("fcn_resnet50", path, **SMALL)
    assert set(params) - set(plain) == {n for n in params if n.startswith("aux_classifier.")}
    _, whole = torchvision.load("fcn_resnet50", path, **SMALL, aux=True)
    np.testing.assert_array_equal(
        whole["aux_classifier.0.weight"], params["aux_classifier.0.weight"]
    )
    with pytest.raises(ns.MismatchError, match=r"unexpected parameter aux_classifier\.4\.bias"):
        torchvision.load("fcn_resnet50", path, drop=(), **SMALL)
    saved(path)
    with pytest.raises(ns.MismatchError, match=r"missing parameter aux_classifier\.4\.bias"):
        torchvision.load("fcn_resnet50", path, **SMALL, aux=True)


def test_another_network_s_file(tmp_path):
    saved(tmp_path / "fcn.pth")
    with pytest.raises(ns.MismatchError, match=r"\d+ missing, \d+ unexpected"):
        torchvision.load("deeplabv3_resnet50", tmp_path / "fcn.pth", **SMALL)
    with pytest.raises(
        ns.MismatchError, match=r"classifier.4.weight has shape \(3, .*expected \(5,"
    ):
        torchvision.load("fcn_resnet50", tmp_path / "fcn.pth", width=4, classes=5)
    with pytest.raises(ns.ArgumentError, match=r"name must be one of .*'fcn_resnet50'.*got 'unet'"):
        torchvision.load("unet", tmp_path / "fcn.pth")


def test_colours_are_normalised():
    """The means become 0, and a deviation more becomes 1."""
    net = ns.Graph.build()
    x = net.input("x")
    w = net.param("w", (1, 3, 1, 1), ns.graph.ones)
    graph = net.output(net.add(ns.conv2d, x, w), x)
    params = graph.init()
    whole, more = torchvision.normalised(graph, params)
    assert [param.name for param in whole.params if param.trainable] == ["w"]
    assert set(whole.init()) == set(more) == {"w", "normalise.weight", "normalise.bias"}
    mean, std = np.float32(torchvision.MEAN), np.float32(torchvision.STD)
    colours = np.stack([mean, mean + std, mean - 2 * std], 1).reshape(1, 3, 1, 3)
    summed, given = whole.run(more, colours)
    np.testing.assert_allclose(summed[0, 0, 0], [0, 3, -6], atol=3e-6)
    np.testing.assert_array_equal(given, colours)  # an output that is the input stays so
    np.testing.assert_array_equal(whole.init()["normalise.bias"], more["normalise.bias"])


def test_published_names_of_densenet():
    """densenet121-a639ec97.pth says norm.1 where torchvision now says norm1."""
    net = ns.Graph.build()
    x, names = net.input("x"), ("norm1.weight", "conv2.weight")
    start = "features.denseblock1.denselayer12"
    for name in names:
        x = net.add(ns.multiply, x, net.param(f"{start}.{name}", (1,), ns.graph.ones))
    graph = net.output(x)
    old = {f"{start}.norm.1.weight": np.ones(1), f"{start}.conv.2.weight": np.ones(1)}
    assert list(torchvision.match(graph, old)) == [f"{start}.{name}" for name in names]
    with pytest.raises(ns.MismatchError, match=r"unexpected parameter features\.norm\.1\.weight"):
        torchvision.match(graph, old | {"features.norm.1.weight": np.ones(1)})
