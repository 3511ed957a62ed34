"""What nodes mean, by values that NumPy gives; and models that run at every size."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from models import model, node, onnx
from onnx.defs import onnx_opset_version

import numseg as ns
from numseg.errors import ArgumentError, FileError
from numseg.graph import digest
from numseg.interop.onnx import exported, load

X = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5) - 40
V = np.arange(3 * 4, dtype=np.float32).reshape(3, 4) - 5
NEWEST = onnx_opset_version()


def needs(opset: int) -> None:
    if opset > NEWEST:
        pytest.skip(f"the onnx package knows opsets to {NEWEST}, this one is of {opset}")


def run(nodes: Any, x: Any, opset: int = 22, **constants: Any) -> Any:
    """What a model makes of an array whose sizes it does not know, and of one whose it does; both
    graphs survive being written and read again."""
    nodes = nodes if isinstance(nodes, list) else [nodes]
    found = []
    fixed = any(a.name == "transA" for a in nodes[0].attribute)  # then the rows are a weight's
    for shape in (x.shape if fixed else ["n", *x.shape[1:]], x.shape):
        graph, params = load(model(nodes, {"x": shape}, opset=opset, **constants))
        with ns.use("reference"):
            found.append(graph.run(params, x))
    np.testing.assert_array_equal(found[0], found[1])
    again, arrays = load(exported(graph, params, [x]))  # some of it may need a newer opset
    third, _ = load(exported(again, arrays, [x]))
    assert digest(third) == digest(again)
    with ns.use("reference"):
        np.testing.assert_array_equal(again.run(arrays, x), found[0])
    return found[0]


@pytest.mark.parametrize(
    ("made", "constants", "expected"),
    [
        (node("Slice", "x a b c", "y"), {"a": [1], "b": [3], "c": [1]}, V[:, 1:3]),
        (node("Slice", "x a b c", "y"), {"a": [-2], "b": [9**9], "c": [0]}, V[-2:]),
        (node("Slice", "x a b c d", "y"), {"a": [0], "b": [4], "c": [-1], "d": [3]}, V[:, ::3]),
        (node("Gather", "x a", "y", axis=1), {"a": [3, 0, -1]}, V[:, [3, 0, -1]]),
        (node("Gather", "x a", "y", axis=0), {"a": 1}, V[1]),
        (node("Unsqueeze", "x a", "y"), {"a": [0, -1]}, V[None, :, :, None]),
        (node("Reshape", "x a", "y"), {"a": [0, 2, -1]}, V.reshape(3, 2, 2)),
        (node("Flatten", "x", "y", axis=0), {}, V.reshape(1, 12)),
        (node("Flatten", "x", "y", axis=-1), {}, V),
        (node("Tile", "x a", "y"), {"a": [2, 3]}, np.tile(V, (2, 3))),
        (node("Pad", "x a b", "y"), {"a": [1, 0, 0, 2], "b": np.float32(7)},
         np.pad(V, ((1, 0), (0, 2)), constant_values=7)),
        (node("Pad", "x a", "y", mode="edge"), {"a": [0, 1, 1, 1]},
         np.pad(V, ((0, 1), (1, 1)), "edge")),
        (node("Neg", "x", "y"), {}, -V),
        (node("Pow", "x a", "y"), {"a": np.float32(2)}, V * V),
        (node("Max", "x a b", "y"), {"a": np.float32([0]), "b": np.float32([[2], [-3], [1]])},
         np.maximum(np.maximum(V, 0), [[2], [-3], [1]])),
        (node("Mean", "x a", "y"), {"a": np.float32([2])}, (V + 2) / 2),
        (node("Sub", "a x", "y"), {"a": np.float32([2])}, 2 - V),
        (node("ReduceSumSquare", "x a", "y", keepdims=0), {"a": [-1]}, (V * V).sum(1)),
        (node("ReduceL1", "x a", "y"), {"a": [0]}, np.abs(V).sum(0, keepdims=True)),
        (node("ReduceL2", "x", "y", keepdims=0), {}, np.sqrt((V * V).sum())),
        (node("Gemm", "x a b", "y", alpha=2.0, beta=3.0), {
            "a": np.arange(8, dtype=np.float32).reshape(4, 2), "b": np.float32([1, -1])},
         2 * V @ np.arange(8).reshape(4, 2) + [3, -3]),
        (node("Gemm", "x a b", "y", transA=1, transB=1), {
            "a": np.arange(6, dtype=np.float32).reshape(2, 3),
            "b": np.float32([[1], [2], [3], [4]])},
         V.T @ np.arange(6).reshape(2, 3).T + [[1], [2], [3], [4]]),
        (node("MatMul", "x a", "y"), {"a": np.eye(4, dtype=np.float32)[::-1].copy()}, V[:, ::-1]),
        (node("Transpose", "x", "y"), {}, V.T),
        (node("ReduceProd", "x a", "y", keepdims=0), {"a": [-1]}, V.prod(1)),
        (node("ArgMax", "x", "y", axis=1), {}, [[3]] * 3),
        (node("ArgMin", "x", "y", keepdims=0), {}, [0] * 4),
        (node("ReduceLogSumExp", "x a", "y"), {"a": [1]},
         np.log(np.exp(np.float64(V)).sum(1, keepdims=True))),
        (node("ReduceLogSumExp", "x", "y", keepdims=0), {}, np.log(np.exp(np.float64(V)).sum())),
        (node("Floor", "x", "y"), {}, V),
        (node("Sign", "x", "y"), {}, np.sign(V)),
        (node("Gather", "x a", "y", axis=1), {"a": [[3, 0], [-1, 2]]}, V[:, [[3, 0], [-1, 2]]]),
        (node("Selu", "x", "y", alpha=2.0, gamma=3.0), {},
         3 * np.where(V > 0, V, 2 * np.expm1(np.minimum(V, 0)))),
        (node("PRelu", "x a", "y"), {"a": np.float32([1, 2, 0, -1])},
         np.where(V > 0, V, V * [1, 2, 0, -1])),
        (node("Pow", "x a", "y"), {"a": [3]}, V**3),
        (node("CastLike", "x a", "y"), {"a": np.float32(1)}, V),
    ],
)  # fmt: skip
def test_nodes_of_matrices(made: Any, constants: dict[str, Any], expected: Any):
    y = run(made, V, **constants)
    if y.dtype == np.int64:
        np.testing.assert_array_equal(y, expected)
    else:
        np.testing.assert_allclose(y, np.asarray(expected, np.float32), rtol=2e-7)


W = np.float32([[1, np.nan, np.inf], [-np.inf, 0, 3]])
MASK = np.array([[True, False, True]])


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ([node("Greater", "x a", "c"), node("Cast", "c", "y", to=1)], W > 1),
        ([node("Less", "a x", "y")], W > 1),
        ([node("GreaterOrEqual", "x a", "c"), node("Not", "c", "y")], ~(W >= 1)),
        ([node("LessOrEqual", "x a", "c"), node("Where", "c x a", "y")], np.where(W <= 1, W, 1)),
        ([node("IsNaN", "x", "c"), node("Where", "c a x", "y")], np.where(np.isnan(W), 1, W)),
        ([node("IsInf", "x", "c", detect_negative=0), node("Where", "c a x", "y")],
         np.where(np.isposinf(W), 1, W)),
        ([node("IsInf", "x", "y")], np.isinf(W)),
        ([node("Where", "m x a", "y")], np.where(MASK, W, 1)),
        ([node("Where", "m x a", "p"), node("Where", "m a p", "y")], np.ones((2, 3))),
        ([node("Equal", "x a", "c"), node("Less", "x b", "d"), node("Or", "c d", "e"),
          node("And", "e m", "f"), node("Xor", "f c", "y")],
         (((W == 1) | (W < 0)) & MASK) ^ (W == 1)),
        ([node("Equal", "x a", "c"), node("Equal", "c m", "y")], (W == 1) == MASK),
        ([node("Cast", "x", "c", to=9), node("Where", "c a b", "y")], np.where(W != 0, 1, 0)),
        ([node("Cast", "x", "c", to=9), node("Cast", "c", "y", to=1)], W != 0),
        ([node("Cast", "x", "c", to=9), node("And", "c m", "y")], (W != 0) & MASK),
        ([node("Less", "x a", "c"), node("Transpose", "c", "t"), node("Unsqueeze", "t z", "u"),
          node("Cast", "u", "y", to=1)], (W < 1).T[None]),
        ([node("Less", "x a", "c"), node("Where", "c m c", "y")], np.where(W < 1, MASK, W < 1)),
        ([node("ThresholdedRelu", "x", "y", alpha=0.5)], np.where(W > 0.5, W, 0)),
    ],
)  # fmt: skip
def test_truth_values(nodes: Any, expected: Any):
    names = {name for made in nodes for name in made.input}
    how = {"a": np.float32(1), "b": np.float32([[0]]), "m": MASK, "z": [0]}
    y = run(nodes, W, **{name: value for name, value in how.items() if name in names})
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, np.asarray(expected, np.float32))


def test_what_a_threshold_is_read_as():
    nodes = [node("Greater", "x a", "c"), node("Cast", "c", "d", to=1), node("Mul", "x d", "y")]
    graph, params = load(model(nodes, {"x": ["n", 1, "h", "w"]}, a=np.float32(0.5)))
    assert [n.operator.__name__ for n in graph.nodes] == ["gt", "multiply"]
    assert graph.receptive_field("y", (1, 1, 8, 8)).size == (1, 1)
    again, _ = load(exported(graph, params, [(1, 1, None, None)]))
    assert digest(again) == digest(graph)


@pytest.mark.parametrize("size", [1, 2])
def test_a_branch_whose_condition_is_known(size: int):
    """As PyTorch writes a squeeze of an axis that may be longer."""

    def branch(*nodes: Any) -> Any:
        gives = [onnx.helper.make_empty_tensor_value_info(nodes[-1].output[0])]
        axes = onnx.numpy_helper.from_array(np.array([0]), f"{nodes[-1].output[0]}_axes")
        return onnx.helper.make_graph(list(nodes), "b", [], gives, [axes])

    nodes = [
        node("Shape", "x", "s", end=1), node("Equal", "s one", "c"), node("Abs", "x", "p"),
        node("If", "c", "r", then_branch=branch(node("Squeeze", "p a_axes", "a")),
             else_branch=branch(node("Neg", "p", "n"), node("Identity", "n", "b"))),
        node("Neg", "r", "y"),
    ]  # fmt: skip
    x = V[:size]
    made = model(nodes, {"x": [size, 4]}, one=[1])
    graph, params = load(made)
    expected = -np.abs(x[0]) if size == 1 else np.abs(x)
    np.testing.assert_array_equal(graph.run(params, x), expected)
    with pytest.raises(FileError, match="its condition depends on sizes: give shapes"):
        load(model(nodes, {"x": ["n", 4]}, one=[1]))


def test_suppression_of_constants():
    """Boxes 0 and 1 overlap by two thirds; the better one stays, where its score is above 0.3."""
    boxes = np.float32([[[0, 0, 1, 1], [0, 0.2, 1, 1.2], [0, 3, 1, 4]]])
    nodes = [node("NonMaxSuppression", "b s m i t", "k"), node("Cast", "k", "f", to=1),
             node("Add", "x f", "y")]  # fmt: skip
    how = {"b": boxes, "s": np.float32([[[0.5, 0.9, 0.4], [0.2, 0.1, 0.3]]]), "m": [3]}
    y = run(nodes, np.zeros((2, 3), np.float32), **how, i=np.float32([0.5]), t=np.float32([0.3]))
    assert y.tolist() == [[0, 0, 1], [0, 0, 2]]


def test_slices_of_images():
    how = {"a": [1, 1], "b": [4, 9], "c": [3, 2]}
    np.testing.assert_array_equal(run(node("Slice", "x a b c", "y"), X, **how), X[:, :, 1:, 1:4])
    how = {"a": [1, 0], "b": [3, 9], "c": [1, 3], "d": [1, 2]}
    np.testing.assert_array_equal(run(node("Slice", "x a b c d", "y"), X, **how), X[:, 1:3, :, ::2])


def test_splits():
    parts = [node("Split", "x", "p q", axis=3, num_outputs=2), node("Sub", "p r", "y"),
             node("Slice", "q a b c", "s"), node("Pad", "s e", "r")]  # fmt: skip
    parts = [parts[0], *parts[2:], parts[1]]
    y = run(parts, X, a=[0], b=[2], c=[3], e=[0, 0, 0, 0, 0, 0, 0, 1])
    np.testing.assert_array_equal(y, X[..., :3] - np.pad(X[..., 3:], [(0, 0)] * 3 + [(0, 1)]))


def test_softmax_before_opset_13_takes_all_axes_from_one_on():
    x = np.log(np.float32([[[1, 1], [2, 4]]]))
    np.testing.assert_allclose(run(node("Softmax", "x", "y"), x, 11), np.exp(x) / 8, rtol=1e-6)
    expected = [[[1 / 3, 1 / 5], [2 / 3, 4 / 5]]]
    y = run(node("Softmax", "x", "y", axis=1), x, 13)
    np.testing.assert_allclose(y, expected, rtol=1e-6)


def test_images_of_one_axis():
    x = np.float32([[[1, 2, 3, 4]]])
    w = np.float32([[[1, 10, 100]]])
    y = run(node("Conv", "x w", "y", pads=[1, 0], strides=[2]), x, w=w)
    np.testing.assert_array_equal(y, [[[210, 432]]])
    y = run(node("MaxPool", "x", "y", kernel_shape=[3]), x)
    np.testing.assert_array_equal(y, [[[3, 4]]])


def test_upsample_and_resize_of_opset_10_divide_positions():
    x = np.float32([[[[0, 3]]]])
    y = run(node("Upsample", "x s", "y", mode="linear"), x, 9, s=np.float32([1, 1, 1, 3]))
    np.testing.assert_allclose(y, [[[[0, 1, 2, 3, 3, 3]]]], rtol=1e-6)
    y = run(node("Resize", "x s", "y"), x, 10, s=np.float32([1, 1, 2, 1.5]))
    np.testing.assert_array_equal(y, [[[[0, 0, 3], [0, 0, 3]]]])


SHUFFLE = [
    node("Shape", "x", "s"),
    node("Slice", "s one four zero", "t"),  # of c, h, w
    node("Gather", "s i0", "n"),
    node("Div", "n two", "half"),
    node("Mul", "half two", "m"),
    node("Unsqueeze", "m zero", "m1"),
    node("Concat", "m1 t", "shape", axis=0),
    node("Reshape", "x shape", "y"),
]


def test_shape_arithmetic_runs_when_shapes_are_known():
    how = {"one": [1], "four": [4], "zero": [0], "i0": 0, "two": 2}
    graph, params = load(model(SHUFFLE, {"x": ["n", 3, "h", "w"]}, **how))
    for n, h, w in ((2, 4, 5), (4, 1, 7)):
        x = np.zeros((n, 3, h, w), np.float32)
        assert graph.run(params, x).shape == (n, 3, h, w)
    with pytest.raises(ArgumentError, match="y: reshape: shape is "):
        graph.run(params, np.zeros((3, 3, 4, 4), np.float32))  # 3 // 2 * 2 is 2
    again, _ = load(exported(graph, params, [(2, 3, None, None)]))
    assert digest(again) == digest(graph)
    assert pickle.loads(pickle.dumps(graph)).run(params, X).shape == X.shape
    known, _ = load(model(SHUFFLE, {"x": ["n", 3, "h", "w"]}, **how), shapes={"x": X.shape})
    assert dict(known.nodes[-1].attributes)["shape"] == X.shape


def test_a_value_s_size_in_another_s_resize():
    nodes = [
        node("MaxPool", "x", "p", kernel_shape=[2, 2], strides=[2, 2]),
        node("Shape", "x", "s", start=2),
        node("Shape", "p", "c", end=2),
        node("Concat", "c s", "z", axis=0),
        node("Resize", "p _ _ z", "y", mode="nearest", coordinate_transformation_mode="asymmetric",
             nearest_mode="floor"),
    ]  # fmt: skip
    graph, params = load(model(nodes, {"x": ["n", 1, "h", "w"]}))
    for h, w in ((4, 6), (5, 7)):
        x = np.arange(h * w, dtype=np.float32).reshape(1, 1, h, w)
        y = graph.run(params, x)
        assert y.shape == x.shape
        assert y[0, 0, 0, 0] == x[0, 0, 1, 1]
    assert str(graph.legal_inputs((1, 1, None, None))) == "rows and columns: 2 or more"
    again, _ = load(exported(graph, params, [(1, 1, None, None)]))
    assert digest(again) == digest(graph)


def test_constants_and_outputs_that_are_asked_for():
    made = model([node("Relu", "x", "a"), node("Add", "a b", "y")], {"x": [2], "b": [2]})
    one = np.ones(2, np.float32)
    graph, params = load(made, constants={"b": one})
    assert graph.run(params, -one).tolist() == [1, 1]
    graph, params = load(made, outputs=["a"])
    assert graph.run(params, -one).tolist() == [0, 0]
    with pytest.raises(ArgumentError, match="has no input 'c'"):
        load(made, constants={"c": one})
    with pytest.raises(ArgumentError, match=r"x has shape \(2,\), not \(3,\)"):
        load(made, shapes={"x": (3,)})


def test_what_depends_on_no_numbers_is_no_graph():
    with pytest.raises(FileError, match="output y does not depend on the numbers of an input"):
        load(model([node("Shape", "x", "y")], {"x": ["n"]}))


def test_parameters_have_the_model_s_names():
    w, b = np.ones((2, 3, 1, 1), np.float32), np.zeros(2, np.float32)
    graph, params = load(model([node("Conv", "x w b", "y")], {"x": ["n", 3, "h", "w"]}, w=w, b=b))
    assert list(params) == ["w", "b"]
    assert [n.name for n in graph.nodes] == ["y"]
    assert graph.trainable == ("w", "b")


def test_logarithms_of_sums_of_exps_beyond_the_largest_number():
    x = np.float32([[1000, 1000], [-np.inf, -np.inf], [np.inf, 0]])
    y = run(node("ReduceLogSumExp", "x a", "y", keepdims=0), x, a=[1])
    np.testing.assert_allclose(y, [1000 + np.log(2), -np.inf, np.inf], rtol=1e-7)


def test_bounds_that_are_computed():
    nodes = [node("Slice", "x z o", "low"), node("Slice", "x o t", "high"),
             node("Clip", "x low high", "y")]  # fmt: skip
    y = run(nodes, np.float32([[1, -1, 0], [3, 5, 0], [4, -7, 1]]), z=[0], o=[1], t=[2])
    assert y.tolist() == [[1, -1, 0], [3, 5, 0], [3, -1, 0]]


LABELS = np.array([[0, 1], [2, 0]])
SCORES = np.log(np.float32([[[1, 2], [1, 2], [2, 4]], [[3, 3], [1, 4], [4, 1]]]))


@pytest.mark.parametrize(
    ("kind", "loss"),
    [
        ("SoftmaxCrossEntropyLoss", [4, 4, 2, 8 / 3]),
        ("NegativeLogLikelihoodLoss", [1, 0.5, 0.25, 1 / 3]),
    ],
)
def test_losses_with_labels_as_an_input(kind, loss):
    made = model([node(kind, "x t w", "y", reduction="sum")], {"x": ["n", 3, 2], "t": ["n", 2]},
                 w=np.float32([1, 2, 4]))  # fmt: skip
    made.graph.input[1].type.tensor_type.elem_type = 7
    graph, params = load(made)
    y = graph.run(params, SCORES, LABELS)
    expected = np.sum(np.log(loss) * [1, 2, 4, 1])
    np.testing.assert_allclose(y, expected, rtol=1e-6)
    again, _ = load(exported(graph, params, [SCORES, LABELS]))
    third, _ = load(exported(again, params, [SCORES, LABELS]))
    assert digest(third) == digest(again)


def test_the_second_output_of_a_loss():
    nodes = [node("SoftmaxCrossEntropyLoss", "x t", "y p")]
    made = model(nodes, {"x": ["n", 3, 2], "t": ["n", 2]}, outputs="y p")
    made.graph.input[1].type.tensor_type.elem_type = 7
    graph, params = load(made)
    y, p = graph.run(params, SCORES, LABELS)
    np.testing.assert_allclose(y, np.log([4, 4, 2, 8 / 3]).mean(), rtol=1e-6)
    np.testing.assert_allclose(np.exp(p).sum(1), np.ones((2, 2)), rtol=1e-6)
    assert [n.name for n in graph.nodes] == ["y", "p"]


def test_regions_whose_boxes_are_computed():
    x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    boxes = np.float32([[0.25, 0.25, 1.25, 1.25], [0.5, 0, 1.5, 2]])
    nodes = [
        node("Add", "b b", "r"),
        node("RoiAlign", "x r i", "y", output_height=2, output_width=2),
    ]
    made = model(nodes, {"x": [1, 1, "h", "w"], "b": [2, 4]}, i=[0, 0])
    graph, params = load(made)
    numbered = np.concatenate([np.zeros((2, 1), np.float32), 2 * boxes], 1)
    expected = ns.roi_align(x, numbered, 2, aligned=True)
    np.testing.assert_array_equal(graph.run(params, x, boxes), expected)


def test_means_and_deviations_of_layers():
    x = np.float32([[[1, 3], [5, 7]], [[0, 0], [2, 2]]])
    weight = {"w": np.float32([2, 1]), "b": np.float32([0, 1])}
    mean, over = x.mean(2, keepdims=True), 1 / np.sqrt(x.var(2, keepdims=True) + 1e-5)
    made = model(
        [node("LayerNormalization", "x w b", "y m s")], {"x": [2, 2, 2]}, "y m s", **weight
    )
    graph, params = load(made)
    found = graph.run(params, x)
    expected = [(x - mean) * over * [2, 1] + [0, 1], mean, over]
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_roots_of_mean_squares():
    needs(23)
    x = np.float32([[[1, 3], [5, 7]], [[0, 0], [2, 2]]])
    w = np.float32([2, 1])
    y = run(node("RMSNormalization", "x w", "y", axis=1, epsilon=0.5), x, 23, w=w)
    root = np.sqrt((x**2).mean((1, 2), keepdims=True) + 0.5)
    np.testing.assert_allclose(y, x / root * [2, 1], rtol=1e-6)


def test_swish_of_another_factor():
    needs(24)
    x = np.float32([-1, 0, 2])
    y = run(node("Swish", "x", "y", alpha=0.5), x, 24)
    np.testing.assert_allclose(y, x / (1 + np.exp(-x / 2)), rtol=1e-6)


@pytest.mark.parametrize(
    ("made", "inputs", "constants", "told"),
    [
        (node("ArgMax", "x", "y", axis=2), {"x": [2, 3]}, {}, "dim is 2, but x has 2 axes"),
        (node("ArgMax", "x", "y", axis=1), {"x": [2, 0]}, {}, "x has no numbers along axis 1"),
        (node("Cast", "x", "y", to=7), {"x": [2]}, {}, "casts float32 to int64"),
        (node("CastLike", "x a", "y"), {"x": [2]}, {"a": [1]}, "casts float32 to int64"),
        (node("Gather", "x a", "y"), {"x": [2]}, {"a": [[0] * 257]}, "has 257 indices, expected 1"),
        (node("NonMaxSuppression", "x s", "y"), {"x": [1, 2, 4], "s": [1, 1, 2]}, {},
         "how many boxes it gives depends on numbers"),
        (node("ReduceProd", "x", "y"), {"x": [65]}, {}, "multiplies 65 numbers of an axis"),
        (node("RMSNormalization", "x a", "y", stash_type=11), {"x": [2]}, {"a": np.float32([1, 1])},
         "stash_type = 11, expected 1"),
        (node("RoiAlign", "x r i", "y"), {"x": [1, 1, 4, 4], "r": [1, 4], "i": [1]}, {},
         "its input batch_indices must be a constant"),
        (node("RoiAlign", "x r i", "y", mode="sum"), {"x": [1, 1, 4, 4], "r": [1, 4]}, {"i": [0]},
         "mode = 'sum'"),
        (node("NegativeLogLikelihoodLoss", "x t", "y"), {"x": [2, 3]}, {"t": [0, 2]},
         "target holds int64, which the graph does not compute with"),
        (node("SoftmaxCrossEntropyLoss", "x t", "y", reduction="avg"), {"x": [2, 3], "t": [2]}, {},
         "reduction = 'avg'"),
        (node("Where", "c x a", "y"), {"x": [2]}, {"c": [True, False], "a": [1, 2]},
         "other has dtype int64"),
    ],
)  # fmt: skip
def test_what_is_not_read_says_why(made, inputs, constants, told):
    with pytest.raises(FileError, match=told) as caught:
        load(model([made], inputs, opset=min(NEWEST, 23), **constants))
    assert f"({made.op_type}): " in str(caught.value)


def test_numbers_that_follow_from_sizes_among_the_weights():
    """That of channels is the same at every size; that of columns would be silently wrong."""
    nodes = [
        node("Shape", "x", "s"), node("Gather", "s k", "n"), node("Cast", "n", "f", to=1),
        node("Div", "x f", "y"),
    ]  # fmt: skip
    graph, params = load(model(nodes, {"x": ["n", 3, "h", "w"]}, k=1))
    for width in (4, 7):
        x = np.full((1, 3, 2, width), 6, np.float32)
        assert (graph.run(params, x) == 2).all()
    with pytest.raises(
        FileError, match=r"Div_1 \(Div\): computes with numbers that follow from sizes"
    ):
        load(model(nodes, {"x": ["n", 3, "h", "w"]}, k=3))
    graph, params = load(model(nodes, {"x": [1, 3, 2, 4]}, k=3))
    assert (graph.run(params, np.full((1, 3, 2, 4), 8, np.float32)) == 2).all()
