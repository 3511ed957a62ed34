"""DeepLab v1 and v2: totals, names, sizes, several scales, gradients."""

from __future__ import annotations

import re

import numpy as np
import pytest
import whole

import numseg as ns
from numseg import nets
from numseg.graph import Graph, digest

NETS = {
    "deeplabv1_vgg16": ("fc8_voc12", 20_505_429),
    "deeplabv2_vgg16": ("fc8_voc12", 37_877_652),
    "deeplabv2_resnet101": ("fc1_voc12", 44_048_532),
}


@pytest.mark.parametrize(("name", "total"), [(n, total) for n, (_, total) in NETS.items()])
def test_totals(name: str, total: int):
    graph = getattr(nets, name)()
    assert whole.learned(graph) == whole.total(graph) == total


def test_names():
    shapes = {p.name: p.shape for p in nets.deeplabv1_vgg16().params}
    assert shapes["fc6.weight"] == (1024, 512, 3, 3)
    assert shapes["fc8_voc12.bias"] == (21,)
    shapes = {p.name: p.shape for p in nets.deeplabv2_vgg16().params}
    assert shapes["fc6_4.weight"] == (1024, 512, 3, 3)
    assert shapes["fc8_voc12_1.weight"] == (21, 1024, 1, 1)
    shapes = {p.name: p.shape for p in nets.deeplabv2_resnet101().params}
    units = {name.split("_")[0] for name in shapes if name.startswith("res")}
    names = [f"{stage}{place}" for stage in (2, 5) for place in "abc"]
    names += ["3a", *(f"3b{j}" for j in range(1, 4)), "4a", *(f"4b{j}" for j in range(1, 23))]
    assert units == {f"res{name}" for name in names}
    assert shapes["conv1.weight"] == (64, 3, 7, 7)
    assert shapes["bn_conv1.running_mean"] == shapes["scale_conv1.bias"] == (64,)
    assert shapes["res5c_branch2b.weight"] == (512, 512, 3, 3)
    assert shapes["bn4b22_branch2c.running_var"] == shapes["scale4b22_branch2c.weight"] == (1024,)
    assert shapes["res3a_branch1.weight"] == (512, 256, 1, 1)
    assert shapes["fc1_voc12_c3.weight"] == (21, 2048, 3, 3)


# -- sizes --------------------------------------------------------------------------------------


SHORT = {"deeplabv2_resnet101": {"units": (1, 1, 1, 1)}}


@pytest.mark.parametrize("name", NETS)
def test_the_papers_sizes(name: str):
    shapes = getattr(nets, name)(width=1).shapes((1, 3, 321, 353))
    assert shapes["pool1"][2:] == ((161, 177) if name.endswith("vgg16") else (81, 89))
    for node in ("pool3", "pool5") if name.endswith("vgg16") else ("res3b3", "res5c"):
        assert shapes[node][2:] == (41, 45)
    assert shapes[NETS[name][0]] == (1, 21, 41, 45)
    assert shapes["upscore"] == (1, 21, 321, 353)


@pytest.mark.parametrize("name", NETS)
def test_sizes_that_are_taken(name: str):
    """8 k + 1; the authors' are 32 k - 31."""
    graph = getattr(nets, name)(1, 2, width=1, **SHORT.get(name, {}))
    assert str(graph.legal_inputs()) == "rows and columns: 8 k + 1"
    assert graph.smallest_input() == (1, 1, 1, 1)
    for k in range(1, 12):
        shapes = graph.shapes((1, 1, 32 * k - 31, 33))
        assert shapes[NETS[name][0]] == (1, 2, 4 * k - 3, 5)
        assert shapes["upscore"] == (1, 2, 32 * k - 31, 33)
    with pytest.raises(ns.ArgumentError, match=r"x has 320 rows; .* takes are 313 and 321"):
        graph.shapes((1, 1, 320, 321))


@pytest.mark.parametrize("name", NETS)
def test_pixels_of_the_scores_lie_on_every_eighth_of_the_image(name: str):
    """And interpolated logits are the scores there."""
    graph = getattr(nets, name)(1, 2, width=1)
    field = graph.receptive_field(NETS[name][0], (1, 1, 65, 33))
    np.testing.assert_array_equal(field.rows.mean(axis=1), 8 * np.arange(9))
    np.testing.assert_array_equal(field.columns.mean(axis=1), 8 * np.arange(5))
    both = graph.at(NETS[name][0], "upscore")
    scores, full = both.run(whole.parameters(graph), whole.image((33, 65), channels=1))
    np.testing.assert_array_equal(full[:, :, ::8, ::8], scores)


def test_rates_are_where_strides_were():
    found = {n.name: dict(n.attributes) for n in nets.deeplabv2_resnet101(width=1).nodes}
    for name, stride, rate in (
        ("res2a_branch2a", 1, 1), ("res3a_branch2a", 2, 1), ("res3a_branch1", 2, 1),
        ("res3a_branch2b", 1, 1), ("res4a_branch2a", 1, 1), ("res4a_branch2b", 1, 2),
        ("res4b22_branch2b", 1, 2), ("res5a_branch2b", 1, 4), ("fc1_voc12_c2", 1, 18),
    ):  # fmt: skip
        assert (found[name]["stride"], found[name]["dilation"]) == (stride, rate), name
    found = {n.name: dict(n.attributes) for n in nets.deeplabv1_vgg16(width=1).nodes}
    assert [found[f"conv{j}_1"]["dilation"] for j in (4, 5)] == [1, 2]
    assert found["fc6"]["dilation"] == 12


