"""Running a network on tiles, several at a time."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from numseg import checks, device
from numseg.errors import ArgumentError
from numseg.graph import Graph
from numseg.tiling.cut import Cut, Tile
from numseg.tiling.halo import halo
from numseg.typing import Array, ArrayLike

Place = tuple[Tile, Tile]
"""Its rows and its columns."""


class Piece(NamedTuple):
    """Outputs of a network."""

    rows: slice
    columns: slice
    """Where they lie in the whole one."""
    outputs: Any
    """(1, C, H, W) of the tile, where they were made."""
    inner: tuple[slice, slice]
    """Rows and columns of the piece among them."""

    @property
    def values(self) -> Array:
        """(C, rows, columns), on the CPU."""
        found = device.of([self.outputs]).to_host(self.outputs)
        return found[0, :, *self.inner]


def pieces(
    places: Iterable[Place],
    read: Callable[[Place], Array],
    run: Callable[[Array], Any],
    batch: int = 1,
) -> Iterator[Piece]:
    """What a network makes of tiles.

    Parameters
    ----------
    places : iterable of (Tile, Tile)
        All of one size.
    read : function
        The (C, H, W) pixels of a tile.
    run : function
        The outputs of (N, C, H, W) images.
    batch : int
        Tiles that are run at a time: where the network is small, together they keep threads busy.
    """
    left, batch = iter(places), checks.integer("batch", batch, minimum=1)
    while group := list(itertools.islice(left, batch)):
        values = run(np.stack([read(place) for place in group]))
        for n, (rows, columns) in enumerate(group):
            yield Piece(
                slice(rows.first, rows.last),
                slice(columns.first, columns.last),
                values[n : n + 1],
                (rows.inner, columns.inner),
            )


def run(
    graph: Graph, params: Mapping[str, ArrayLike], x: ArrayLike, tile: int = 512, batch: int = 1
) -> Any:
    """``graph.run(params, x)`` by tiles: the same numbers, to the last bit.

    Memory is that of the input, of the output, and of what the network needs for ``batch`` tiles.

    Parameters
    ----------
    graph : Graph
        Of one image. Several outputs must have as many pixels, as far apart.
    params : mapping of str to array
        On the CPU, or on the GPU.
    x : array, (N, C, H, W)
        Of a size that the network takes. May be a memory-mapped file: only tiles of it are read.
    tile : int
        Rows and columns of a tile, without the halo that is read around it, about.
    batch : int
        Tiles that are run at a time.

    Returns
    -------
    array, or tuple of arrays
        In NumPy.

    Raises
    ------
    Inexact
        (an ArgumentError) If there are no tiles that give the same numbers: a line that names the
        first node that does not allow them, such as a global pooling.

    Notes
    -----
    :func:`halo` says how much is read around a tile.

    Source: Majurski and Bajcsy 2021, "Exact tile-based segmentation inference for images larger
    than GPU memory" (J. Res. NIST 126), who derive halo and step of U-Net by hand.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> graph = ns.nets.unet(1, 2, width=4, depth=1, padding="same")
    >>> params = graph.init(0)
    >>> x = np.random.default_rng(0).random((1, 1, 64, 96), np.float32)
    >>> np.array_equal(ns.tiling.run(graph, params, x, tile=16), graph.run(params, x))
    True
    """
    images: Any = x if hasattr(x, "shape") else np.asarray(x)
    if len(images.shape) != 4:
        raise ArgumentError(f"x must have 4 axes (N, C, H, W), got shape {tuple(images.shape)}")
    count, *image = images.shape
    cut = Cut(graph, (1, *image))
    if max(image[1:]) > tile:
        halo(graph)  # which says why there are no tiles, if there are none
    channels = [cut.plans[value.source].outputs[0].shape[1] for value in graph.outputs]
    found = np.empty((count, sum(channels), *(axis.outputs for axis in cut.axes)), images.dtype)
    forward, places = runner(graph, params), cut.tiles(tile)
    for n in range(count):

        def read(place: Place, n: int = n) -> Array:
            rows, columns = place
            return np.asarray(images[n, :, rows.start : rows.stop, columns.start : columns.stop])

        for piece in pieces(places, read, forward, batch):
            found[n, :, piece.rows, piece.columns] = piece.values
    outputs = tuple(np.split(found, np.cumsum(channels)[:-1], axis=1))
    return outputs[0] if len(outputs) == 1 else outputs


def runner(graph: Graph, params: Mapping[str, ArrayLike]) -> Callable[[Array], Any]:
    """Images on the CPU in; the output, or all of them one after the other along the channels and
    then on the CPU, where the parameters are."""
    where = device.of(list(params.values()))

    def run(x: Array) -> Any:
        outputs = graph.run(params, where.from_host(np.ascontiguousarray(x)))
        if isinstance(outputs, tuple):
            return np.concatenate([where.to_host(output) for output in outputs], axis=1)
        return outputs

    return run
