"""Where a network's time goes."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns


def test_every_node_has_its_share() -> None:
    graph = ns.nets.unet(1, 2, width=4, depth=1, padding="same")
    x = np.zeros((1, 1, 16, 16), np.float32)
    found = graph.profile(graph.init(), x, runs=2)
    lines = [name for timing in found.timings for name in timing.node.split(" + ")]
    assert lines == [node.name for node in graph.nodes]  # some of them several to a line
    assert all(t.milliseconds > 0 for t in found.timings)
    (first, *_) = found.timings
    conv = ns.conv2d.cost(x.shape, (4, 1, 3, 3), (4,), padding=1)
    assert first.cost == (conv.flops + 4 * 16 * 16, conv.bytes)  # with relu in its store
    lines = str(found).splitlines()
    assert lines[0].split() == ["node", "operator", "ms", "share", "GFLOP/s", "of", "limit"]
    assert lines[-2].endswith("medians of 2 runs")
    assert lines[-1].startswith("limits: fma_gflops")
    shares = [float(line.split()[-3].rstrip("%")) for line in lines[2:-3]]
    assert abs(sum(shares) - 100) < 1


def test_wrong_input_is_refused() -> None:
    graph = ns.nets.unet(1, 2, width=4, depth=1, padding="same")
    with pytest.raises(ns.ArgumentError, match="runs must be at least 1, got 0"):
        graph.profile(graph.init(), np.zeros((1, 1, 16, 16), np.float32), runs=0)
