"""``pydensecrf.densecrf``: fully connected CRFs whose pairwise terms are Gaussians of features.

Mean field (Krähenbühl and Koltun, 2011), with the permutohedral lattice of every term built when it
is added, and kept: ``Q <- softmax(-U - sum over terms of mu K Q)``. Of a term's ``compat`` it takes

====================  =================================================================
a number w            ``mu = -w I``: equal labels attract each other
an array, (L,)        ``mu = +diag(compat)``, the opposite sign
an array, (L, L)      ``mu = (compat + compat.T) / 2``: only the symmetric half counts
====================  =================================================================
"""

from __future__ import annotations

import enum
from numbers import Number
from typing import Any

import numpy as np

from numseg import checks
from numseg.checks import named
from numseg.crf.stepwise import MeanField
from numseg.errors import ArgumentError, ArgumentTypeError, shown
from numseg.interop.pydensecrf.door import array, whole, widths
from numseg.typing import Array

__all__ = [
    "CONST_KERNEL",
    "DIAG_KERNEL",
    "FULL_KERNEL",
    "NORMALIZE_AFTER",
    "NORMALIZE_BEFORE",
    "NORMALIZE_SYMMETRIC",
    "NO_NORMALIZATION",
    "ConstUnary",
    "DenseCRF",
    "DenseCRF2D",
    "KernelType",
    "LogisticUnary",
    "NormalizationType",
    "Unary",
]


class KernelType(enum.IntEnum):
    """What of a kernel could be learned, by code that pydensecrf has no door to. In inference all
    three are the same."""

    CONST_KERNEL = 0
    DIAG_KERNEL = 1
    FULL_KERNEL = 2


class NormalizationType(enum.IntEnum):
    """With n = K 1: ``K Q``, ``K (Q / n)``, ``(K Q) / n``, ``n^-1/2 K (n^-1/2 Q)``."""

    NO_NORMALIZATION = 0
    NORMALIZE_BEFORE = 1
    NORMALIZE_AFTER = 2
    NORMALIZE_SYMMETRIC = 3


NORMALIZATIONS = ("none", "before", "after", "symmetric")
"""What numseg calls them."""

CONST_KERNEL, DIAG_KERNEL, FULL_KERNEL = KernelType
NO_NORMALIZATION, NORMALIZE_BEFORE, NORMALIZE_AFTER, NORMALIZE_SYMMETRIC = NormalizationType


class Unary:
    """The energy of each label at each point, for ``setUnary``. One as such is no energy."""

    energy: Array | None = None


class ConstUnary(Unary):
    """Energies as given, (nlabels, nvar) float32: ``-log`` of probabilities."""

    @named("ConstUnary")
    def __init__(self, u: Any) -> None:
        self.energy = array("u", u, np.float32, "nlabels nvar").copy()


class LogisticUnary(Unary):
    """The energies ``L @ f`` of weights (nlabels, D) and features (D, nvar), float32."""

    @named("LogisticUnary")
    def __init__(self, L: Any, f: Any) -> None:
        weights = array("L", L, np.float32, "nlabels features")
        features = array("f", f, np.float32, "features nvar")
        if weights.shape[1] != features.shape[0]:
            raise ArgumentError(
                f"L has shape {weights.shape}, but f has {features.shape}: {weights.shape[1]} "
                f"features against {features.shape[0]}"
            )
        self.energy = weights @ features


