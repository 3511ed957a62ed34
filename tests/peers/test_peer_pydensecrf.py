"""pydensecrf's face beside pydensecrf2 itself: every method, signs, errors, whole scripts.

The peer finds simplices in float32 and sums in another order, so marginals agree to a few units of
1e-5; labels are the same.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest

from numseg.data import photograph
from numseg.interop import pydensecrf as ours

peer_crf = pytest.importorskip("pydensecrf.densecrf")
peer_utils = pytest.importorskip("pydensecrf.utils")
peer_eigen = pytest.importorskip("pydensecrf.eigen")

pytestmark = pytest.mark.peers
MODULES = {
    "peer": (peer_crf, peer_utils, peer_eigen),
    "ours": (ours.densecrf, ours.utils, ours.eigen),
}
F32 = np.float32
POINTS, LABELS = 60, 3  # a multiple of 4: the peer fills up with points at 0
RNG = np.random.default_rng(0)
UNARY = RNG.uniform(0, 3, (LABELS, POINTS)).astype(F32)
FEATURES = RNG.normal(0, 1.5, (4, POINTS)).astype(F32)
COMPATS = {
    "number": 2.0,
    "numpy's number": np.float32(1.5),
    "negative": -1.0,
    "integer": 3,
    "bool": True,
    "vector": np.array([0.5, -1.0, 2.0], F32),
    "matrix": RNG.normal(size=(LABELS, LABELS)).astype(F32),
}
NORMALIZATIONS = range(4)


def _both(run):
    """What a function of (densecrf, utils, eigen) gives with the peer, and with ours."""
    return [run(*modules) for modules in MODULES.values()]


def _agree(run, atol=2e-5):
    theirs, mine = ([np.array(a) for a in found] for found in _both(run))
    for wanted, found in zip(theirs, mine, strict=True):
        assert found.shape == wanted.shape
        assert found.dtype == wanted.dtype
        np.testing.assert_allclose(found, wanted, rtol=0, atol=atol)


@pytest.mark.parametrize("compat", COMPATS)
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_inference_for_every_compatibility(normalization, compat):
    def run(crf, *_):
        d = crf.DenseCRF(POINTS, LABELS)
        d.setUnaryEnergy(UNARY)
        d.addPairwiseEnergy(FEATURES, COMPATS[compat], normalization=normalization)
        return [d.inference(n) for n in range(4)]

    _agree(run)


@pytest.mark.parametrize("kernel", [0, 1, 2])
def test_the_type_of_kernel_makes_no_difference(kernel):
    def run(crf, *_):
        d = crf.DenseCRF(POINTS, LABELS)
        d.setUnaryEnergy(UNARY)
        d.addPairwiseEnergy(FEATURES, 3, kernel, crf.NormalizationType.NORMALIZE_BEFORE)
        d.addPairwiseEnergy(FEATURES[:2].copy(), 1, crf.KernelType(kernel))
        return [d.inference(3)]

    _agree(run)


@pytest.mark.parametrize("compat", COMPATS)
def test_steps_and_divergences(compat):
    """Marginals are stepped in place; the divergence of each is that of the peer's own."""

    def run(crf, *_):
        d = crf.DenseCRF(POINTS, LABELS)
        d.setUnaryEnergy(UNARY)
        d.addPairwiseEnergy(FEATURES, COMPATS[compat])
        q, tmp1, tmp2 = d.startInference()
        found = []
        for _ in range(4):
            found += [np.array(q), np.array(tmp1), np.array(tmp2), np.float64(d.klDivergence(q))]
            assert d.stepInference(q, tmp1, tmp2) is None
        return [*found, np.array(q)]

    _agree(run, atol=1e-4)


def test_without_unary_energies():
    """Marginals begin at 0 in startInference, and are uniform in inference."""

    def run(crf, *_):
        d = crf.DenseCRF(POINTS, LABELS)
        d.addPairwiseEnergy(FEATURES, np.array([1, 0, -1], F32))
        q, a, b = d.startInference()
        start = np.array(q)
        d.stepInference(q, a, b)
        return [
            start,
            q,
            d.inference(0),
            d.inference(2),
            np.float64(d.klDivergence(d.inference(1))),
        ]

    _agree(run)


