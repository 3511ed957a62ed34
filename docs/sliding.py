"""A small classifier that finds houses, slid over a picture and made convolutional:
``python docs/sliding.py`` measures both. docs/figures.py draws them.

It says whether the middle of a window of 28 x 28 pixels is a house. Convolutions stay as they
start; the linear layer is fitted to windows of generated landscapes, by least squares.
"""

from __future__ import annotations

import functools
import statistics
import time

import numpy as np

import numseg as ns
from numseg.data import scenes
from numseg.graph import Graph, zeros
from numseg.kernels.machine.threads import num_threads
from numseg.nets import blocks

WINDOW, STRIDE = 28, 4
HOUSES = (5, 6)
"""Walls and roofs."""


def classifier() -> Graph:
    """28 > 24 > 12 > 10 > 5 pixels, and a vector of 24 x 5 x 5."""
    net = Graph.build()
    x = net.input("x")
    x = blocks.conv(net, "conv1", x, 3, 16, 5, activation="relu")
    x = net.add(ns.max_pool2d, x, 2, name="pool1")
    x = blocks.conv(net, "conv2", x, 16, 24, 3, activation="relu")
    x = net.add(ns.flatten, net.add(ns.max_pool2d, x, 2, name="pool2"), name="vector")
    weight, bias = net.param("fc.weight", (1, 600), zeros), net.param("fc.bias", (1,), zeros)
    return net.output(net.add(ns.linear, x, weight, bias, name="fc"))


def windows(pictures: int, each: int) -> tuple[np.ndarray, np.ndarray]:
    """Windows of generated landscapes, and whether their middle is a house: half of them are."""
    rng = np.random.default_rng(0)
    found, truth = [], []
    for image, labels, _ in scenes(pictures, size=128, seed=1):
        half = WINDOW // 2
        house = np.isin(labels, HOUSES)[half:-half, half:-half]
        for wanted in (True, False):
            places = np.argwhere(house == wanted)
            for row, column in rng.permutation(places)[:each]:
                found.append(image[:, row : row + WINDOW, column : column + WINDOW])
                truth.append(wanted)
    return as_input(np.stack(found)), np.array(truth)


def as_input(image: np.ndarray) -> np.ndarray:
    """Numbers about 0."""
    return image.astype(np.float32) / 255 - np.float32(0.5)


@functools.cache
def fitted() -> tuple[Graph, dict[str, np.ndarray]]:
    """The classifier and its parameters: logits of about -1 and 1."""
    graph = classifier()
    params = graph.init(seed=0)
    x, truth = windows(60, 24)
    part = graph.at("vector")
    vectors = part.run({p.name: params[p.name] for p in part.params}, x).astype(np.float64)
    a = np.column_stack([vectors, np.ones(len(vectors))])
    scale = np.trace(a.T @ a) / a.shape[1]
    w = np.linalg.solve(a.T @ a + 1e-2 * scale * np.eye(a.shape[1]), a.T @ (2.0 * truth - 1))
    fc = {"fc.weight": w[None, :-1], "fc.bias": w[-1:]}
    return graph, params | {name: array.astype(np.float32) for name, array in fc.items()}


def picture() -> np.ndarray:
    """A landscape that it was not fitted to, (1, 3, 128, 192)."""
    return as_input(scenes(4, size=(128, 192), seed=3)[3].image[None])


def slid(x: np.ndarray) -> np.ndarray:
    """The classifier on every fourth window, all in one batch, which is kind to it."""
    graph, params = fitted()
    every = np.lib.stride_tricks.sliding_window_view(x[0], (WINDOW, WINDOW), (1, 2))
    every = every[:, ::STRIDE, ::STRIDE].transpose(1, 2, 0, 3, 4)
    logits = graph.run(params, np.ascontiguousarray(every.reshape(-1, 3, WINDOW, WINDOW)))
    return logits.reshape(every.shape[:2])


def heat_map(x: np.ndarray) -> np.ndarray:
    """The same by convolutions."""
    graph, params = convolutional()
    return graph.run(params, x)[0, 0]


@functools.cache
def convolutional() -> tuple[Graph, dict[str, np.ndarray]]:
    """The network that slides, and the same weights."""
    graph, params = fitted()
    return graph.convolutional(params, (1, 3, WINDOW, WINDOW))


def costs(x: np.ndarray) -> tuple[float, float]:
    """Multiply-adds of both."""
    alone = fitted()[0].summary((1, 3, WINDOW, WINDOW)).multiply_adds
    return alone * slid(x).size, convolutional()[0].summary(x.shape).multiply_adds


def main() -> None:
    """Print both costs, timed in turns on one thread."""
    x = picture()
    times: dict[str, list[float]] = {"slid": [], "heat map": []}
    with num_threads(1):
        for _ in range(12):
            for name, how in (("slid", slid), ("heat map", heat_map)):
                begin = time.perf_counter()
                how(x)
                times[name].append(1e3 * (time.perf_counter() - begin))
    for (name, taken), cost in zip(times.items(), costs(x), strict=True):
        print(
            f"{name:8}  {cost / 1e6:7.1f} M multiply-adds  {statistics.median(taken[2:]):7.2f} ms"
        )
    print(f"largest difference of two logits: {abs(slid(x) - heat_map(x)).max():.2g}")


if __name__ == "__main__":
    main()
