"""``numseg crf``: labels, scribbles, scores; what is written; what is refused in one line."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

import numseg as ns
from numseg import crf
from numseg.cli import main
from numseg.data import palette, read_image, read_mask
from numseg.interop.pydensecrf import densecrf, utils

ROWS, COLUMNS = 12, 18
RNG = np.random.default_rng(0)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A picture of two halves, left dark and right bright, and a mask that is off by 3 columns."""
    monkeypatch.chdir(tmp_path)
    pixels = np.where(np.arange(COLUMNS) < 9, 60, 190)[None, :, None] + RNG.integers(
        -9, 9, (ROWS, COLUMNS, 3)
    )
    Image.fromarray(pixels.astype(np.uint8)).save("p.png")
    _mask("rough.png", np.arange(COLUMNS) >= 12)
    return tmp_path


def _mask(name, labels, dtype=np.uint8):
    Image.fromarray(np.broadcast_to(labels, (ROWS, COLUMNS)).astype(dtype)).save(name)


def _run(*argv):
    assert main(["crf", "p.png", *map(str, argv)]) == 0


TRUTH = np.broadcast_to(np.arange(COLUMNS) >= 9, (ROWS, COLUMNS)).astype(int)


def test_a_rough_mask_gets_the_pictures_border(folder, capsys):
    _run("rough.png", "--out", "m.png", "--picture", "seen.png")
    np.testing.assert_array_equal(read_mask("m.png"), TRUTH)
    seen = capsys.readouterr()
    assert seen.out.splitlines() == [
        "m.png",
        "seen.png",
        " 16.67 %  of the labels are others than before",
        " 50.00 %  0",
        " 50.00 %  1",
    ]
    assert "10/10" in seen.err
    picture = read_image("seen.png")
    assert picture.shape == (3, ROWS, 3 * COLUMNS + 8)
    np.testing.assert_array_equal(picture[:, :, :COLUMNS], read_image("p.png"))
    bright = [picture[:, :, at : at + COLUMNS] for at in (COLUMNS + 4, 2 * COLUMNS + 8)]
    for panel, first in zip(bright, (12, 9), strict=True):  # outlines are white
        assert (panel[:, :, first] == 255).all()
        np.testing.assert_array_equal(panel[:, :, :first], read_image("p.png")[:, :, :first])


@pytest.mark.parametrize("kind", ["int64.npy", "uint8.npy", "bool.npy", "only.npz", "many.npz"])
def test_labels_in_arrays(folder, kind):
    labels = read_mask("rough.png")
    key = []
    if kind.endswith(".npy"):
        np.save(kind, labels.astype(kind[:-4]))
    elif kind == "only.npz":
        np.savez(kind, labels=labels)
    else:
        np.savez_compressed(kind, other=labels[:3], mine=labels)
        key = ["--key", "mine"]
    _run(kind, "--out", "a.png", *key)
    _run("rough.png", "--out", "b.png")
    assert (folder / "a.png").read_bytes() == (folder / "b.png").read_bytes()


def test_numbers_of_labels_stay(folder):
    """0 and 255, 3 and 7: masks have what was given, in any number."""
    for low, high in ((0, 255), (3, 7), (7, 300)):
        dtype = np.uint16 if high > 255 else np.uint8
        _mask("l.png", np.where(np.arange(COLUMNS) >= 12, high, low), dtype)
        _run("l.png", "--out", "m.png", "--ignore-index", "none")
        np.testing.assert_array_equal(read_mask("m.png"), np.where(TRUTH, high, low))


def test_255_is_left_open(folder):
    labels = np.full((ROWS, COLUMNS), 255)
    labels[:, :4], labels[:, -4:] = 2, 5
    _mask("l.png", labels)
    _run("l.png", "--out", "m.png", "--gt-probability", "0.9")
    np.testing.assert_array_equal(read_mask("m.png"), np.where(TRUTH, 5, 2))
    labels[labels == 255] = 9
    _mask("l.png", labels)
    _run("l.png", "--out", "n.png", "--gt-probability", "0.9", "--ignore-index", "9")
    assert (folder / "m.png").read_bytes() == (folder / "n.png").read_bytes()