# -- several scales -------------------------------------------------------------------------------


def scaled(name: str, **options) -> Graph:
    return getattr(nets, name)(1, 2, width=1, scales=(1, 0.75, 0.5), **options)


def test_sizes_at_several_scales():
    assert str(scaled("deeplabv2_vgg16").legal_inputs()) == "rows and columns: 16 k + 1"
    shapes = scaled("deeplabv2_vgg16").shapes((1, 1, 321, 33))
    assert (shapes["x0.75"][2:], shapes["x0.5"][2:]) == ((241, 25), (161, 17))
    assert shapes["x0.75.fc8_voc12"][2:] == (31, 4)
    assert shapes["x0.5.fc8_voc12"][2:] == (21, 3)
    assert shapes["x0.5.interp"] == shapes["fc8_voc12"] == shapes["max.x0.5"] == (1, 2, 41, 5)


def test_scales_share_their_parameters():
    for name in ("deeplabv2_vgg16", "deeplabv2_resnet101"):
        one = getattr(nets, name)(1, 2, width=1)
        assert {p.name for p in scaled(name).params} == {p.name for p in one.params}
        assert digest(scaled(name)) != digest(one)


def test_the_largest_score_of_all_scales():
    graph = scaled("deeplabv2_vgg16", upsample=False)
    params, x = whole.parameters(graph), whole.image((65, 33), channels=1)
    one = nets.deeplabv2_vgg16(1, 2, width=1, upsample=False)
    first = best = one.run(params, x)
    for size in ((49, 25), (33, 17)):
        small = ns.upsample_bilinear2d(x, size, align_corners=True)
        scores = one.run(params, small)
        scores = ns.upsample_bilinear2d(scores, first.shape[2:], align_corners=True)
        best = np.maximum(best, scores)
    np.testing.assert_allclose(graph.run(params, x), best, rtol=1e-12)
    assert not np.array_equal(best, first)


def test_norms_of_several_scales_keep_their_statistics():
    graph = nets.deeplabv2_resnet101(1, 2, width=1, units=(1, 1, 1, 1), scales=(1, 0.5))
    _, tape = graph.forward(graph.init(), whole.image((33, 33), channels=1, dtype=np.float32))
    assert tape.updates == {}
    graph = nets.deeplabv2_resnet101(1, 2, width=1, units=(1, 1, 1, 1))
    _, tape = graph.forward(graph.init(), whole.image((33, 33), channels=1, dtype=np.float32))
    assert "bn_conv1.running_mean" in tape.updates


# -- wrong arguments, gradients -------------------------------------------------------------------


def test_wrong_arguments():
    for call, message in (
        (lambda: nets.deeplabv1_vgg16(0), "in_channels must be at least 1, got 0"),
        (lambda: nets.deeplabv1_vgg16(3, 0), "classes must be at least 1, got 0"),
        (lambda: nets.deeplabv1_vgg16(upsample=1), "upsample must be True or False, got 1"),
        (lambda: nets.deeplabv2_vgg16(width=0), "width must be at least 1, got 0"),
        (lambda: nets.deeplabv2_vgg16(rates=()), "rates must hold at least one dilation"),
        (lambda: nets.deeplabv2_vgg16(rates=(6, 0)), "rates[1] must be at least 1, got 0"),
        (lambda: nets.deeplabv2_vgg16(scales=(0.5, 1)), "scales must be 1 and others in (0, 1]"),
        (lambda: nets.deeplabv2_vgg16(scales=()), "scales must be 1 and others in (0, 1], got ()"),
        (lambda: nets.deeplabv2_resnet101(units=(1, 1)), "units holds 2 numbers, expected 4"),
        (lambda: nets.deeplabv2_resnet101(classes=0), "classes must be at least 1, got 0"),
    ):
        with pytest.raises(ns.ArgumentError, match=re.escape(message)):
            call()


SMALL = {
    "v1": lambda: nets.deeplabv1_vgg16(3, 2, width=1),
    "v2": lambda: nets.deeplabv2_vgg16(3, 2, width=1, rates=(1, 2), scales=(1, 0.75)),
    "resnet": lambda: nets.deeplabv2_resnet101(3, 2, width=1, units=(1, 2, 1, 1), rates=(1, 2)),
    "resnet scales": lambda: nets.deeplabv2_resnet101(
        3, 2, width=1, units=(1, 1, 1, 1), rates=(1,), scales=(1, 0.5)
    ),
}


@pytest.mark.parametrize("which", SMALL)
def test_gradients_and_definitions(which: str):
    whole.check_gradients(SMALL[which](), whole.image((33, 33)))
    whole.check_reference(SMALL[which](), whole.image((33, 33)))
