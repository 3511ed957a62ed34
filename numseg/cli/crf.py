"""``numseg crf``: a rough mask, scribbles or a network's scores, refined to a picture's borders."""

from __future__ import annotations

import argparse
import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from numseg.cli._crf import Crf, add_crf, chosen, last, settings, steps
from numseg.cli._options import apply_to, check_ending
from numseg.errors import ArgumentError

if TYPE_CHECKING:
    from numseg.data.colours import ColourTable
    from numseg.typing import Array

EXAMPLES = """examples:
  numseg crf cat.jpg rough.png --out mask.png --picture before-after.png
  numseg crf cat.jpg scribbles.png --scribbles --gt-probability 0.95 --out mask.png
  numseg crf cat.jpg scores.npy --probabilities --out mask.png --out refined.npy
  numseg crf cat.jpg energies.npz --key unary --settings deeplab-v2-vgg --out mask.png
  numseg crf cat.jpg rough.png --sxy 60 --srgb 8 --compat 5 --smooth-compat 0 --out mask.png

GUESS is one of
  a label picture  a pixel's number is its label (grey or palette); 255 says nothing. Or of colours:
                   each is a label of its own, black and what is transparent say nothing
                   with --scribbles
  .npy, .npz       integers (rows, columns): the same; or numbers (labels, rows, columns): energies,
                   which are -log of probabilities; with --probabilities, these

Of the energies and two terms mean field finds the labels: pixels near each other, and pixels near
each other of like colours, pay for different labels (Kraehenbuehl and Koltun, 2011). --sxy, --srgb
and --compat are of the second term, --smooth-sxy and --smooth-compat of the first; a weight of 0
leaves a term out. A weight for each label is attraction, too; a matrix in a file says what each
label pays for each other one. --settings takes published values, which other options change.

--out NAME.png is the mask, with the labels of GUESS; --out NAME.npy the probabilities (labels,
rows, columns), float32. --picture draws the picture, GUESS and the result side by side.
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "crf",
        help="refine a mask, scribbles or scores to the borders in a picture",
        description="Refine labels to the borders in a picture, by a dense CRF.",
        epilog=EXAMPLES,
    )
    add = parser.add_argument
    add("image", metavar="IMAGE", type=Path, help="a picture, grey or colour")
    add("guess", metavar="GUESS", type=Path, help="its labels, probabilities or energies")
    add(
        "--out", metavar="PNG | NPY", type=Path, action="append", required=True,
        help="the mask; or, or also, the probabilities",
    )  # fmt: skip
    add("--picture", metavar="PNG", type=Path, help="draw before and after")
    add("--settings", metavar="NAME", help="published values, by name")
    add_crf(parser.add_argument_group("the CRF").add_argument)
    add = parser.add_argument_group("labels").add_argument
    add("--gt-probability", metavar="P", type=float, help="that a label is right (0.7)")
    add("--ignore-index", metavar="N", type=_ignored, help="label to leave open, or none (255)")
    add(
        "--scribbles", action="store_const", const=True, help="0, black or transparent is open, too"
    )
    add = parser.add_argument_group("arrays").add_argument
    add("--probabilities", action="store_const", const=True, help="GUESS holds probabilities")
    add("--key", metavar="NAME", help="the array in a .npz file that has several")


def _ignored(text: str) -> int:
    return -1 if text.lower() == "none" else int(text)


MOST = 2**30
"""Labels times pixels: several arrays are as large, of 4 bytes each."""

LABELS = ("gt_probability", "ignore_index", "scribbles")


class _Guess(NamedTuple):
    """What is known before."""

    energy: Array
    """(L, H, W), float32."""
    labels: Array
    """(H, W): the number of each pixel's label; -1 where it is open."""
    numbers: Array
    """(L,): what labels are called in masks."""
    colours: Array | None
    """(256, 3), uint8: what masks show labels in."""


