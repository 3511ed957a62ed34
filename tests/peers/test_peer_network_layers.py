"""The layers that ``numseg bench --net`` times: PyTorch's results are the same."""

from __future__ import annotations

import pytest

from numseg.bench import layers, timing
from numseg.bench.report import DIRECTIONS

pytest.importorskip("torch")

pytestmark = pytest.mark.peers

NETS = {
    "unet": (
        {"name": "unet", "in_channels": 3, "classes": 5, "width": 4, "depth": 1, "padding": "same"},
        40,
    ),
    "resnet18": ({"name": "resnet18"}, 64),
    "mobilenet_v3_large": ({"name": "mobilenet_v3_large"}, 64),
    "deeplabv3_mobilenet_v3_large": ({"name": "deeplabv3_mobilenet_v3_large"}, 64),
}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", NETS)
def test_every_layer_agrees_with_its_counterpart(name: str, training: bool) -> None:
    net, size = NETS[name]
    given = {"net": net, "input": (2, 3, size, size), "training": training}
    found = list(layers.cases(given))  # which compares them
    assert {case.direction for case in found} == {DIRECTIONS[training]}
    alone = {case.row.split()[0] for case in found if "torch" not in case.calls}
    assert alone <= {"dropout"}
    assert sum(case.occurs for case in found) > len(found)


def test_a_counterpart_that_differs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "counterpart", lambda operator: lambda torch, given: given["x"] + 1)
    given = {"net": NETS["unet"][0], "input": (1, 3, 40, 40), "training": True}
    with pytest.raises(AssertionError, match="relu 1x4x40x40"):
        next(layers.cases(given, only="relu"))


def test_the_row_is_timed_in_turns() -> None:
    given = {"net": NETS["unet"][0], "input": (1, 3, 40, 40), "training": False}
    case = next(layers.cases(given, only="conv2d"))
    assert set(timing.in_turns(case.calls, 0)) == {"numseg", "torch"}
