"""U-Net: the paper's figures, sizes that fit and do not, gradients."""

from __future__ import annotations

import re

import numpy as np
import pytest

import numseg as ns
from numseg.nets import unet

PAPER = (1, 1, 572, 572)


def test_the_paper_s_figure():
    """Every size that figure 1 of the paper states."""
    shapes = unet(1, 2).shapes(PAPER)
    sides = {
        "enc1": (570, 568), "enc2": (282, 280), "enc3": (138, 136), "enc4": (66, 64),
        "mid": (30, 28), "dec4": (54, 52), "dec3": (102, 100), "dec2": (198, 196),
        "dec1": (390, 388),
    }  # fmt: skip
    widths = {"1": 64, "2": 128, "3": 256, "4": 512, "d": 1024}
    for name, pair in sides.items():
        for j, side in enumerate(pair, 1):
            assert shapes[f"{name}.conv{j}"] == (1, widths[name[-1]], side, side)
    for level, pooled, up in ((1, 284, 392), (2, 140, 200), (3, 68, 104), (4, 32, 56)):
        assert shapes[f"pool{level}"][2:] == (pooled, pooled)
        assert shapes[f"up{level}"] == (1, widths[str(level)], up, up)
        assert shapes[f"concat{level}"] == (1, 2 * widths[str(level)], up, up)
    assert shapes["head"] == (1, 2, 388, 388)


def test_the_paper_s_parameters():
    # a 3x3 convolution from C to F channels has 9 C F + F, an up-convolution 4 C F + F
    def pair(c: int, f: int) -> int:
        return 9 * c * f + f + 9 * f * f + f

    down = pair(1, 64) + pair(64, 128) + pair(128, 256) + pair(256, 512) + pair(512, 1024)
    up = sum(4 * 2 * f * f + f + pair(2 * f, f) for f in (512, 256, 128, 64))
    assert (down, up) == (18_842_048, 12_188_480)
    graph = unet(1, 2)
    assert sum(p.size for p in graph.params) == down + up + 64 * 2 + 2 == 31_030_658
    assert graph.summary(PAPER).parameters == 31_030_658
    # colour: two more channels of 9 * 64 weights; one class: 64 weights and a bias less
    assert unet(3, 1).summary((1, 3, 572, 572)).parameters == 31_030_658 + 1152 - 65


def test_the_paper_s_receptive_field():
    # Backwards along the deepest path, in pixels of each level: a pair of convolutions adds 4, and
    # an up-convolution reads the cells that hold a run. From the output pixel o:
    #   level 1: 5 pixels from o, which lie in 3 cells
    #   level 2: 3 + 4 = 7 from o // 2, in 4 cells
    #   level 3: 4 + 4 = 8 from o // 4, in 4 cells if o // 4 is even, else in 5
    #   level 4: 8 from o // 8, in 4 cells if o // 8 is even, else in 5; 9, in 5 cells
    #   bottom: 4 + 4 = 8, if both are even, which is for 4 pixels of 16; else 5 + 4 = 9
    # and down again, doubling and adding 4: 8, 20, 44, 92, 188; or 9, 22, 48, 100, 204.
    field = unet(1, 2).receptive_field("head", PAPER)
    sizes = field.rows[:, 1] - field.rows[:, 0] + 1
    assert set(sizes) == {188, 204}
    np.testing.assert_array_equal(sizes == 188, np.arange(388) % 16 < 4)
    assert field.rows[0].tolist() == [0, 187]
    assert field.rows[-1].tolist() == [572 - 188, 571]  # 387 % 16 is 3
    assert field.stride == (1, 1)


