"""Building and running graphs: values, gradients, lifetimes, errors."""

from __future__ import annotations

import dataclasses
import pickle
import weakref

import numpy as np
import pytest

import numseg as ns
from numseg.graph import Builder, Graph, Value, he_normal, ones, zeros
from numseg.graph.node import seed_from
from numseg.operator import Operator

rng = np.random.default_rng(0)


def small() -> Graph:
    """conv, relu, pool."""
    net = Graph.build()
    x = net.input("x")
    w = net.param("conv.weight", (4, 3, 3, 3), he_normal)
    b = net.param("conv.bias", (4,), zeros)
    h = net.add(ns.conv2d, x, w, b, padding=1, name="conv")
    return net.output(net.add(ns.max_pool2d, net.add(ns.relu, h, name="relu"), 2, name="pool"))


def scaled(net: Builder, x: Value, name: str) -> Value:
    """x times a parameter of one number: its gradient is the parameter times grad_y."""
    return net.add(ns.conv2d, x, net.param(name, (1, 1, 1, 1), ones))


def number(value: float) -> np.ndarray:
    return np.full((1, 1, 1, 1), value, np.float32)


image = np.ones((1, 3, 4, 4), np.float32)


# -- values and gradients -----------------------------------------------------------------------


def test_a_graph_is_its_operators_called_one_by_one():
    graph = small()
    params = graph.init(seed=3)
    x = rng.normal(size=(2, 3, 6, 6)).astype(np.float32)
    h, conv = ns.conv2d.forward(x, params["conv.weight"], params["conv.bias"], padding=1)
    h, relu = ns.relu.forward(h)
    expected, pool = ns.max_pool2d.forward(h, 2)
    grad_y = rng.normal(size=expected.shape).astype(np.float32)
    grads = ns.conv2d.backward(conv, *ns.relu.backward(relu, *ns.max_pool2d.backward(pool, grad_y)))

    np.testing.assert_array_equal(graph.run(params, x), expected)
    y, tape = graph.forward(params, x)
    np.testing.assert_array_equal(y, expected)
    found = graph.backward(tape, grad_y)
    assert list(found) == ["conv.weight", "conv.bias", "x"]
    for name, grad in zip(("x", "conv.weight", "conv.bias"), grads, strict=True):
        np.testing.assert_array_equal(found[name], grad)


def test_only_what_is_needed_is_computed():
    graph = small()
    y, tape = graph.forward(graph.init(), image)
    assert graph.trainable == ("conv.weight", "conv.bias")
    assert list(graph.backward(tape, y, needs=["conv.bias"])) == ["conv.bias"]
    assert graph.backward(tape, y, needs=[]) == {}


def test_fan_out_adds_gradients():
    # y = relu(x) + x: the gradient is 2 where x > 0, else 1
    net = Graph.build()
    x = net.input("x")
    graph = net.output(net.add(ns.add, net.add(ns.relu, x), x))
    y, tape = graph.forward({}, np.array([-3.0, 5.0]))
    np.testing.assert_array_equal(y, [-3.0, 10.0])
    np.testing.assert_array_equal(graph.backward(tape, np.ones(2))["x"], [1.0, 2.0])


def test_fan_out_adds_from_the_last_reader_to_the_first():
    # gradients 1, 1e8 and -1e8 in the order of the readers. From the last to the first
    # (-1e8 + 1e8) + 1 = 1; in float32 1e8 + 1 = 1e8, so from the first to the last gives 0
    net = Graph.build()
    x = net.input("x")
    a, b, c = (scaled(net, x, name) for name in "abc")
    graph = net.output(net.add(ns.add, net.add(ns.add, a, b), c))
    params = {"a": number(1), "b": number(1e8), "c": number(-1e8)}
    _, tape = graph.forward(params, number(1))
    assert graph.backward(tape, number(1))["x"] == 1.0


def test_a_value_read_twice_by_one_node():
    # z = x + x
    net = Graph.build()
    x = net.input("x")
    graph = net.output(net.add(ns.add, x, x))
    _, tape = graph.forward({}, np.ones(3))
    np.testing.assert_array_equal(graph.backward(tape, np.full(3, 2.0))["x"], [4.0, 4.0, 4.0])


