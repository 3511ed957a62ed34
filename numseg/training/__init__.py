"""Training: optimisers, the loop, scores, checkpoints, and predictions on whole pictures."""

from __future__ import annotations

from numseg.training.balance import Frequencies, class_weights
from numseg.training.batches import Batch, Sampling, batches
from numseg.training.boundary import boundary_f1, mean_boundary_f1
from numseg.training.checkpoints import (
    Checkpoint,
    load_checkpoint,
    load_network,
    make_network,
    save_checkpoint,
)
from numseg.training.history import write_history
from numseg.training.logs import TensorBoard
from numseg.training.loop import Epoch, Trained, train
from numseg.training.losses import Loss
from numseg.training.metrics import Scores, confusion_matrix, scores
from numseg.training.optimisers import SGD, Adam, Optimiser
from numseg.training.predict import Judged, evaluate, evaluate_each, predict, predict_logits
from numseg.training.recipe import Recipe
from numseg.training.stepping import Step

__all__ = [
    "SGD",
    "Adam",
    "Batch",
    "Checkpoint",
    "Epoch",
    "Frequencies",
    "Judged",
    "Loss",
    "Optimiser",
    "Recipe",
    "Sampling",
    "Scores",
    "Step",
    "TensorBoard",
    "Trained",
    "batches",
    "boundary_f1",
    "class_weights",
    "confusion_matrix",
    "evaluate",
    "evaluate_each",
    "load_checkpoint",
    "load_network",
    "make_network",
    "mean_boundary_f1",
    "predict",
    "predict_logits",
    "save_checkpoint",
    "scores",
    "train",
    "write_history",
]
