"""Numbers that go to the pixels in their switches.

A plane is cleared as far as the next switches reach, and not at once: it goes out to memory while
the next numbers are added. (Switches may point anywhere: the whole plane is cleared in the end.)
"""

from __future__ import annotations

import numpy as np

from numseg.kernels.machine.jit import rule

CHUNK = 128
"""Numbers that are looked at together. Also pixels that are cleared together."""


@rule
def clear_up_to(image, clear, places):
    """Clear ``image``, of which the first ``clear`` pixels are, up to the last of ``places``.
    Returns how many are clear now, and whether all the places are on the image."""
    last, size = np.uint64(0), len(image)
    for i in range(len(places)):
        place = np.uint64(places[i])  # a negative one is beyond all others
        last = place if place > last else last
    inside = last < np.uint64(size)
    end = min(np.int64(last) // CHUNK * CHUNK + CHUNK, size) if inside else size
    if end > clear:
        image[clear:end] = 0
    return max(clear, end), inside


@rule
def scatter_add(places, values, image, clear):
    """Add each value to the pixel in its place, in order, to nothing but for the first ``clear``
    pixels. A place that is not on the image is none."""
    for first in range(0, len(places), CHUNK):
        at, given = places[first : first + CHUNK], values[first : first + CHUNK]
        clear, inside = clear_up_to(image, clear, at)
        for i in range(len(at) if inside else 0):
            image[np.uint64(at[i])] += given[i]
        for i in range(0 if inside else len(at)):
            if 0 <= at[i] < len(image):
                image[at[i]] += given[i]
    image[clear:] = 0