def test_a_parameter_used_twice_adds_gradients():
    # y = w (w x) = w^2 x, so dy/dw = 2 w x = 2 * 3 * 5 and dy/dx = w^2
    net = Graph.build()
    x, w = net.input("x"), net.param("w", (1, 1, 1, 1), ones)
    graph = net.output(net.add(ns.conv2d, net.add(ns.conv2d, x, w), w))
    y, tape = graph.forward({"w": number(3)}, number(5))
    assert y == 45.0
    grads = graph.backward(tape, number(1))
    assert grads["w"] == 30.0
    assert grads["x"] == 9.0


def test_a_sequence_of_arrays_some_of_them_without_a_gradient():
    net = Graph.build()
    x, w = net.input("x"), net.param("w", (1, 1, 1, 1), ones)
    graph = net.output(net.add(ns.concat, [x, net.add(ns.conv2d, x, w)]))
    y, tape = graph.forward({"w": number(2)}, number(5))
    np.testing.assert_array_equal(y.ravel(), [5.0, 10.0])
    grad_y = np.array([1.0, 10.0], np.float32).reshape(1, 2, 1, 1)
    assert graph.backward(tape, grad_y, needs=["w"]) == {"w": 50.0}  # grad_y[1] * x
    assert graph.backward(tape, grad_y, needs=["x"]) == {"x": 21.0}  # grad_y[0] + 2 grad_y[1]


def test_several_results_and_several_outputs():
    net = Graph.build()
    values, indices = net.add(ns.max_pool2d, net.input("x"), 2, return_indices=True, results=2)
    graph = net.output(net.add(ns.relu, values), indices)
    x = np.arange(4.0).reshape(1, 1, 2, 2)
    y, where = graph.run({}, x)
    assert y == 3.0
    assert where == 3
    _, tape = graph.forward({}, x)
    grads = graph.backward(tape, (np.ones((1, 1, 1, 1)), None))
    np.testing.assert_array_equal(grads["x"].ravel(), [0, 0, 0, 1])
    with pytest.raises(ns.ArgumentError, match="output 1 has no gradient"):
        graph.backward(tape, (y, where))
    with pytest.raises(ns.ArgumentError, match="output 0 needs a gradient"):
        graph.backward(tape, (None, None))


def test_an_attribute_may_be_the_size_of_a_value():
    net = Graph.build()
    x = net.input("x")
    pooled = net.add(ns.max_pool2d, x, (2, 3))
    graph = net.output(net.add(ns.center_crop, x, pooled.size))
    y = graph.run({}, np.arange(36.0).reshape(1, 1, 6, 6))
    # 3 x 2 from the middle: rows (6 - 3) // 2 = 1 to 3, columns 2 and 3
    np.testing.assert_array_equal(y[0, 0], [[8, 9], [14, 15], [20, 21]])


def test_a_tape_serves_any_number_of_gradients():
    graph = small()
    y, tape = graph.forward(graph.init(), image)
    first, second = graph.backward(tape, y), graph.backward(tape, y)
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_a_graph_by_the_definitions():
    graph = small()
    params = {name: np.round(4 * array) for name, array in graph.init(seed=1).items()}
    x = rng.integers(-3, 4, (1, 3, 4, 4)).astype(np.float32)
    with ns.use("reference"):
        y, tape = graph.forward(params, x)
        by_definition = graph.backward(tape, y)
    z, tape = graph.forward(params, x)
    np.testing.assert_array_equal(y, z)
    fast = graph.backward(tape, z)
    for name, grad in by_definition.items():
        np.testing.assert_array_equal(fast[name], grad)


# -- training and inference ---------------------------------------------------------------------


def normalised() -> Graph:
    net = Graph.build()
    h = net.add(
        ns.batch_norm,
        net.input("x"),
        net.param("bn.running_mean", (1,), zeros),
        net.param("bn.running_var", (1,), ones),
        net.param("bn.weight", (1,), ones),
        net.param("bn.bias", (1,), zeros),
        training=net.training,
        eps=0.0,
        name="bn",
    )
    return net.output(h)