def test_without_pairwise_terms_and_other_counts_of_steps():
    def run(crf, *_):
        d = crf.DenseCRF(POINTS, LABELS)
        d.setUnaryEnergy(UNARY)
        return [d.inference(5), d.inference(-1), d.inference(2.0), d.inference(niter=np.int64(1))]

    _agree(run)


def test_kinds_of_unary_energies():
    weights = RNG.normal(size=(LABELS, 5)).astype(F32)
    seen = RNG.normal(size=(5, POINTS)).astype(F32)
    square = RNG.normal(size=(POINTS, POINTS)).astype(F32)

    def run(crf, *_):
        d = crf.DenseCRF(POINTS, LABELS)
        found = []
        for unary in (crf.ConstUnary(UNARY), crf.LogisticUnary(weights, seen), crf.Unary()):
            d.setUnary(unary)
            found.append(np.array(d.inference(1)))
        d.setUnaryEnergy(UNARY, square)
        found.append(np.array(d.inference(0)))
        d.setUnaryEnergy(UNARY, None)
        return [*found, d.inference(0)]

    _agree(run)


def test_matrices():
    def run(crf, _, eigen):
        d = crf.DenseCRF(POINTS, LABELS)
        d.setUnaryEnergy(UNARY)
        d.addPairwiseEnergy(FEATURES, 2)
        q = eigen.matrixXf(np.abs(UNARY))
        before = np.float64(d.klDivergence(q))
        d.stepInference(q, eigen.MatrixXf(), eigen.MatrixXf())
        return [before, q, eigen.vectorXf(UNARY[0].copy()), eigen.MatrixXf(), eigen.VectorXf()]

    _agree(run, atol=1e-4)


def _photograph(name, step=3):
    return np.ascontiguousarray(np.moveaxis(photograph(name), 0, 2)[::step, ::step])