def test_scribbles(folder, capsys):
    labels = np.zeros((ROWS, COLUMNS), int)
    labels[2:9, 3], labels[2:9, 14] = 1, 2
    labels[0, 0] = 255
    _mask("s.png", labels)
    _run(
        "s.png", "--scribbles", "--gt-probability", "0.95", "--out", "m.png", "--picture", "p2.png"
    )
    np.testing.assert_array_equal(read_mask("m.png"), TRUTH + 1)
    assert "  0.00 %  of the labels" in capsys.readouterr().out
    plain = read_image("p2.png")[:, :, COLUMNS + 4 + 6 : COLUMNS + 4 + 13]  # between the strokes
    np.testing.assert_array_equal(plain, read_image("p.png")[:, :, 6:13])


def test_scribbles_in_colours(folder):
    """As painted over black: each colour is a label, from 1 on, and is kept in the mask."""
    red, green = (200, 30, 40), (10, 220, 30)
    painted = np.zeros((ROWS, COLUMNS, 3), np.uint8)
    painted[2:9, 3], painted[2:9, 14] = red, green
    Image.fromarray(painted).save("s.png")
    _run("s.png", "--scribbles", "--gt-probability", "0.95", "--out", "m.png")
    shown = np.asarray(Image.open("m.png").convert("RGB"))
    np.testing.assert_array_equal(shown, np.where(TRUTH[..., None], green, red))
    np.testing.assert_array_equal(np.unique(read_mask("m.png")), [1, 2])
    Image.fromarray(np.where(TRUTH[..., None], red, 0).astype(np.uint8)).save("c.png")
    _run("c.png", "--out", "m.png")  # black is a label without --scribbles
    np.testing.assert_array_equal(read_mask("m.png"), TRUTH)


ENERGY = RNG.uniform(0, 2, (3, ROWS, COLUMNS))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int16"])
def test_energies_of_any_dtype(folder, dtype):
    energy = (10 * ENERGY if dtype == "int16" else ENERGY).astype(dtype)
    np.save("u.npy", energy)
    _run("u.npy", "--out", "q.npy", "--out", "m.png")
    q = np.load("q.npy")
    assert q.dtype == np.float32
    assert q.shape == energy.shape
    np.testing.assert_allclose(q.sum(0), 1, atol=1e-5)
    np.testing.assert_array_equal(read_mask("m.png"), q.argmax(0))


def test_probabilities(folder):
    p = np.exp(-ENERGY) / np.exp(-ENERGY).sum(0)
    np.save("p.npy", p)
    np.save("u.npy", -np.log(p))
    _run("p.npy", "--probabilities", "--out", "a.npy")
    _run("u.npy", "--out", "b.npy")
    np.testing.assert_allclose(np.load("a.npy"), np.load("b.npy"), atol=1e-5)
    p[0], p[1], p[2] = 1, 0, 0
    np.save("p.npy", p)
    _run("p.npy", "--probabilities", "--out", "a.npy")
    assert np.isfinite(np.load("a.npy")).all()


@pytest.mark.parametrize("name", crf.SETTINGS)
def test_settings_are_the_published_ones(folder, name):
    """And an option changes one of them."""
    np.save("u.npy", ENERGY)
    image = read_image("p.png")[None].astype(np.float32)
    how = crf.settings(name).arguments(image)
    _run("u.npy", "--out", "q.npy", "--settings", name)
    unary = ENERGY[None].astype(np.float32)
    np.testing.assert_allclose(np.load("q.npy"), ns.dense_crf(unary, **how)[0], atol=1e-5)
    _run("u.npy", "--out", "q.npy", "--settings", name, "--iterations", "2")
    wanted = ns.dense_crf(unary, **{**how, "iterations": 2})[0]
    np.testing.assert_allclose(np.load("q.npy"), wanted, atol=1e-5)