class DenseCRF:
    """A CRF of points, each connected with each other.

    Parameters
    ----------
    nvar : int
        Points.
    nlabels : int
        Labels.
    """

    @named("DenseCRF")
    def __init__(self, nvar: int, nlabels: int, *_: Any, **__: Any) -> None:
        self._nvar = whole("nvar", nvar, minimum=1)
        self._nlabel = whole("nlabels", nlabels, minimum=1)
        self._unary: Array | None = None
        self._field = MeanField(self._nlabel, self._nvar)

    @named("DenseCRF.setUnary")
    def setUnary(self, u: Unary) -> None:
        """Set the energies of labels; those set before are forgotten.

        Raises
        ------
        ArgumentError
            For energies of another shape, or in which a label costs NaN or -inf, or all labels of a
            point cost inf.
        """
        if not isinstance(u, Unary):
            raise ArgumentTypeError(f"u must be a Unary, got {shown(u)}")
        self._unary = None if u.energy is None else self._checked(u.energy)

    @named("DenseCRF.setUnaryEnergy")
    def setUnaryEnergy(self, u: Any, f: Any = None) -> None:
        """Set the energies of labels: ``setUnary(ConstUnary(u))`` or ``LogisticUnary(u, f)``.

        Parameters
        ----------
        u : array, (nlabels, nvar), float32, C-contiguous
            ``-log`` of probabilities. With ``f``, (nlabels, D).
        f : array, (D, nvar), float32, C-contiguous, optional
        """
        if f is None:
            self._unary = self._checked(array("u", u, np.float32, "nlabels nvar"))
        else:
            self.setUnary(LogisticUnary(u, f))

    def _checked(self, energy: Array) -> Array:
        """A copy of energies that are as they should be."""
        checks.shape("u", energy, (self._nlabel, self._nvar), "nlabels, nvar")
        wrong = np.isnan(energy) | (energy == -np.inf) | (energy == np.inf).all(axis=0)
        if wrong.any():
            label, point = np.argwhere(wrong)[0]
            raise ArgumentError(
                f"u has the energy {energy[label, point]} for label {label} at point {point}, "
                "expected numbers (inf, where another label of the point has a number)"
            )
        return energy.copy()

    @named("DenseCRF.addPairwiseEnergy")
    def addPairwiseEnergy(
        self,
        features: Any,
        compat: Any,
        kernel: int = DIAG_KERNEL,
        normalization: int = NORMALIZE_SYMMETRIC,
    ) -> None:
        """Add a Gaussian term: ``K(i, j) = exp(-|f_i - f_j|^2 / 2)``, approximated on the lattice.

        Parameters
        ----------
        features : array, (D, nvar), float32, C-contiguous
            Divided by their widths.
        compat : float, or array of float32, (nlabels,) or (nlabels, nlabels)
            See this module.
        kernel : KernelType
            Makes no difference.
        normalization : NormalizationType
        """
        given = array("features", features, np.float32, "D nvar")
        if given.shape[1] != self._nvar or not given.shape[0]:
            raise ArgumentError(
                f"features has shape {given.shape}, expected (at least 1, {self._nvar}) (D, nvar)"
            )
        whole("kernel", kernel, minimum=0)
        self._add(given, compat, kernel, normalization)

    def _add(self, features: Array, compat: Any, kernel: Any, normalization: Any) -> None:
        """Of features (D, nvar)."""
        _one_of(KernelType, "kernel", kernel)
        how = _one_of(NormalizationType, "normalization", normalization)
        if not np.isfinite(features).all():
            row, point = np.argwhere(~np.isfinite(features))[0]
            found = features[row, point]
            raise ArgumentError(f"features[{row}, {point}] is {found}, expected finite numbers")
        try:
            self._field.add(features, self._compat(compat), NORMALIZATIONS[how])
        except ArgumentError as error:  # of what ns.dense_crf suggests, this has the widths
            raise ArgumentError(str(error).removesuffix(', or take method="exact"')) from None

    def _compat(self, compat: Any) -> Array:
        """As ``ns.dense_crf`` has it: there a vector attracts, too."""
        if isinstance(compat, Number):
            return np.array(checks.real("compat", compat + 0), np.float32)  # type: ignore[operator]
        given = np.asarray(compat)
        if given.ndim not in (1, 2):
            raise ArgumentError(
                f"compat has {given.ndim} axes, expected a number, {self._nlabel} numbers or "
                f"{self._nlabel} x {self._nlabel}"
            )
        axes = " ".join(["nlabels"] * given.ndim)
        given = array("compat", given, np.float32, axes)
        checks.shape("compat", given, (self._nlabel,) * given.ndim, axes.replace(" ", ", "))
        if not np.isfinite(given).all():
            raise ArgumentError(f"compat holds {given[~np.isfinite(given)][0]}, expected numbers")
        return (given + given.T) / np.float32(2) if given.ndim == 2 else -given

    @named("DenseCRF.inference")
    def inference(self, niter: int) -> Array:
        """The marginals after ``niter`` steps of mean field, (nlabels, nvar) float32."""
        count = whole("niter", niter)
        return self._field.steps(self._energy(), self._field.start(self._energy()), max(count, 0))

    def startInference(self) -> tuple[Array, Array, Array]:
        """The marginals before the first step, and two arrays that ``stepInference`` also wants.
        Without unary energies, marginals are 0 before the first step."""
        energy = self._energy()
        q = np.zeros_like(energy) if self._unary is None else self._field.start(energy)
        return q, np.zeros((0, 0), np.float32), np.zeros((0, 0), np.float32)

    @named("DenseCRF.stepInference")
    def stepInference(self, Q: Array, tmp1: Any, tmp2: Any) -> None:
        """One step of mean field, in place: Q is (nlabels, nvar) float32. ``tmp1`` and ``tmp2`` are
        left as they are."""
        self._check_marginals(Q)
        Q[...] = self._field.steps(self._energy(), np.ascontiguousarray(Q))

    @named("DenseCRF.klDivergence")
    def klDivergence(self, Q: Array) -> float:
        """``sum Q log Q + sum Q U + sum Q (mu K Q)``, over points and labels, in float64.

        It is the divergence of Q from the CRF up to a constant but for its last term, which counts
        each pair of points twice.
        """
        self._check_marginals(Q)
        q, energy = np.ascontiguousarray(Q), self._energy()
        total = np.sum(q * np.log(np.maximum(q, np.float32(1e-20))), dtype=np.float64)
        total += np.sum(np.multiply(energy, q, out=np.zeros_like(q), where=q > 0), dtype=np.float64)
        return float(total - np.sum(q * self._field.messages(q), dtype=np.float64))

    def _check_marginals(self, Q: Any) -> None:
        if not isinstance(Q, np.ndarray) or Q.dtype != np.float32:
            found = f"an array of {Q.dtype}" if isinstance(Q, np.ndarray) else shown(Q)
            raise ArgumentTypeError(f"Q must be an array of float32, got {found}")
        checks.shape("Q", Q, (self._nlabel, self._nvar), "nlabels, nvar")

    def _energy(self) -> Array:
        """(nlabels, nvar); zeros where none are set."""
        if self._unary is None:
            return np.zeros((self._nlabel, self._nvar), np.float32)
        return self._unary