def test_names():
    graph = unet(3, 5, width=4, depth=1, norm=True)
    shapes = {param.name: param.shape for param in graph.params}
    assert shapes["enc1.conv1.weight"] == (4, 3, 3, 3)
    assert shapes["mid.conv2.weight"] == (8, 8, 3, 3)
    assert shapes["up1.weight"] == (8, 4, 2, 2)
    assert shapes["dec1.conv1.weight"] == (4, 8, 3, 3)
    assert shapes["head.weight"] == (5, 4, 1, 1)
    assert "enc1.conv1.bias" not in shapes  # what normalisation takes away again
    norm = {name for name in shapes if name.startswith("enc1.norm1.")}
    assert norm == {f"enc1.norm1.{n}" for n in ("weight", "bias", "running_mean", "running_var")}
    assert [n.name for n in unet(1, 2, depth=1).nodes] == [
        "enc1.conv1", "enc1.relu1", "enc1.conv2", "enc1.relu2", "pool1",
        "mid.conv1", "mid.relu1", "mid.conv2", "mid.relu2",
        "up1", "crop1", "concat1", "dec1.conv1", "dec1.relu1", "dec1.conv2", "dec1.relu2", "head",
    ]  # fmt: skip


# -- sizes --------------------------------------------------------------------------------------


def fits(size: int, depth: int) -> bool:
    """Follow the paper's text: halve only what is even, and lose no level."""
    for _ in range(depth):
        size -= 4
        if size <= 0 or size % 2:
            return False
        size //= 2
    size -= 4
    for _ in range(depth):
        if size <= 0:
            return False
        size = 2 * size - 4
    return size > 0


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_sizes_without_padding(depth: int):
    graph = unet(1, 1, width=1, depth=depth)
    good = [size for size in range(140) if fits(size, depth)]
    for size in range(140):
        if size in good:
            out = graph.shapes((1, 1, size, good[0]))["head"]
            assert out == (1, 1, size - good[0] + out[3], out[3])  # grows as the input does
        elif size < good[0]:
            message = f"x has {size} rows, but this network takes {good[0]} at least"
            with pytest.raises(ns.ArgumentError, match=message):
                graph.shapes((1, 1, size, good[0]))
        elif size < good[-1]:
            below, above = max(g for g in good if g < size), min(g for g in good if g > size)
            message = (
                f"x has {size} columns; the nearest that this network takes are {below} and {above}"
            )
            with pytest.raises(ns.ArgumentError, match=message):
                graph.shapes((1, 1, good[0], size))


def test_sizes_with_padding():
    graph = unet(2, 3, width=2, depth=3, padding="same")
    for size in (8, 16, 40):
        assert graph.shapes((1, 2, size, 16))["head"] == (1, 3, size, 16)
    with pytest.raises(ns.ArgumentError, match=r"x has 20 rows; .* are 16 and 24"):
        graph.shapes((1, 2, 20, 16))
    with pytest.raises(
        ns.ArgumentError, match="x has 4 columns, but this network takes 8 at least"
    ):
        graph.shapes((1, 2, 16, 4))


def test_sizes_are_checked_before_any_work():
    graph = unet(1, 2, width=1, depth=1)
    params = graph.init()
    for call in (graph.run, graph.forward):
        with pytest.raises(ns.ArgumentError, match=r"x has 19 rows; .* are 18 and 20"):
            call(params, np.zeros((1, 1, 19, 18), np.float32))
    with pytest.raises(ns.ArgumentError, match="x has 2 channels, but this network takes 1"):
        graph.run(params, np.zeros((1, 2, 18, 18), np.float32))
    with pytest.raises(ns.ArgumentError, match=re.escape("x has shape (18, 18), expected 4 axes")):
        graph.run(params, np.zeros((18, 18), np.float32))


def test_wrong_arguments():
    for arguments, message in (
        ({"in_channels": 0}, "in_channels must be at least 1, got 0"),
        ({"classes": 1.5}, "classes must be an integer, got 1.5"),
        ({"width": -1}, "width must be at least 1"),
        ({"depth": -1}, "depth must be at least 0"),
        ({"padding": 1}, "padding must be one of 'valid', 'same', got 1"),
        ({"norm": "batch"}, "norm must be True or False"),
        ({"up": "cubic"}, "up must be one of 'conv_transpose', 'bilinear', 'nearest'"),
        ({"dropout": 1.0}, "dropout must lie in [0, 1), got 1.0"),
    ):
        with pytest.raises(ns.ArgumentError, match=re.escape(message)):
            unet(**{"in_channels": 1, "classes": 2, **arguments})


