"""How far the permutohedral lattice is from the exact filter: ``python docs/lattice_error.py``
prints the tables of docs/permutohedral.md.

Errors are those of the result for values between 0 and 1: the root mean square of the difference,
divided by that of the exact result.
"""

from __future__ import annotations

import numpy as np

import numseg as ns

DIMENSIONS = range(2, 9)
SIDES = 1, 3, 10, 30
"""Of the cube that points lie in, in standard deviations."""
POINTS = 4000


def error(features: np.ndarray, normalization: str) -> float:
    """Of float64 features (D, points)."""
    x = np.random.default_rng(1).random((1, 1, features.shape[1]))
    y, wanted = (
        ns.gaussian_filter(x, features[None], method=method, normalization=normalization)
        for method in ("permutohedral", "exact")
    )
    return float(np.sqrt(((y - wanted) ** 2).mean() / (wanted**2).mean()))


def cube(d: int, side: float) -> np.ndarray:
    """Points anywhere in it."""
    return np.random.default_rng(d).uniform(0, side, (d, POINTS))


def picture(size: int, pixels: float, grey: float) -> np.ndarray:
    """The bilateral features of a part of a photograph."""
    from skimage import data

    image = data.astronaut()[60 : 60 + size, 180 : 180 + size].astype(float)
    y, x = np.mgrid[:size, :size]
    planes = [x / pixels, y / pixels, *(image[..., c] / grey for c in range(3))]
    return np.stack(planes).reshape(5, -1)


def main() -> None:
    """Print both tables."""
    print("| side | normalization | " + " | ".join(f"D = {d}" for d in DIMENSIONS) + " |")
    print("|---" * (2 + len(DIMENSIONS)) + "|")
    for side in SIDES:
        for kind in ("none", "symmetric"):
            errors = [f"{error(cube(d, side), kind):.3f}" for d in DIMENSIONS]
            print(f"| {side} | {kind} | " + " | ".join(errors) + " |")
    print()
    print("| pixels | grey values | none | after | symmetric |")
    print("|---|---|---|---|---|")
    for pixels, grey in ((80, 13), (20, 13), (80, 5), (80, 40), (3, 1e9)):
        features = picture(80, pixels, grey)
        errors = [f"{error(features, kind):.3f}" for kind in ("none", "after", "symmetric")]
        what = f"{grey:g}" if grey < 1e9 else "no colours"
        print(f"| {pixels} | {what} | " + " | ".join(errors) + " |")


if __name__ == "__main__":
    main()