class DenseCRF2D(DenseCRF):
    """A CRF of an image's pixels, in the order of rows.

    Parameters
    ----------
    w, h : int
        Columns and rows.
    nlabels : int
    """

    @named("DenseCRF2D")
    def __init__(self, w: int, h: int, nlabels: int, *_: Any, **__: Any) -> None:
        self._w, self._h = whole("w", w, minimum=1), whole("h", h, minimum=1)
        super().__init__(self._w * self._h, nlabels)

    @named("DenseCRF2D.addPairwiseGaussian")
    def addPairwiseGaussian(
        self,
        sxy: Any,
        compat: Any,
        kernel: int = DIAG_KERNEL,
        normalization: int = NORMALIZE_SYMMETRIC,
    ) -> None:
        """Add a term of the pixels' places: columns and rows divided by ``sxy``, one width or two.
        Neighbours get the same label. The rest as :meth:`addPairwiseEnergy`."""
        self._add(self._places(sxy), compat, kernel, normalization)

    @named("DenseCRF2D.addPairwiseBilateral")
    def addPairwiseBilateral(
        self,
        sxy: Any,
        srgb: Any,
        rgbim: Any,
        compat: Any,
        kernel: int = DIAG_KERNEL,
        normalization: int = NORMALIZE_SYMMETRIC,
    ) -> None:
        """Add a term of the pixels' places and colours: near pixels of like colours get the same
        label.

        Parameters
        ----------
        sxy : float or pair of float
            Widths of columns and rows, in pixels.
        srgb : float or three of them
            Widths of red, green and blue.
        rgbim : array, (h, w, 3), uint8, C-contiguous
        compat, kernel, normalization
            As :meth:`addPairwiseEnergy`.
        """
        image = array("rgbim", rgbim, np.uint8, "h w 3")
        if image.shape != (self._h, self._w, 3):
            more = ""
            if image.shape[:2] == (self._h, self._w):
                more = ": for other images, utils.create_pairwise_bilateral makes features"
            raise ArgumentError(
                f"rgbim has shape {image.shape}, expected {(self._h, self._w, 3)} (h, w, 3){more}"
            )
        colours = image.reshape(-1, 3).T.astype(np.float32) / widths("srgb", srgb, 3)[:, None]
        features = np.concatenate([self._places(sxy), colours])
        self._add(features, compat, kernel, normalization)

    def _places(self, sxy: Any) -> Array:
        """Column and row of each pixel divided by the widths, (2, points)."""
        rows, columns = np.indices((self._h, self._w), np.float32)
        places = np.stack([columns.ravel(), rows.ravel()])
        return places / widths("sxy", sxy, 2)[:, None]


def _one_of(kind: type[enum.IntEnum], name: str, value: Any) -> enum.IntEnum:
    number = whole(name, value)
    if number not in list(kind):
        known = ", ".join(f"{member.name} ({member.value})" for member in kind)
        raise ArgumentError(f"{name} must be one of {known}, got {shown(value)}")
    return kind(number)