# -- values and gradients -----------------------------------------------------------------------

VARIANTS = {
    "paper": {"padding": "valid"},
    "same": {"padding": "same"},
    "norm": {"padding": "same", "norm": True},
    "bilinear": {"padding": "same", "up": "bilinear"},
    "nearest": {"padding": "valid", "up": "nearest"},
    "dropout": {"padding": "same", "dropout": 0.5},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_gradients_agree_with_differences(variant: str):
    graph = unet(2, 3, width=2, depth=1, **VARIANTS[variant])
    params = graph.init(seed=1, dtype=np.float64)
    size = 18 if VARIANTS[variant]["padding"] == "valid" else 6
    x = np.random.default_rng(2).normal(size=(2, 2, size, size))
    names = [*graph.trainable, "x"]

    def forward(*arrays):
        given = dict(zip(names, arrays, strict=True))
        return graph.forward(params | {n: given[n] for n in graph.trainable}, given["x"])

    def backward(tape, grad_y):
        grads = graph.backward(tape, grad_y)
        return [grads[name] for name in names]

    report = ns.gradcheck(
        (forward, backward),
        [*(params[name] for name in graph.trainable), x],
        directions=2,
        jacobian=0,
    )
    assert report, report


@pytest.mark.parametrize("variant", ["paper", "same"])
def test_integers_are_exact(variant: str):
    graph = unet(2, 2, width=2, depth=1, **VARIANTS[variant])
    rng = np.random.default_rng(0)
    params = {p.name: rng.integers(-1, 2, p.shape).astype(np.float32) for p in graph.params}
    x = rng.integers(-2, 3, (1, 2, 18, 20)).astype(np.float32)
    grad_y = rng.integers(-1, 2, graph.shapes(x.shape)["head"]).astype(np.float32)
    with ns.use("reference"):
        y, tape = graph.forward(params, x)
        by_definition = graph.backward(tape, grad_y)
    # far below 2**24, so nothing was rounded on the way
    assert max(np.abs(array).max() for array in (y, *by_definition.values())) < 2**20
    np.testing.assert_array_equal(graph.run(params, x), y)
    z, tape = graph.forward(params, x)
    np.testing.assert_array_equal(z, y)
    for name, grad in graph.backward(tape, grad_y).items():
        np.testing.assert_array_equal(grad, by_definition[name], err_msg=name)


def test_what_is_random_depends_on_seed_step_and_node():
    graph = unet(1, 2, width=2, depth=1, padding="same", dropout=0.5)
    params, x = graph.init(), np.ones((1, 1, 8, 8), np.float32)

    def run(**mode):
        return graph.forward(params, x, **mode)[0]

    np.testing.assert_array_equal(run(seed=1, step=2), run(seed=1, step=2))
    assert not np.array_equal(run(seed=1, step=2), run(seed=1, step=3))
    assert not np.array_equal(run(seed=1, step=2), run(seed=2, step=2))
    np.testing.assert_array_equal(run(training=False), graph.run(params, x))
    attributes = [dict(n.attributes) for n in graph.nodes if n.name.endswith("dropout")]
    assert [a["p"] for a in attributes] == [0.5, 0.5]


def test_start_values_keep_the_variance():
    """He initialisation: activations neither vanish nor explode through 23 layers."""
    graph = unet(1, 2, width=16, depth=2, padding="same")
    params = graph.init()
    x = np.random.default_rng(0).normal(size=(1, 1, 32, 32)).astype(np.float32)
    for name in ("enc1.relu2", "mid.relu2", "dec1.relu2", "head"):
        part = graph.at(name)
        y = part.run({param.name: params[param.name] for param in part.params}, x)
        assert 0.3 < y.std() < 5
