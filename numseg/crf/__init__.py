"""Dense conditional random fields: published settings, and what inference minimises.

Inference itself is :func:`numseg.dense_crf`; :func:`numseg.nets.crf_rnn` puts it behind a network.
"""

from __future__ import annotations

from numseg.crf.energies import Divergence, Energy, energy, kl_divergence
from numseg.crf.settings import SETTINGS, Settings, Term, settings

__all__ = [
    "SETTINGS",
    "Divergence",
    "Energy",
    "Settings",
    "Term",
    "energy",
    "kl_divergence",
    "settings",
]