def test_training_is_an_attribute_of_the_run():
    graph = normalised()
    params, x = graph.init(dtype=np.float64), np.array([[1.0], [3.0]])
    np.testing.assert_array_equal(graph.run(params, x), x)  # by mean 0 and variance 1
    y, tape = graph.forward(params, x)
    np.testing.assert_array_equal(y.ravel(), [-1.0, 1.0])  # by mean 2 and variance 1
    assert sorted(tape.updates) == ["bn.running_mean", "bn.running_var"]
    # momentum 0.1: 0.9 * 0 + 0.1 * 2, and 0.9 * 1 + 0.1 * 2 (unbiased: (1 + 1) / 1)
    np.testing.assert_allclose(tape.updates["bn.running_mean"], [0.2], rtol=1e-15)
    np.testing.assert_allclose(tape.updates["bn.running_var"], [1.1], rtol=1e-15)
    np.testing.assert_array_equal(params["bn.running_mean"], [0.0])


def test_no_state_changes_outside_training():
    graph = normalised()
    x = np.array([[1.0], [3.0]], np.float32)
    y, tape = graph.forward(graph.init(), x, training=False)
    np.testing.assert_array_equal(y, x)
    assert tape.updates == {}


def test_state_has_no_gradient():
    graph = normalised()
    assert graph.trainable == ("bn.weight", "bn.bias")
    assert graph.differentiable == ("bn.weight", "bn.bias", "x")


def test_state_belongs_to_one_node():
    net = Graph.build()
    x = net.input("x")
    mean, var = net.param("mean", (1,), zeros), net.param("var", (1,), ones)
    for _ in range(2):
        x = net.add(ns.batch_norm, x, mean, var, training=net.training)
    with pytest.raises(ns.ArgumentError, match="batch_norm1 and batch_norm2 both update mean"):
        net.output(x)


def test_norms_that_are_never_in_training_may_share_their_state():
    net = Graph.build()
    x = net.input("x")
    mean, var = net.param("mean", (1,), zeros), net.param("var", (1,), ones)
    for _ in range(2):
        x = net.add(ns.batch_norm, x, mean, var, training=False)
    graph = net.output(x)
    _, tape = graph.forward(graph.init(), np.array([[1.0], [3.0]], np.float32))
    assert tape.updates == {}


def test_a_loss_may_be_part_of_the_graph():
    net = Graph.build()
    scores = scaled(net, net.input("x"), "w")
    loss = net.add(ns.cross_entropy, net.add(ns.concat, [scores, scores]), net.input("target"))
    graph = net.output(loss)
    assert graph.differentiable == ("w", "x")
    # two equal scores: the loss is log 2, and the gradients of the two cancel
    y, tape = graph.forward({"w": number(1)}, number(7), np.array([[[1]]]))
    assert y == np.float32(np.log(2))
    assert graph.backward(tape, np.ones((), np.float32)) == {"w": 0.0, "x": 0.0}
    assert graph.shapes((1, 1, 2, 3), (1, 2, 3))["cross_entropy1"] == ()
    with pytest.raises(
        ns.ArgumentError, match=r"^cross_entropy1: cross_entropy: target has the la"
    ):
        graph.run({"w": number(1)}, number(7), np.array([[[2]]]))


def test_seeds_depend_on_the_run_the_step_and_the_node():
    net = Graph.build()
    h = net.input("x")
    dropped = [net.add(ns.dropout, h, seed=net.seed, training=net.training) for _ in range(2)]
    graph = net.output(*dropped)
    x = np.ones(200)

    def run(**mode):
        return np.stack(graph.forward({}, x, **mode)[0])

    first = run(seed=1, step=2)
    np.testing.assert_array_equal(first, run(seed=np.int64(1), step=np.uint8(2)))
    assert not np.array_equal(first[0], first[1])  # two nodes
    assert not np.array_equal(first[0], run(seed=1, step=3)[0])
    assert not np.array_equal(first[0], run(seed=2, step=2)[0])
    np.testing.assert_array_equal(graph.run({}, x)[0], x)
    _, tape = graph.forward({}, x, seed=1, step=2)
    grads = graph.backward(tape, (np.ones(200), np.ones(200)))
    np.testing.assert_array_equal(grads["x"], first.sum(0))  # the same mask


# -- lifetimes ----------------------------------------------------------------------------------


class Watched(Operator):
    """relu that counts how many of its results are alive when it is called."""

    def __init__(self) -> None:
        vars(self).update(vars(ns.relu))
        self.results: list[weakref.ref] = []
        self.alive: list[int] = []

    def __call__(self, *args, **kwargs):
        self.alive.append(sum(result() is not None for result in self.results))
        y = super().__call__(*args, **kwargs)
        self.results.append(weakref.ref(y))
        return y