MATRIX = np.array([[0, 1, 3], [1, -2, 1], [2, 1, 0]], np.float32)
CHOSEN = {
    "usual": ([], {}),
    "widths": (["--sxy", "20,30", "--srgb", "5,6,7", "--smooth-sxy", "2,1"],
               {"sxy": (20, 30), "srgb": (5, 6, 7), "smooth": (2, 1)}),
    "weights": (["--compat", "4", "--smooth-compat", "0.5"], {"compat": 4, "smooth_compat": 0.5}),
    "one term": (["--smooth-compat", "0"], {"smooth_compat": None}),
    "the other": (["--compat", "0"], {"compat": None}),
    "by label": (["--compat", "1,2,3"], {"compat": np.array([-1, -2, -3], np.float32)}),
    "a matrix": (["--compat", "mu.npy"], {"compat": MATRIX}),
    "steps": (["--iterations", "3"], {"iterations": 3}),
    "no step": (["--iterations", "0"], {"iterations": 0}),
    "before": (["--normalization", "before"], {"normalization": 1}),
    "none": (["--normalization", "none"], {"normalization": 0}),
}  # fmt: skip


@pytest.mark.parametrize("name", CHOSEN)
def test_each_option_is_its_parameter(folder, name):
    """Held to pydensecrf's face, whose signs of vectors are others and whose matrices are made
    symmetric: this one's is symmetric but for a column, which is one of the mask's labels."""
    argv, how = CHOSEN[name]
    how = {"sxy": 80, "srgb": 13, "smooth": 3, "compat": 10, "smooth_compat": 3, "iterations": 10,
           "normalization": 3} | how  # fmt: skip
    np.save("u.npy", ENERGY.astype(np.float32))
    np.save("mu.npy", (MATRIX + MATRIX.T) / 2)
    _run("u.npy", "--out", "q.npy", *argv)
    d = densecrf.DenseCRF2D(COLUMNS, ROWS, 3)
    d.setUnaryEnergy(ENERGY.reshape(3, -1).astype(np.float32))
    if how["smooth_compat"] is not None:
        d.addPairwiseGaussian(how["smooth"], how["smooth_compat"], 1, how["normalization"])
    if how["compat"] is not None:
        image = np.ascontiguousarray(np.moveaxis(read_image("p.png"), 0, 2))
        d.addPairwiseBilateral(
            how["sxy"], how["srgb"], image, how["compat"], 1, how["normalization"]
        )
    wanted = d.inference(how["iterations"]).reshape(ENERGY.shape)
    np.testing.assert_allclose(np.load("q.npy"), wanted, atol=1e-5)


def test_a_matrix_says_what_the_row_pays_for_the_column(folder):
    """Where pydensecrf's is made symmetric, this one is taken as it is."""
    np.save("u.npy", np.zeros((2, ROWS, COLUMNS)))
    np.save("mu.npy", np.array([[0.0, 5.0], [0.0, 0.0]]))
    _run("u.npy", "--out", "q.npy", "--compat", "mu.npy", "--smooth-compat", "0", "--iterations", 1)
    assert (np.load("q.npy")[0] < 0.2).all()  # label 0 pays, label 1 does not


def test_the_exact_method(folder):
    """The sum over all pairs, in NumPy."""
    np.save("u.npy", ENERGY)
    _run("u.npy", "--out", "q.npy", "--method", "exact", "--iterations", "2")
    rows, columns = np.indices((ROWS, COLUMNS)).reshape(2, -1)
    colours = read_image("p.png").reshape(3, -1)
    places = np.stack([columns, rows])
    q = np.exp(-ENERGY.reshape(3, -1))
    q /= q.sum(0)
    for _ in range(2):
        z = -ENERGY.reshape(3, -1)
        for weight, f in (
            (3, places / 3), (10, np.concatenate([places / 80, colours / 13]))
        ):  # fmt: skip
            k = np.exp(-0.5 * ((f[:, :, None] - f[:, None]) ** 2).sum(0))
            n = 1 / np.sqrt(k.sum(0))
            z = z + weight * (q * n @ k) * n
        q = np.exp(z - z.max(0))
        q /= q.sum(0)
    np.testing.assert_allclose(np.load("q.npy").reshape(3, -1), q, atol=1e-5)


