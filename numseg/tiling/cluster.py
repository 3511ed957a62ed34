"""Segmenting a Dask array by the user's scheduler: on this machine, or on many."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from numseg import checks
from numseg.files import optional
from numseg.graph import Graph, image_channels
from numseg.tiling.frame import Frame, Window, scores
from numseg.tiling.pieces import Place, pieces, runner
from numseg.tiling.sources import Source
from numseg.typing import Array, ArrayLike


def segmented(
    graph: Graph,
    params: Mapping[str, ArrayLike],
    image: Any,
    *,
    tile: int = 512,
    layout: str | None = None,
) -> Any:
    """The class of every pixel of a Dask array, as a Dask array: a task for each tile.

    Nothing is computed here. ``segmented(...).compute()``, ``.to_zarr(...)`` and the like run the
    tasks by the scheduler that the user has chosen: threads, processes, or a
    ``dask.distributed.Client``, whose workers are sent the parameters once each.

    Parameters
    ----------
    graph : Graph
        One image in, logits out; of several outputs the first.
    params : mapping of str to array
        On the CPU.
    image : dask.array.Array
        uint8, uint16 or float32 in [0, 1]: (H, W), (H, W, C) or (C, H, W).
    tile : int
        Rows and columns of a tile, without the halo that is read around it, about: those of a chunk
        of the result. Chunks of the image that are a little larger than tiles, or much smaller,
        make for little reading.
    layout : {"hw", "hwc", "chw"}, optional
        The image's axes; by default as :func:`open_image` finds them.

    Returns
    -------
    dask.array.Array, (H, W), uint8, or uint16 for more than 256 classes
        Those of :func:`numseg.training.predict` for the whole image.

    Raises
    ------
    Inexact
        (an ArgumentError) If the network would give other numbers for tiles than for the whole
        image: a line that names the first node that does not allow them.
    MissingExtra
        Without Dask (extra: dask).

    Notes
    -----
    A task depends on the pixels of its tile and on the parameters alone, so what a worker that died
    had done is done again by another, with the same bits.
    """
    array = optional("dask.array", "dask", "dask", "segmenting Dask arrays")
    delayed = optional("dask", "dask", "dask", "segmenting Dask arrays").delayed
    graph.check(params)
    source = Source.of(image, layout)
    head = scores(graph)
    frame = Frame.of(head, image_channels(head), *source.size)
    dtype = np.dtype(np.uint8 if frame.classes <= 256 else np.uint16)
    network = delayed(_Network(head, {param.name: params[param.name] for param in head.params}))
    work = delayed(_labels, pure=True)
    rows: dict[int, list[Any]] = {}
    for place in frame.tiles(checks.integer("tile", tile, minimum=1)):
        shape = tuple(part.last - part.first for part in place)
        window = frame.window(place)
        pixels = source.read(window.rows, window.columns)
        labels = array.from_delayed(work(network, pixels, window, place, dtype), shape, dtype)
        rows.setdefault(place[0].first, []).append(labels)
    return array.block(list(rows.values()))


class _Network(NamedTuple):
    """What a worker is sent once."""

    graph: Graph
    params: dict[str, Any]


def _labels(network: _Network, pixels: Array, window: Window, place: Place, dtype: Any) -> Array:
    """One tile's."""
    found = pieces([place], lambda _: window.tile(pixels), runner(*network))
    return next(found).values.argmax(axis=0).astype(dtype)
