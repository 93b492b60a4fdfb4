"""The streaming form of each metric."""

from __future__ import annotations

from typing import Any

import numpy as np

from .accuracy import accuracy, balance, top_k
from .agreement import correlation, kappa
from .confusion import arranged
from .likelihood import log_loss, surprise
from .metric import _Counted, _Kept, _Mean
from .precision import per_class, ratio
from .ranking import average_precision, roc_auc
from .regression import mae, mape, median_ae, mse, r2, rmse


class Accuracy(_Mean):
    """`accuracy`, batch by batch."""

    function = staticmethod(accuracy)


class TopK(_Mean):
    """`top_k`, batch by batch."""

    function = staticmethod(top_k)


class Mse(_Mean):
    """`mse`, batch by batch."""

    function = staticmethod(mse)


class Mae(_Mean):
    """`mae`, batch by batch."""

    function = staticmethod(mae)


class Mape(_Mean):
    """`mape`, batch by batch."""

    function = staticmethod(mape)


class LogLoss(_Mean):
    """`log_loss`, batch by batch; probabilities of shape (N, C)."""

    function = staticmethod(log_loss)


class Perplexity(_Mean):
    """`perplexity`, batch by batch."""

    def update(self, prediction: Any, target: Any) -> None:
        total, count = surprise(prediction, target, **self.options)
        self.total, self.count = self.total + total, self.count + count

    def compute(self) -> float:
        return float(np.exp(super().compute()))


class Confusion(_Counted):
    """`confusion`, batch by batch."""

    def _from(self, classes: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        return arranged("confusion", classes, matrix, **self.options)


class BalancedAccuracy(_Counted):
    """`balanced_accuracy`, batch by batch."""

    def _from(self, classes: np.ndarray, matrix: np.ndarray) -> float:
        return balance(matrix, **self.options)


class CohenKappa(_Counted):
    """`cohen_kappa`, batch by batch."""

    def _from(self, classes: np.ndarray, matrix: np.ndarray) -> float:
        options = dict(self.options)
        return kappa(arranged("cohen_kappa", classes, matrix, options.pop("labels", None)), **options)


class Matthews(_Counted):
    """`matthews`, batch by batch."""

    def _from(self, classes: np.ndarray, matrix: np.ndarray) -> float:
        return correlation(matrix)


class Precision(_Counted):
    """`precision`, batch by batch, of one label a sample."""

    name = "precision"

    def __init__(
        self, average: str | None = "binary", *, labels: Any = None, pos_label: Any = 1, zero_division: Any = "warn"
    ) -> None:
        super().__init__(average=average, labels=labels, pos_label=pos_label, zero_division=zero_division)

    def _from(self, classes: np.ndarray, matrix: np.ndarray) -> Any:
        average, labels, pos_label, zero_division = self.options.values()
        counts = per_class(self.name, classes, matrix, average, labels, pos_label)
        return ratio(self.name, counts, average, zero_division)


class Recall(Precision):
    """`recall`, batch by batch."""

    name = "recall"


class F1(Precision):
    """`f1`, batch by batch."""

    name = "f1"


class Rmse(_Kept):
    """`rmse`, batch by batch."""

    function = staticmethod(rmse)


class MedianAe(_Kept):
    """`median_ae`, batch by batch."""

    function = staticmethod(median_ae)


class R2(_Kept):
    """`r2`, batch by batch."""

    function = staticmethod(r2)


class RocAuc(_Kept):
    """`roc_auc`, batch by batch."""

    function = staticmethod(roc_auc)


class AveragePrecision(_Kept):
    """`average_precision`, batch by batch."""

    function = staticmethod(average_precision)
