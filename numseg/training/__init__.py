"""Training: optimisers, the loop, scores, checkpoints, and predictions on whole pictures."""

from __future__ import annotations

from numseg.training.average_precision import AveragePrecision, Curve, average_precision
from numseg.training.balance import Frequencies, class_weights
from numseg.training.batches import (
    Batch,
    DetectionBatch,
    DetectionSampling,
    Sampling,
    batches,
    detection_batches,
)
from numseg.training.boundary import boundary_f1, mean_boundary_f1
from numseg.training.checkpoints import (
    Checkpoint,
    load_checkpoint,
    load_network,
    make_network,
    save_checkpoint,
)
from numseg.training.coco import CocoScores, coco_scores
from numseg.training.detecting import (
    DetectionScores,
    detect_each,
    detection_scores,
    load_detector,
    make_detector,
)
from numseg.training.detection_pictures import mistakes_picture, precision_recall_picture
from numseg.training.detections import Outcome, Outcomes, outcomes
from numseg.training.history import write_history
from numseg.training.logs import TensorBoard
from numseg.training.loop import Epoch, Trained, train
from numseg.training.losses import Loss
from numseg.training.metrics import Scores, confusion_matrix, scores
from numseg.training.mistakes import Mistake, mistakes
from numseg.training.optimisers import SGD, Adam, Optimiser
from numseg.training.predict import Judged, evaluate, evaluate_each, predict, predict_logits
from numseg.training.proposals import ProposalRecall, proposal_recall
from numseg.training.recipe import Recipe
from numseg.training.stepping import Step

__all__ = [
    "SGD",
    "Adam",
    "AveragePrecision",
    "Batch",
    "Checkpoint",
    "CocoScores",
    "Curve",
    "DetectionBatch",
    "DetectionSampling",
    "DetectionScores",
    "Epoch",
    "Frequencies",
    "Judged",
    "Loss",
    "Mistake",
    "Optimiser",
    "Outcome",
    "Outcomes",
    "ProposalRecall",
    "Recipe",
    "Sampling",
    "Scores",
    "Step",
    "TensorBoard",
    "Trained",
    "average_precision",
    "batches",
    "boundary_f1",
    "class_weights",
    "coco_scores",
    "confusion_matrix",
    "detect_each",
    "detection_batches",
    "detection_scores",
    "evaluate",
    "evaluate_each",
    "load_checkpoint",
    "load_detector",
    "load_network",
    "make_detector",
    "make_network",
    "mean_boundary_f1",
    "mistakes",
    "mistakes_picture",
    "outcomes",
    "precision_recall_picture",
    "predict",
    "predict_logits",
    "proposal_recall",
    "save_checkpoint",
    "scores",
    "train",
    "write_history",
]