def test_activations_are_freed_when_the_last_reader_is_done():
    relu = Watched()
    net = Graph.build()
    h = net.input("x")
    for _ in range(5):
        h = net.add(relu, h)
    net.output(h).run({}, np.ones(4))
    assert relu.alive == [0, 1, 1, 1, 1]  # each call finds its own input and nothing older


def test_an_activation_that_is_read_late_lives_as_long():
    relu = Watched()
    net = Graph.build()
    a = net.add(relu, net.input("x"))
    b = net.add(relu, net.add(relu, a))
    c = net.add(relu, net.add(ns.add, b, a))
    net.output(net.add(relu, c)).run({}, np.ones(4))
    # the second call finds a; the third a and its own input; after add, neither is left
    assert relu.alive == [0, 1, 2, 0, 1]


def test_results_that_nobody_reads_are_freed():
    net = Graph.build()
    values, _ = net.add(ns.max_pool2d, net.input("x"), 1, return_indices=True, results=2)
    graph = net.output(net.add(ns.relu, values))
    assert set(graph.last_reads["max_pool2d1"]) == {Value("x"), Value("max_pool2d1", 1)}
    assert graph.last_reads["relu1"] == (Value("max_pool2d1"),)


# -- building -----------------------------------------------------------------------------------


def test_a_graph_cannot_be_changed():
    graph = small()
    with pytest.raises(dataclasses.FrozenInstanceError):
        graph.nodes = ()
    with pytest.raises(dataclasses.FrozenInstanceError):
        graph.nodes[0].name = "other"
    assert isinstance(graph.nodes, tuple)
    hash(graph.nodes[0])  # nothing in a node can change


def test_a_builder_that_goes_on_does_not_change_the_graph():
    net = Graph.build()
    stride = [2, 2]
    h = net.add(ns.max_pool2d, net.input("x"), 2, stride=stride)
    graph = net.output(h)
    stride[0] = 1
    net.output(net.add(ns.relu, h))
    assert [node.name for node in graph.nodes] == ["max_pool2d1"]
    assert graph.run({}, np.ones((1, 1, 4, 4))).shape == (1, 1, 2, 2)


def test_a_graph_survives_a_pickle():
    graph = pickle.loads(pickle.dumps(small()))
    np.testing.assert_array_equal(
        graph.run(graph.init(), image), small().run(small().init(), image)
    )


def test_a_part_of_a_graph():
    part = small().at("conv")
    assert [node.name for node in part.nodes] == ["conv"]
    params = part.init()
    conv = ns.conv2d(image, params["conv.weight"], params["conv.bias"], padding=1)
    np.testing.assert_array_equal(part.run(params, image), conv)
    relu, pool = small().at("relu", "pool").run(params, image)
    assert relu.shape == (1, 4, 4, 4)
    assert pool.shape == (1, 4, 2, 2)
    with pytest.raises(ns.ArgumentError, match="must be one of 'conv', 'relu', 'pool'"):
        small().at("convolution")


def test_a_constant_is_not_trained():
    net = Graph.build()
    x = net.input("x")
    kept = net.add(ns.conv2d, x, net.param("kept", (1, 1, 1, 1), ones, trainable=False))
    graph = net.output(scaled(net, kept, "learned"))
    assert graph.trainable == ("learned",)
    assert graph.differentiable == ("kept", "learned", "x")
    params = {"kept": number(3), "learned": number(5)}
    y, tape = graph.forward(params, number(2))
    assert y.item() == 30
    assert graph.backward(tape, number(1), needs=graph.trainable) == {"learned": number(6)}
    assert graph.backward(tape, number(1), needs=["kept"]) == {"kept": number(10)}
    summary = graph.summary((1, 1, 1, 1))
    assert (summary.parameters, summary.state) == (1, 1)
    with pytest.raises(ns.ArgumentError, match="trainable must be True or False, got 1"):
        Graph.build().param("w", (1,), ones, trainable=1)


def test_names_are_unique():
    net = Graph.build()
    x = net.input("x")
    for again in (
        lambda: net.input("x"),
        lambda: net.param("x", (1,), zeros),
        lambda: net.add(ns.relu, x, name="x"),
    ):
        with pytest.raises(ns.ArgumentError, match="the name 'x' is taken"):
            again()
    with pytest.raises(ns.ArgumentTypeError, match="name must be a word, got 3"):
        net.input(3)


