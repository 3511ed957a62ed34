"""Images larger than memory: tiles that give the numbers of the whole image.

::

    ns.tiling.halo(graph)                             # what is read around a tile, and its step
    y = ns.tiling.run(graph, params, x, tile=512)     # graph.run(params, x), to the last bit
    ns.tiling.segment(graph, params, "scan.tif", "labels.tif", tile=512, batch=4)
    labels = ns.tiling.segmented(graph, params, array)   # of Dask, by its scheduler

From the ground: :mod:`~numseg.tiling.proof` says whether a tile gives the numbers of the whole
image, :mod:`~numseg.tiling.cut` cuts an image into such tiles, :mod:`~numseg.tiling.halo` knows
what tiles of a network need at any size, :mod:`~numseg.tiling.frame` continues a picture to an
image that the network takes, :mod:`~numseg.tiling.pieces` runs tiles. Pictures come out of
:mod:`~numseg.tiling.sources`, and labels go into files by :mod:`~numseg.tiling.streaming`, or into
Dask arrays by :mod:`~numseg.tiling.cluster`.
"""

from numseg.tiling.cluster import segmented
from numseg.tiling.halo import Halo, halo
from numseg.tiling.pieces import run
from numseg.tiling.proof import Inexact
from numseg.tiling.sources import Source, open_image
from numseg.tiling.streaming import segment

__all__ = ["Halo", "Inexact", "Source", "halo", "open_image", "run", "segment", "segmented"]