def run(args: argparse.Namespace) -> None:
    import numpy as np

    from numseg import data
    from numseg.cli._panels import beside
    from numseg.cli._running import progress
    from numseg.files import write_all

    crf = chosen(args, Crf() if args.settings is None else settings(args.settings))
    _check_outputs(args)
    image = data.read_image(args.image)
    guess = _read(args, image)
    tqdm = progress()
    run = steps(image, guess.energy, crf)
    q = next(run)
    if crf.iterations:
        q = last(tqdm(run, total=crf.iterations, desc="crf", unit="step", dynamic_ncols=True))
    found = q.argmax(axis=0)
    mask = guess.numbers[found]
    files = {path: _encoded(path, mask, q, guess.colours) for path in args.out}
    if args.picture is not None:
        shown = np.where(guess.labels < 0, -1, guess.numbers[guess.labels])
        files[args.picture] = beside(image, [shown, mask], guess.colours)
    write_all(files)
    print(*files, sep="\n")
    known = guess.labels >= 0
    changed = np.count_nonzero(known & (found != guess.labels))
    print(f"{100 * changed / max(known.sum(), 1):6.2f} %  of the labels are others than before")
    counts = np.bincount(found.ravel(), minlength=len(q))
    for number, count in zip(guess.numbers, counts, strict=True):
        print(f"{100 * count / found.size:6.2f} %  {number}")


def _check_outputs(args: argparse.Namespace) -> None:
    """Nothing is written over what is read, nor twice, nor under another kind's name."""
    from numseg.files import check_writable

    seen = {path.resolve(): path for path in (args.image, args.guess)}
    for path in args.out:
        check_ending("--out", path, (".png", ".npy"), "a mask")
    if args.picture is not None:
        check_ending("--picture", args.picture, (".png",), "a picture")
    for path in [*args.out, *filter(None, [args.picture])]:
        if path.resolve() in seen:
            raise ArgumentError(f"{path} would be written over {seen[path.resolve()]}")
        seen[path.resolve()] = path
        check_writable(path)


def _read(args: argparse.Namespace, image: Array) -> _Guess:
    from numseg import data
    from numseg.interop import npz

    if args.guess.suffix.lower() not in (".npy", ".npz"):
        apply_to(args, ["probabilities", "key"], "arrays", f"{args.guess}, a picture")
        if args.guess.suffix.lower() in (".jpg", ".jpeg"):
            raise ArgumentError(f"{args.guess}: JPEG changes the numbers of labels: save it as PNG")
        clear = bool(args.scribbles)
        table = data.read_colours(args.guess, clear)
        labels = data.read_pair(args.image, args.guess, table, clear)[1]
        return _of_labels(args, labels, table)
    array = npz.load_one(args.guess, args.key)
    if array.dtype.kind in "iub" and array.ndim == 2:
        apply_to(args, ["probabilities"], "floats", f"{args.guess}, integers")
        _check_size(args, array.shape, image)
        return _of_labels(args, array.astype("int64"), None)
    apply_to(args, LABELS, "labels", f"{args.guess}, an array of {array.dtype} {array.shape}")
    return _of_scores(args, array, image)


def _check_size(args: argparse.Namespace, size: tuple[int, ...], image: Array) -> None:
    if size != image.shape[1:]:
        (rows, columns), (h, w) = size, image.shape[1:]
        raise ArgumentError(f"{args.guess} is {rows} x {columns}, but {args.image} is {h} x {w}")


