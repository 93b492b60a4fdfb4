"""Metrics of predictions, as functions, and batch by batch.

Every metric takes `(prediction, target)`, the order of the losses, as ndarrays, Tensors or sequences, and computes in
float64. A prediction of classes is either labels of shape (N,) or scores of shape (N, C), of which the largest counts.
The classes (`Accuracy`, `F1`, …) are the same with `update`, `compute` and `reset`.
"""

from __future__ import annotations

from .accuracy import accuracy, balanced_accuracy, top_k
from .agreement import cohen_kappa, matthews
from .confusion import confusion, plot_confusion
from .likelihood import log_loss, perplexity
from .metric import Metric
from .precision import f1, precision, recall
from .ranking import average_precision, roc_auc
from .regression import mae, mape, median_ae, mse, r2, rmse
from .streaming import (
    F1,
    R2,
    Accuracy,
    AveragePrecision,
    BalancedAccuracy,
    CohenKappa,
    Confusion,
    LogLoss,
    Mae,
    Mape,
    Matthews,
    MedianAe,
    Mse,
    Perplexity,
    Precision,
    Recall,
    Rmse,
    RocAuc,
    TopK,
)

__all__ = [
    "F1",
    "R2",
    "Accuracy",
    "AveragePrecision",
    "BalancedAccuracy",
    "CohenKappa",
    "Confusion",
    "LogLoss",
    "Mae",
    "Mape",
    "Matthews",
    "MedianAe",
    "Metric",
    "Mse",
    "Perplexity",
    "Precision",
    "Recall",
    "Rmse",
    "RocAuc",
    "TopK",
    "accuracy",
    "average_precision",
    "balanced_accuracy",
    "cohen_kappa",
    "confusion",
    "f1",
    "log_loss",
    "mae",
    "mape",
    "matthews",
    "median_ae",
    "mse",
    "perplexity",
    "plot_confusion",
    "precision",
    "r2",
    "recall",
    "rmse",
    "roc_auc",
    "top_k",
]