def _rough(shape, labels, seed=0):
    """Squares, some of whose pixels have another label."""
    rng = np.random.default_rng(seed)
    squares = np.add.outer(np.arange(shape[0]) // 17, np.arange(shape[1]) // 23) % labels
    return np.where(rng.random(shape) < 0.3, rng.integers(0, labels, shape), squares)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize(
    ("name", "labels"), [("astronaut", 2), ("coffee", 5), ("chelsea", 21), ("chelsea", 2)]
)
def test_photographs(name, labels, normalization):
    image = _photograph(name)
    height, width = image.shape[:2]
    weight = 0.02 if normalization == 0 else 1  # K is not divided by n

    def run(crf, utils, _):
        d = crf.DenseCRF2D(width, height, labels)
        unary = utils.unary_from_labels(_rough((height, width), labels), labels, 0.6, False)
        d.setUnaryEnergy(unary)
        d.addPairwiseGaussian(sxy=(3, 2), compat=3 * weight, normalization=normalization)
        d.addPairwiseBilateral(40, (13, 11, 15), image, 8 * weight, normalization=normalization)
        return [d.inference(5), d.inference(10)], d.klDivergence(d.inference(5))

    (theirs, their_kl), (mine, my_kl) = _both(run)
    for wanted, found in zip(map(np.array, theirs), mine, strict=True):
        atol = 1e-4 if normalization else 1e-3  # sums of thousands, before the softmax
        np.testing.assert_allclose(found, wanted, rtol=0, atol=atol)
        assert (found.argmax(0) == wanted.argmax(0)).mean() >= 0.9999
    assert my_kl == pytest.approx(their_kl, rel=1e-3)  # its last term is summed in float32


def test_a_2d_crf_is_one_of_points():
    """The tools make rows first, the methods columns first: the lattice differs, K hardly does."""
    image = _photograph("astronaut", 8)
    height, width = image.shape[:2]

    def run(crf, utils, _):
        unary = utils.unary_from_labels(_rough((height, width), 2), 2, 0.7, False)
        d, e = crf.DenseCRF(width * height, 2), crf.DenseCRF2D(width, height, 2)
        d.setUnaryEnergy(unary)
        d.addPairwiseEnergy(utils.create_pairwise_gaussian((3, 4), (height, width)), compat=3)
        seen = utils.create_pairwise_bilateral((20, 30), (13, 14, 15), image, chdim=2)
        d.addPairwiseEnergy(seen, compat=10)
        e.setUnaryEnergy(unary)
        e.addPairwiseGaussian((4, 3), 3)
        e.addPairwiseBilateral((30, 20), (13, 14, 15), image, 10)
        e.addPairwiseEnergy(seen, 1)
        return [d.inference(5), e.inference(5)]

    _agree(run, atol=2e-4)


LABEL_MAP = np.array([[0, 1, 2], [2, 2, 0]])
SOFT = RNG.dirichlet(np.ones(3), (4, 5)).transpose(2, 0, 1)
IMAGE = RNG.integers(0, 256, (4, 5, 3)).astype(np.uint8)
UTILS = {
    "labels": lambda u: u.unary_from_labels(LABEL_MAP, 2, 0.7),
    "labels with 0": lambda u: u.unary_from_labels(LABEL_MAP, 3, gt_prob=0.9, zero_unsure=False),
    "labels without 0": lambda u: u.unary_from_labels(LABEL_MAP + 1, 3, 0.5),
    "compute_unary": lambda u: u.compute_unary(LABEL_MAP, 2),
    "compute_unary, certain": lambda u: u.compute_unary(LABEL_MAP, M=4, GT_PROB=0.99),
    "softmax": lambda u: u.unary_from_softmax(SOFT),
    "softmax, scaled": lambda u: u.unary_from_softmax(SOFT, scale=0.8, clip=None),
    "softmax, clipped": lambda u: u.unary_from_softmax(SOFT, 0.8, 0.3),
    "softmax of float32": lambda u: u.unary_from_softmax(SOFT.astype(F32), scale=0.3),
    "softmax of 0 and 1": lambda u: u.unary_from_softmax(np.array([[0, 1], [1, 0]])),
    "softmax_to_unary": lambda u: u.softmax_to_unary(SOFT),
    "softmax_to_unary, scaled": lambda u: u.softmax_to_unary(SOFT, 0.5),
    "gaussian": lambda u: u.create_pairwise_gaussian((3, 4), (4, 5)),
    "gaussian of a volume": lambda u: u.create_pairwise_gaussian([1, 2, 0.5], shape=(2, 3, 4)),
    "bilateral": lambda u: u.create_pairwise_bilateral((3, 4), (9, 8, 7), IMAGE, chdim=2),
    "bilateral, one width": lambda u: u.create_pairwise_bilateral((3, 4), 9.5, IMAGE, 2),
    "bilateral, channels first": lambda u: u.create_pairwise_bilateral((3, 4), (9,), IMAGE.T, 0),
    "bilateral of grey": lambda u: u.create_pairwise_bilateral((3, 4), (9,), IMAGE[..., 0]),
    "bilateral of floats": lambda u: u.create_pairwise_bilateral((1, 1), 0.01, SOFT, chdim=0),
    "bilateral, few widths": lambda u: u.create_pairwise_bilateral((3,), (9,), IMAGE, chdim=2),
}


@pytest.mark.parametrize("call", UTILS)
def test_utils_to_the_last_bit(call):
    theirs, mine = _both(lambda _, utils, __: UTILS[call](utils))
    assert mine.dtype == theirs.dtype == F32
    np.testing.assert_array_equal(mine, theirs)


def _points(crf):
    return crf.DenseCRF(POINTS, LABELS)


def _pixels(crf):
    return crf.DenseCRF2D(5, 4, LABELS)


REFUSED = {
    "energies of float64": lambda c, u: _points(c).setUnaryEnergy(UNARY.astype(float)),
    "energies of float16": lambda c, u: _points(c).setUnaryEnergy(UNARY.astype(np.float16)),
    "energies in another order": lambda c, u: _points(c).setUnaryEnergy(UNARY.T.copy().T),
    "energies of another shape": lambda c, u: _points(c).setUnaryEnergy(UNARY[:, :5].copy()),
    "energies, transposed": lambda c, u: _points(c).setUnaryEnergy(UNARY.T.copy()),
    "energies of an image": lambda c, u: _points(c).setUnaryEnergy(UNARY.reshape(LABELS, 6, 10)),
    "no energies": lambda c, u: _points(c).setUnaryEnergy(None),
    "energies for a Unary": lambda c, u: _points(c).setUnary(UNARY),
    "features of float64": lambda c, u: _points(c).addPairwiseEnergy(FEATURES.astype(float), 1),
    "features, transposed": lambda c, u: _points(c).addPairwiseEnergy(FEATURES.T.copy(), 1),
    "no features": lambda c, u: _points(c).addPairwiseEnergy(FEATURES[:0], 1),
    "a list for compat": lambda c, u: _points(c).addPairwiseEnergy(FEATURES, [1, 2, 3]),
    "compat of float64": lambda c, u: _points(c).addPairwiseEnergy(FEATURES, np.ones(3)),
    "compat of no axis": lambda c, u: _points(c).addPairwiseEnergy(FEATURES, np.array(1, F32)),
    "compat of three axes": lambda c, u: _points(c).addPairwiseEnergy(
        FEATURES, np.ones((1, 1, 1), F32)
    ),
    "a complex compat": lambda c, u: _points(c).addPairwiseEnergy(FEATURES, 1j),
    "a word for steps": lambda c, u: _points(c).inference("two"),
    "an image of floats": lambda c, u: _pixels(c).addPairwiseBilateral(3, 3, IMAGE / F32(255), 1),
    "an image, transposed": lambda c, u: _pixels(c).addPairwiseBilateral(
        3, 3, IMAGE.transpose(1, 0, 2).copy(), 1
    ),
    "a grey image": lambda c, u: _pixels(c).addPairwiseBilateral(3, 3, IMAGE[..., 0].copy(), 1),
    "one channel": lambda c, u: _pixels(c).addPairwiseBilateral(3, 3, IMAGE[..., :1].copy(), 1),
    "a mirrored image": lambda c, u: _pixels(c).addPairwiseBilateral(3, 3, IMAGE[:, ::-1], 1),
    "no image": lambda c, u: _pixels(c).addPairwiseBilateral(3, 3, None, 1),
    "words for widths": lambda c, u: _pixels(c).addPairwiseGaussian("ab", 1),
    "no widths": lambda c, u: _pixels(c).addPairwiseGaussian(None, 1),
    "labels of floats": lambda c, u: u.unary_from_labels(np.array([1.0, 2.0]), 2, 0.5),
    "labels beyond": lambda c, u: u.unary_from_labels(np.array([1, 255]), 2, 0.5),
    "one label": lambda c, u: u.unary_from_labels(np.array([1, 1]), 1, 0.5),
    "a certain truth": lambda c, u: u.unary_from_labels(np.array([1, 1]), 2, 1.0),
    "a scale beyond 1": lambda c, u: u.unary_from_softmax(SOFT, scale=2),
    "more widths than axes": lambda c, u: u.create_pairwise_gaussian((1, 2, 3), (4, 5)),
    "more widths than channels": lambda c, u: u.create_pairwise_bilateral(
        (1, 2), (1, 2), IMAGE[..., 0]
    ),
}


@pytest.mark.parametrize("call", REFUSED)
def test_what_the_peer_refuses_is_refused(call):
    """By ValueError and TypeError where it raises these, so that what catches them still does."""
    with pytest.raises(Exception) as theirs:  # noqa: PT011
        REFUSED[call](peer_crf, peer_utils)
    kinds = tuple(k for k in (ValueError, TypeError) if issubclass(theirs.type, k)) or (ValueError,)
    with pytest.raises(kinds) as mine:
        REFUSED[call](ours.densecrf, ours.utils)
    assert str(mine.value).count("\n") == 0


ENDS_THE_PROCESS = {
    "features that are NaN": "crf.DenseCRF(6, 2).addPairwiseEnergy(np.full((2, 6), np.nan, f), 1)",
    "features out of range": "crf.DenseCRF(6, 2).addPairwiseEnergy(np.full((2, 6), 1e30, f), 1)",
    "a width of 0": "crf.DenseCRF2D(3, 2, 2).addPairwiseGaussian(0, 1)",
    "a Unary of None": "crf.DenseCRF(6, 2).setUnary(None)",
    "a negative size": "crf.DenseCRF(-1, 2).inference(1)",
    "no label": "crf.DenseCRF(6, 0).inference(1)",
    "marginals of None": "crf.DenseCRF(6, 2).klDivergence(None)",
}
SILENT = {
    "energies of another shape": "crf.DenseCRF(6, 2).setUnary(crf.ConstUnary(np.ones((2, 3), f)))",
    "too long a vector": "crf.DenseCRF(6, 2).addPairwiseEnergy(np.ones((2, 6), f), np.ones(3, f))",
    "too large a matrix": (
        "crf.DenseCRF(6, 2).addPairwiseEnergy(np.ones((2, 6), f), np.ones((3, 3), f))"
    ),
    "a normalization of 9": "crf.DenseCRF(6, 2).addPairwiseEnergy(np.ones((2, 6), f), 1, 1, 9)",
}


def _alone(module, call):
    script = f"import numpy as np, {module}.densecrf as crf\nf = np.float32\n{call}\n"
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("call", ENDS_THE_PROCESS)
def test_what_ends_the_peers_process_is_an_error(call):
    assert _alone("pydensecrf", ENDS_THE_PROCESS[call]).returncode < 0
    with pytest.raises(ValueError, match=r"^DenseCRF") as error:
        exec(ENDS_THE_PROCESS[call], {"crf": ours.densecrf, "np": np, "f": F32})
    assert str(error.value).count("\n") == 0


@pytest.mark.parametrize("call", SILENT)
def test_what_the_peer_passes_over_is_an_error(call):
    assert _alone("pydensecrf", SILENT[call]).returncode == 0
    with pytest.raises(ValueError, match=r"^DenseCRF"):
        exec(SILENT[call], {"crf": ours.densecrf, "np": np, "f": F32})


def _read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


ONLY_OURS = {
    "read-only arrays": lambda c, u: _points(c).setUnaryEnergy(_read_only(UNARY)),
    "0 among labels of uint8": lambda c, u: u.unary_from_labels(np.array([0, 1], np.uint8), 2, 0.5),
    "marginals of one's own": lambda c, u: _points(c).klDivergence(np.abs(UNARY)),
    "fewer features than points": lambda c, u: _points(c).setUnaryEnergy(
        UNARY[:, :4].copy(), FEATURES
    ),
    "sizes by name": lambda c, u: c.DenseCRF2D(w=3, h=2, nlabels=2),
    "names of kernels": lambda c, u: [c.DIAG_KERNEL, c.FULL_KERNEL, c.CONST_KERNEL],
    "names of normalizations": lambda c, u: [c.NORMALIZE_SYMMETRIC, c.NO_NORMALIZATION],
}


@pytest.mark.parametrize("call", ONLY_OURS)
def test_what_only_numseg_takes(call):
    """Other builds of pydensecrf have the names of kernels in densecrf, pydensecrf2 1.1 not."""
    with pytest.raises((ValueError, TypeError, IndexError, AttributeError)):
        ONLY_OURS[call](peer_crf, peer_utils)
    ONLY_OURS[call](ours.densecrf, ours.utils)


SCRIPTS = {
    "from labels": """
        import numpy as np
        import pydensecrf.densecrf as dcrf
        from pydensecrf.utils import unary_from_labels

        names, labels = np.unique(rough, return_inverse=True)
        labels = labels.reshape(rough.shape)
        n_labels = len(names) - 1
        d = dcrf.DenseCRF2D(image.shape[1], image.shape[0], n_labels)
        d.setUnaryEnergy(unary_from_labels(labels, n_labels, gt_prob=0.7, zero_unsure=True))
        d.addPairwiseGaussian(sxy=(3, 3), compat=3)
        d.addPairwiseBilateral(sxy=(80, 80), srgb=(13, 13, 13), rgbim=image, compat=10)
        result = np.argmax(d.inference(5), axis=0).reshape(image.shape[:2])
    """,
    "from probabilities": """
        import numpy as np
        import pydensecrf.densecrf as dcrf
        import pydensecrf.utils as utils

        p = np.stack([(rough == label) * 0.6 + 0.2 for label in range(3)])
        p /= p.sum(axis=0)
        d = dcrf.DenseCRF2D(image.shape[1], image.shape[0], len(p))
        d.setUnaryEnergy(np.ascontiguousarray(utils.unary_from_softmax(p)))
        d.addPairwiseGaussian(sxy=1, compat=3)
        d.addPairwiseBilateral(sxy=49, srgb=5, rgbim=image, compat=4)
        q = np.array(d.inference(10)).reshape((len(p), *image.shape[:2]))
        result = q.argmax(0)
    """,
    "of points, step by step": """
        import numpy as np
        import pydensecrf.densecrf as dcrf
        from pydensecrf.utils import compute_unary, create_pairwise_bilateral
        from pydensecrf.utils import create_pairwise_gaussian

        d = dcrf.DenseCRF(image.shape[0] * image.shape[1], 3)
        d.setUnaryEnergy(compute_unary(rough.flatten() + 1, 3))
        feats = create_pairwise_gaussian(sdims=(3, 3), shape=image.shape[:2])
        how = dcrf.NormalizationType.NORMALIZE_SYMMETRIC
        d.addPairwiseEnergy(feats, compat=3, kernel=dcrf.KernelType.DIAG_KERNEL, normalization=how)
        feats = create_pairwise_bilateral((80, 80), (13, 13, 13), img=image, chdim=2)
        d.addPairwiseEnergy(feats, compat=10, kernel=dcrf.KernelType.FULL_KERNEL)
        Q, tmp1, tmp2 = d.startInference()
        for i in range(5):
            print(f"KL divergence at {i}: {d.klDivergence(Q):.4g}")
            d.stepInference(Q, tmp1, tmp2)
        result = np.argmax(Q, axis=0)
    """,
    "grey, in one channel": """
        import numpy as np
        import pydensecrf.densecrf as dcrf
        from pydensecrf.utils import create_pairwise_bilateral, unary_from_labels

        grey = image.mean(axis=2)
        d = dcrf.DenseCRF2D(grey.shape[1], grey.shape[0], 2)
        d.setUnaryEnergy(unary_from_labels(rough.ravel(), 2, 0.6))
        pairwise = create_pairwise_bilateral(sdims=(10, 10), schan=(8.0,), img=grey, chdim=-1)
        d.addPairwiseEnergy(pairwise, compat=np.array([[0, 5], [4, 0]], np.float32))
        result = np.argmax(d.inference(10), axis=0)
    """,
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_run_with_their_imports_changed(script, capsys):
    image = _photograph("chelsea")
    rough = _rough(image.shape[:2], 3)
    text, results, printed = textwrap.dedent(SCRIPTS[script]), [], []
    for module in ("pydensecrf", "numseg.interop.pydensecrf"):
        names = {"image": image.copy(), "rough": rough.copy()}
        exec(text.replace("pydensecrf.", f"{module}."), names)
        results.append(names["result"])
        printed.append(capsys.readouterr().out)
    assert results[0].shape == results[1].shape
    assert len(np.unique(results[0])) > 1
    assert (results[0] == results[1]).mean() >= 0.9999
    if printed[0]:
        theirs, mine = ([float(line.split()[-1]) for line in p.splitlines()] for p in printed)
        np.testing.assert_allclose(mine, theirs, rtol=2e-3)