def test_values_of_another_builder_are_refused():
    x = Graph.build().input("x")
    net = Graph.build()
    own = net.input("x")
    with pytest.raises(ns.ArgumentTypeError, match=r"relu1: relu: x must be a value of this"):
        net.add(ns.relu, x)
    with pytest.raises(ns.ArgumentTypeError, match=r"xs\[1\] must be a value of this builder"):
        net.add(ns.concat, [own, x])
    with pytest.raises(ns.ArgumentTypeError, match="size must be a value of this builder"):
        net.add(ns.center_crop, own, x.size)
    with pytest.raises(ns.ArgumentTypeError, match="output must be a value of this builder"):
        net.output(x)


def test_arrays_are_no_values():
    net = Graph.build()
    x = net.input("x")
    with pytest.raises(ns.ArgumentTypeError, match="x must be a value of this builder, got array"):
        net.add(ns.relu, np.ones(3))
    with pytest.raises(ns.ArgumentTypeError, match="kernel_size is not an array argument"):
        net.add(ns.max_pool2d, x, x)


def test_wrong_arguments_are_found_when_the_node_is_added():
    net = Graph.build()
    x = net.input("x")
    with pytest.raises(ns.ArgumentTypeError, match=r"p: max_pool2d: .*'kernel_size'"):
        net.add(ns.max_pool2d, x, name="p")
    with pytest.raises(ns.ArgumentTypeError, match=r"relu1: relu: .*'slope'"):
        net.add(ns.relu, x, slope=1)
    with pytest.raises(ns.ArgumentTypeError, match="must be a numseg operator"):
        net.add(np.tanh, x)
    net.add(ns.relu, x, name="p")  # a failed addition leaves nothing behind, its name neither


def test_what_no_output_needs_is_an_error():
    net = Graph.build()
    x = net.input("x")
    net.param("w", (1,), zeros)
    net.add(ns.relu, x, name="forgotten")
    with pytest.raises(ns.ArgumentError, match="no output depends on forgotten, w"):
        net.output(x)
    with pytest.raises(ns.ArgumentError, match="a graph needs an output"):
        net.output()


def test_shapes_are_float32_or_int64_as_the_operators_want():
    net = Graph.build()
    y = net.add(ns.max_unpool2d, net.input("values"), net.input("indices"), 2)
    graph = net.output(y)
    assert graph.shapes((1, 1, 2, 2), (1, 1, 2, 2)) == {"max_unpool2d1": (1, 1, 4, 4)}
    wide = ns.Spec((1, 1, 2, 2), np.dtype(np.float64))
    assert graph.plans(wide, (1, 1, 2, 2))["max_unpool2d1"].outputs[0].dtype == np.float64


# -- errors of a run ----------------------------------------------------------------------------


def test_parameters_are_checked():
    graph = small()
    good = graph.init()
    with pytest.raises(ns.ArgumentError, match=r"^missing parameter conv.weight \(4, 3, 3, 3\)$"):
        graph.run({"conv.bias": good["conv.bias"]}, image)
    with pytest.raises(ns.ArgumentError, match=r"^unexpected parameter head.bias \(7,\)$"):
        graph.run({**good, "head.bias": np.ones(7)}, image)
    message = r"^parameter conv.bias has shape \(5,\), expected \(4,\)$"
    with pytest.raises(ns.ArgumentError, match=message):
        graph.forward({**good, "conv.bias": np.ones(5)}, image)
    with pytest.raises(ns.MismatchError) as error:
        graph.run({name: np.ones(1) for name in "abc"}, image)
    assert str(error.value).splitlines() == [
        "2 parameters expected, 3 given: 2 missing, 3 unexpected:",
        "  missing parameter conv.weight (4, 3, 3, 3);",
        "  missing parameter conv.bias (4,);",
        "  unexpected parameter a (1,);",
        "  unexpected parameter b (1,);",
        "  unexpected parameter c (1,)",
    ]