def _of_labels(args: argparse.Namespace, labels: Array, table: ColourTable | None) -> _Guess:
    """Each label that is there is as likely as it is said to be, the others share the rest."""
    import numpy as np

    from numseg import checks
    from numseg.interop.pydensecrf.utils import unary_from_labels

    certain = 0.7 if args.gt_probability is None else args.gt_probability
    if not 0 < checks.real("--gt-probability", certain) < 1:
        raise ArgumentError(f"--gt-probability must lie between 0 and 1, got {certain}")
    ignored = [255 if args.ignore_index is None else args.ignore_index]
    ignored += [0] if args.scribbles else []
    left_open = np.isin(labels, ignored)
    numbers, place = np.unique(labels[~left_open], return_inverse=True)
    if len(numbers) < 2:
        there = f"the label {numbers[0]} alone" if len(numbers) else "no label"
        but = " and ".join(str(n) for n in np.unique(labels[left_open]))
        but = f" ({but} left open)" if but else ""
        hint = ": --ignore-index none counts 255" if (labels == 255).any() else ""
        raise ArgumentError(f"{args.guess} has {there}{but}, expected two or more{hint}")
    if len(numbers) * labels.size > MOST:
        raise ArgumentError(
            f"{args.guess} has {len(numbers)} labels and {labels.size} pixels, expected a product "
            f"of at most {MOST}"
        )
    _check_smooth_edges(args, np.bincount(place.ravel()))
    compact = np.full(labels.shape, -1)
    compact[~left_open] = place.ravel()
    energy = unary_from_labels(compact + 1, len(numbers), certain)
    colours = None if table is None else table.shown(int(numbers.max()) + 1)
    return _Guess(energy.reshape(-1, *labels.shape), compact, numbers, colours)


def _check_smooth_edges(args: argparse.Namespace, counts: Array) -> None:
    """A brush with smooth edges leaves a few pixels of many labels."""
    few = int((counts < 0.01 * counts.sum()).sum())
    if few > max(3, len(counts) // 2):
        warnings.warn(
            f"{few} of {len(counts)} labels in {args.guess} have less than 1 % of its labelled "
            "pixels each: lines with smooth edges leave such labels, draw without",
            stacklevel=2,
        )


def _of_scores(args: argparse.Namespace, array: Array, image: Array) -> _Guess:
    """Energies, or probabilities, as they are."""
    import numpy as np

    from numseg.interop.pydensecrf.utils import unary_from_softmax

    size = image.shape[1:]
    if array.ndim != 3 or array.dtype.kind not in "fiu":
        raise ArgumentError(
            f"{args.guess} is an array {array.shape} of {array.dtype}, expected (labels, rows, "
            "columns) numbers, or (rows, columns) integers"
        )
    if array.shape[1:] != size and array.shape[:2] == size:
        raise ArgumentError(
            f"{args.guess} has shape {array.shape}, expected (labels, {size[0]}, {size[1]}): "
            "np.moveaxis(a, -1, 0)"
        )
    _check_size(args, array.shape[1:], image)
    if len(array) < 2:
        raise ArgumentError(f"{args.guess} has {len(array)} label, expected two or more")
    energy = array.astype(np.float32)
    if not np.isfinite(energy).all():
        wrong = energy[~np.isfinite(energy)][0]
        raise ArgumentError(f"{args.guess} holds {wrong}, expected finite numbers")
    like = energy.min() >= 0 and energy.max() <= 1 and np.allclose(energy.sum(0), 1, atol=1e-3)
    if args.probabilities:
        if energy.min() < 0 or energy.max() > 1.001:
            worst = energy.min() if energy.min() < 0 else energy.max()
            raise ArgumentError(f"{args.guess} holds {worst}, expected probabilities in [0, 1]")
        energy = unary_from_softmax(energy).reshape(energy.shape)
    elif like:
        warnings.warn(
            f"{args.guess} is taken for energies, but sums to 1: --probabilities, if it holds them",
            stacklevel=2,
        )
    return _Guess(energy, energy.argmin(axis=0), np.arange(len(energy)), None)


def _encoded(path: Path, mask: Array, q: Array, colours: Array | None) -> bytes:
    """A mask, or an array of probabilities."""
    import numpy as np

    from numseg import data

    if path.suffix.lower() == ".npy":
        out = io.BytesIO()
        np.save(out, np.ascontiguousarray(q))
        return out.getvalue()
    return data.encode_mask(mask, colours)