PICTURES = {
    "grey": lambda pixels: Image.fromarray(pixels[..., 0]),
    "deep grey": lambda pixels: Image.fromarray(pixels[..., 0].astype(np.uint16) * 257),
    "transparent": lambda pixels: Image.fromarray(
        np.dstack([pixels, np.full_like(pixels[..., 0], 255)])
    ),
    "palette": lambda pixels: Image.fromarray(pixels).quantize(64),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_pictures_of_every_kind(folder, kind):
    PICTURES[kind](np.asarray(Image.open("p.png"))).save("p.png")
    _run("rough.png", "--out", "m.png")
    np.testing.assert_array_equal(read_mask("m.png"), TRUTH)


def test_scribbles_on_nothing(folder, capsys):
    """As people draw them: on a transparent layer, with smooth edges."""
    drawn = np.zeros((*TRUTH.shape, 4), np.uint8)
    drawn[..., :3] = 255  # clear white
    drawn[2, 2:4], drawn[2, -4:-2] = (255, 0, 0, 255), (0, 255, 0, 255)
    drawn[3, 2:4] = 255, 30, 30, 128
    Image.fromarray(drawn).save("s.png")
    drawn[drawn[..., 3] < 255] = 0
    Image.fromarray(drawn[..., :3]).save("black.png")
    for name in ("s", "black"):
        _run(f"{name}.png", "--scribbles", "--out", f"{name}.npy")
    np.testing.assert_array_equal(np.load("s.npy"), np.load("black.npy"))
    assert main(["crf", "p.png", "s.png", "--out", "m.png"]) == 2
    assert "is transparent in places" in capsys.readouterr().err


def test_grey_is_three_equal_colours(folder):
    grey = np.asarray(Image.open("p.png"))[..., 0]
    np.save("u.npy", ENERGY)
    Image.fromarray(grey).save("p.png")
    _run("u.npy", "--out", "a.npy")
    Image.fromarray(np.dstack([grey] * 3)).save("p.png")
    _run("u.npy", "--out", "b.npy")
    np.testing.assert_array_equal(np.load("a.npy"), np.load("b.npy"))


def test_a_picture_of_one_pixel(folder):
    """Energies 1 and 2, two terms of weights 3 and 10: 1 + 13 (0.731 - 0.269) after a step."""
    Image.new("RGB", (1, 1)).save("p.png")
    np.save("u.npy", np.array([[[1.0]], [[2.0]]]))
    _run("u.npy", "--out", "q.npy", "--out", "m.png", "--iterations", "1")
    p = 1 / (1 + np.exp(-1))
    wanted = 1 / (1 + np.exp(-(1 + 13 * (2 * p - 1))))
    np.testing.assert_allclose(np.load("q.npy").ravel(), [wanted, 1 - wanted], atol=1e-6)
    assert read_mask("m.png").tolist() == [[0]]


def test_a_photograph_that_is_stored_turned(folder):
    """The mask lies on the picture that one sees, whichever way the rough one was stored."""
    tag = Image.Exif()
    tag[0x0112] = 6
    stored = np.asarray(Image.open("p.png"))
    Image.fromarray(stored).save("p.png", exif=tag)
    _run("rough.png", "--out", "m.png")
    np.testing.assert_array_equal(read_mask("m.png"), np.rot90(TRUTH, -1))


def test_palettes_show_vocs_colours(folder):
    _run("rough.png", "--out", "m.png")
    shown = np.asarray(Image.open("m.png").convert("RGB"))
    np.testing.assert_array_equal(shown, palette()[TRUTH])


def test_the_energies_are_those_of_unary_from_labels(folder):
    _run("rough.png", "--out", "q.npy", "--iterations", "0", "--gt-probability", "0.8")
    energy = utils.unary_from_labels(read_mask("rough.png"), 2, 0.8, zero_unsure=False)
    np.testing.assert_allclose(np.load("q.npy").reshape(2, -1), np.exp(-energy), atol=1e-6)


@pytest.mark.filterwarnings("always")
def test_a_suspicion_is_a_warning(folder, capsys):
    p = np.exp(-ENERGY) / np.exp(-ENERGY).sum(0)
    np.save("p.npy", p)
    _run("p.npy", "--out", "a.npy", "--iterations", "0")
    said = capsys.readouterr().err
    assert "warning: p.npy is taken for energies, but sums to 1: --probabilities" in said
    assert said.count("\n") == 1


@pytest.mark.filterwarnings("always")
def test_smooth_edges_are_a_warning(folder, capsys):
    """A few pixels each of five labels between two that were meant."""
    labels = np.repeat(np.repeat([[1, 9]], 30, 0), 60, 1)
    labels[0, 57:62] = 2, 4, 5, 6, 8
    Image.fromarray(labels.astype(np.uint8)).save("l.png")
    Image.new("RGB", labels.shape[::-1]).save("p.png")
    _run("l.png", "--out", "m.png", "--iterations", "0")
    said = capsys.readouterr().err
    assert "warning: 5 of 7 labels in l.png have less than 1 % of its labelled pixels" in said
    assert said.count("\n") == 1


def _save(name, array):
    np.save(name, array)
    return name


def _noise(name):
    colours = np.random.default_rng(0).integers(0, 256, (ROWS, COLUMNS + 4, 3)).astype(np.uint8)
    Image.fromarray(colours).save(name)
    return name


def _other_size(name):
    Image.new("L", (COLUMNS + 1, ROWS)).save(name)
    return name


def _of(name, labels):
    _mask(name, labels)
    return name


REFUSED = {
    "another size": (
        lambda: [_other_size("l.png")], "l.png: labels are 12 x 19, but p.png is 12 x 18"),
    "an array of another size": (
        lambda: [_save("l.npy", np.zeros((5, 6), int))], "l.npy is 5 x 6, but p.png is 12 x 18"),
    "energies of another size": (
        lambda: [_save("u.npy", np.zeros((2, 5, 6)))], "u.npy is 5 x 6, but p.png is 12 x 18"),
    "labels last": (
        lambda: [_save("u.npy", np.zeros((12, 18, 2)))],
        "u.npy has shape (12, 18, 2), expected (labels, 12, 18): np.moveaxis(a, -1, 0)"),
    "a batch": (
        lambda: [_save("u.npy", np.zeros((1, 2, 12, 18)))],
        "u.npy is an array (1, 2, 12, 18) of float64, expected (labels, rows, columns) numbers"),
    "complex numbers": (
        lambda: [_save("u.npy", np.zeros((2, 12, 18), complex))], "of complex128, expected"),
    "no numbers": (
        lambda: [_save("u.npy", np.full((2, 12, 18), np.nan))],
        "u.npy holds nan, expected finite numbers"),
    "one energy": (
        lambda: [_save("u.npy", np.zeros((1, 12, 18)))],
        "u.npy has 1 label, expected two or more"),
    "one label": (
        lambda: [_of("l.png", 4)], "l.png has the label 4 alone, expected two or more"),
    "one label and 255": (
        lambda: [_of("l.png", np.arange(COLUMNS) // 9 * 255)],
        "l.png has the label 0 alone (255 left open), expected two or more: --ignore-index none"),
    "nothing drawn": (
        lambda: [_of("l.png", 0), "--scribbles"],
        "l.png has no label (0 left open), expected two or more"),
    "a photograph for labels": (
        lambda: [_noise("n.png")], "n.png: has 264 colours, expected at most 254, a label each"),
    "labels as JPEG": (
        lambda: ["l.jpg"], "l.jpg: JPEG changes the numbers of labels: save it as PNG"),
    "no probabilities": (
        lambda: [_save("u.npy", np.full((2, 12, 18), 3.0)), "--probabilities"],
        "u.npy holds 3.0, expected probabilities in [0, 1]"),
    "probabilities below 0": (
        lambda: [_save("u.npy", np.full((2, 12, 18), -1.0)), "--probabilities"],
        "u.npy holds -1.0, expected probabilities in [0, 1]"),
    "probabilities in a picture": (
        lambda: ["rough.png", "--probabilities"],
        "--probabilities is for arrays, not for rough.png, a picture"),
    "scribbles in energies": (
        lambda: [_save("u.npy", np.zeros((2, 12, 18))), "--scribbles"],
        "--scribbles is for labels, not for u.npy, an array of float64"),
    "a key of none": (
        lambda: [_save("u.npy", np.zeros((2, 12, 18))), "--key", "u"],
        "u.npy: is one array, of which none is called 'u'"),
    "no array": (
        lambda: [shutil.copy("p.png", "u.npy")], "u.npy: is neither a .npy file nor a .npz file"),
    "objects": (
        lambda: [_save("u.npy", np.array([{}], object))], "u.npy: is of dtype object, expected"),
    "a certain truth": (
        lambda: ["rough.png", "--gt-probability", "1"],
        "--gt-probability must lie between 0 and 1, got 1.0"),
    "steps": (
        lambda: ["rough.png", "--iterations", "-1"], "--iterations must be at least 0, got -1"),
    "a width of 0": (
        lambda: ["rough.png", "--sxy", "0"], "--sxy must be positive and at most 2147483647"),
    "three widths": (
        lambda: ["rough.png", "--sxy", "1,2,3"], "--sxy has 3 numbers, expected one or 2"),
    "two widths of colours": (
        lambda: ["rough.png", "--srgb", "1,2"], "--srgb has 2 numbers, expected one or 3"),
    "a word for a weight": (
        lambda: ["rough.png", "--compat", "much"],
        "--compat wants a number, one for each label, or a .npy file: 'much'"),
    "three weights for two labels": (
        lambda: ["rough.png", "--smooth-compat", "1,2,3"],
        "--smooth-compat has shape (3,), expected a number, 2 numbers or 2 x 2"),
    "a setting that is none": (
        lambda: ["rough.png", "--settings", "mine"], "must be one of "),
    "no picture of a mask": (
        lambda: ["no.png"], "no.png: no such file"),
    "over the picture": (
        lambda: ["rough.png", "--out", "p.png"], "p.png would be written over p.png"),
    "over the mask": (
        lambda: ["rough.png", "--picture", "rough.png"], "rough.png would be written over"),
    "twice": (
        lambda: ["rough.png", "--out", "o.png"], "o.png would be written over o.png"),
    "as JPEG": (
        lambda: ["rough.png", "--out", "m.jpg"], "--out m.jpg: a mask ends in .png or .npy, not"),
    "a picture as text": (
        lambda: ["rough.png", "--picture", "m.txt"], "a picture ends in .png, not in .txt"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_errors_are_one_line_and_leave_nothing(folder, capsys, name):
    argv, message = REFUSED[name]
    argv = argv()
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert main(["crf", "p.png", *argv, "--out", "o.png"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("numseg crf: error: ")
    assert message in said.err
    assert said.err.count("\n") == 1
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_more_labels_than_memory_has_room_for(folder, capsys, monkeypatch):
    monkeypatch.setattr("numseg.cli.crf.MOST", 2 * ROWS * COLUMNS)
    _run("rough.png", "--out", "m.png")
    _mask("l.png", np.arange(COLUMNS) // 6)
    assert main(["crf", "p.png", "l.png", "--out", "o.png"]) == 2
    assert "l.png has 3 labels and 216 pixels, expected a product of at most 432" in (
        capsys.readouterr().err
    )


def test_what_is_no_number(folder, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["crf", "p.png", "rough.png", "--out", "o.png", "--sxy", "wide"])
    assert "argument --sxy: wants numbers, got 'wide'" in capsys.readouterr().err


def test_arrays_that_are_several(folder, capsys):
    np.savez("a.npz", x=np.zeros((2, ROWS, COLUMNS)), y=np.zeros(3))
    assert main(["crf", "p.png", "a.npz", "--out", "o.png"]) == 2
    assert "a.npz: has the arrays x, y, expected one" in capsys.readouterr().err
    assert main(["crf", "p.png", "a.npz", "--key", "z", "--out", "o.png"]) == 2
    assert "a.npz: has the arrays x, y, expected 'z'" in capsys.readouterr().err


def test_help_has_examples_of_every_kind(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["crf", "--help"])
    said = capsys.readouterr().out
    for word in ("rough.png", "--scribbles", "--probabilities", "--settings", "GUESS is one of"):
        assert word in said