def test_errors_name_the_node():
    graph = small()
    with pytest.raises(ns.ArgumentError, match=r"^conv: conv2d: .* x has 2$"):
        graph.run(graph.init(), image[:, :2])
    with pytest.raises(ns.ArgumentTypeError, match=r"^conv: conv2d: weight has dtype float64"):
        graph.run(graph.init(dtype=np.float64), image)
    with pytest.raises(
        ns.ArgumentError, match=r"^x has 1 rows, but .* 2 at least \(pool: max_pool2d: the"
    ):
        graph.shapes((1, 3, 1, 4))
    y, tape = graph.forward(graph.init(), image)
    with pytest.raises(ns.ArgumentError, match=r"^pool: max_pool2d.backward: grad_y has shape"):
        graph.backward(tape, y[..., :1])


def test_wrong_inputs():
    graph = small()
    with pytest.raises(ns.ArgumentError, match=r"the graph takes 1 input \(x\), got 2"):
        graph.run(graph.init(), image, image)
    with pytest.raises(ns.ArgumentTypeError, match="x must be an array, got list"):
        graph.run(graph.init(), [1.0])
    with pytest.raises(ns.ArgumentTypeError, match="x must be a shape, got 3"):
        graph.shapes(3)
    with pytest.raises(ns.ArgumentError, match=r"the graph takes 1 input \(x\), got 0"):
        graph.summary()


def test_wrong_backward():
    graph = small()
    y, tape = graph.forward(graph.init(), image)
    with pytest.raises(ns.ArgumentError, match="tape is from another graph"):
        small().backward(tape, y)
    with pytest.raises(ns.ArgumentError, match=r"needs must be one of 'conv.weight', 'conv.bias'"):
        graph.backward(tape, y, needs=["conv"])
    with pytest.raises(ns.ArgumentError, match="grad_y has 2 arrays, the graph has 1 output"):
        graph.backward(tape, (y, y))
    with pytest.raises(ns.ArgumentError, match=r"seed must be an integer, got 0\.5"):
        graph.forward(graph.init(), image, seed=0.5)


def test_an_operator_with_other_results_than_the_graph_has():
    net = Graph.build()
    graph = net.output(net.add(ns.max_pool2d, net.input("x"), 2, return_indices=True))
    with pytest.raises(ns.ArgumentError, match=r"^max_pool2d1: gives 2 results, .* results=1"):
        graph.run({}, np.ones((1, 1, 2, 2)))


# -- parameters ---------------------------------------------------------------------------------


def test_a_parameter_depends_on_the_seed_and_its_name_only():
    def weights(names: str, seed: int) -> dict[str, np.ndarray]:
        net = Graph.build()
        x = net.input("x")
        for name in names:
            x = net.add(ns.conv2d, x, net.param(name, (2, 2, 1, 1), he_normal))
        return net.output(x).init(seed)

    first = weights("ab", 0)
    np.testing.assert_array_equal(weights("cba", 0)["a"], first["a"])
    assert not np.array_equal(first["a"], first["b"])
    assert not np.array_equal(weights("ab", 1)["a"], first["a"])
    assert first["a"].dtype == np.float32
    # the same on every machine and with every version
    assert seed_from(0, "a") == 8_898_938_347_678_966_206


def test_he_normal_has_variance_two_over_the_fan_in():
    x = he_normal((500, 10, 3, 3), np.random.default_rng(0))
    # 45,000 numbers: the relative standard error of a variance is sqrt(2 / 45,000) = 0.7 %
    assert x.var() == pytest.approx(2 / 90, rel=0.03)
    assert x.mean() == pytest.approx(0, abs=4 * np.sqrt(2 / 90 / 45_000))
    up = he_normal((10, 500, 2, 2), np.random.default_rng(0), fan_in=10)
    assert up.var() == pytest.approx(2 / 10, rel=0.05)


def test_a_share_of_a_size():
    """(n - 1) * factor + 1: 33 and 9 pixels are 25 and 7 at three quarters."""
    net = Graph.build()
    x = net.input("x")
    y = net.add(ns.upsample_nearest2d, x, x.size.scaled(0.75))
    graph = net.output(y)
    assert graph.shapes((1, 1, 33, 9))["upsample_nearest2d1"] == (1, 1, 25, 7)
    assert x.size.scaled(0.5).of((4, 7)) == (2, 4)  # rounded down: 2.5, 4
    assert x.size.scaled(0.5).scaled(0.5).of((1, 1, 33, 0)) == (9, 0)
