"""Metrics against scikit-learn, on random labels of every kind."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import spinetail as st
from spinetail.evaluate import metrics

sk = pytest.importorskip("sklearn.metrics")


def labels(seed: int, classes: int, size: int, kind: str = "int"):
    rng = np.random.default_rng(seed)
    true, predicted = rng.integers(0, classes, size), rng.integers(0, classes, size)
    predicted = np.where(rng.random(size) < 0.6, true, predicted)
    if kind == "str":
        names = np.array([f"c{i}" for i in range(classes)])
        return names[predicted], names[true]
    if kind == "float":
        return predicted.astype(np.float32), true.astype(np.float64)
    return predicted, true


@pytest.mark.parametrize("kind", ["int", "str", "float"])
@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("size", [1, 2, 9, 200])
def test_labels(kind, classes, size):
    for seed in range(5):
        predicted, true = labels(seed, classes, size, kind)
        assert metrics.accuracy(predicted, true) == pytest.approx(sk.accuracy_score(true, predicted), abs=1e-12)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wanted = sk.confusion_matrix(true, predicted)
        np.testing.assert_array_equal(metrics.confusion(predicted, true), wanted)
        for average in ("micro", "macro", "weighted", None):
            for zero in (0, 1, np.nan):
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    wanted = sk.precision_recall_fscore_support(true, predicted, average=average, zero_division=zero)
                for ours, theirs in zip((metrics.precision, metrics.recall, metrics.f1), wanted, strict=False):
                    found = ours(predicted, true, average, zero_division=zero)
                    np.testing.assert_allclose(found, theirs, atol=1e-12, err_msg=f"{ours.__name__} {average} {zero}")


def test_binary():
    predicted, true = labels(3, 2, 50)
    for ours, theirs in (
        (metrics.precision, sk.precision_score),
        (metrics.recall, sk.recall_score),
        (metrics.f1, sk.f1_score),
    ):
        assert ours(predicted, true) == pytest.approx(theirs(true, predicted), abs=1e-12)
        assert ours(predicted, true, pos_label=0) == pytest.approx(theirs(true, predicted, pos_label=0), abs=1e-12)
    with pytest.raises(ValueError, match="two classes, but there are 3"):
        metrics.f1([0, 1, 2], [0, 1, 2])
    with pytest.raises(ValueError, match="pos_label=5"):
        metrics.f1([0, 1], [0, 1], pos_label=5)


def test_chosen_labels():
    predicted, true = labels(1, 5, 60)
    for chosen in ([3, 1], [0, 4, 9]):
        for average in ("micro", "macro", "weighted", None):
            wanted = sk.recall_score(true, predicted, labels=chosen, average=average, zero_division=0)
            found = metrics.recall(predicted, true, average, labels=chosen, zero_division=0)
            np.testing.assert_allclose(found, wanted, atol=1e-12)
    np.testing.assert_array_equal(
        metrics.confusion(predicted, true, [3, 1]), sk.confusion_matrix(true, predicted, labels=[3, 1])
    )


def test_zero_division_warns():
    with pytest.warns(UserWarning, match="no predicted samples"):
        assert metrics.precision([0, 0], [0, 1], average=None).tolist() == [0.5, 0.0]
    with pytest.raises(ValueError, match="zero_division"):
        metrics.precision([0, 1], [0, 1], zero_division=2)


def test_scores():
    rng = np.random.default_rng(0)
    scores, true = rng.normal(size=(80, 6)), rng.integers(0, 6, 80)
    assert metrics.accuracy(scores, true) == pytest.approx(np.mean(scores.argmax(1) == true))
    for k in (1, 2, 5, 6):
        wanted = sk.top_k_accuracy_score(true, scores, k=k, labels=range(6)) if k < 6 else 1.0
        assert metrics.top_k(scores, true, k) == pytest.approx(wanted, abs=1e-12)
    assert metrics.top_k(np.zeros((2, 3)), [0, 2], 1) == 0.5  # of equal scores the lower class wins
    assert metrics.accuracy(st.tensor([[0.1, 0.9]]), st.tensor([1])) == 1.0


def test_roc_auc():
    rng = np.random.default_rng(1)
    for size in (3, 10, 300):
        true = np.concatenate([[0, 1], rng.integers(0, 2, size)])
        scores = np.round(rng.normal(size=len(true)) + true, 1)  # rounding makes ties
        assert metrics.roc_auc(scores, true) == pytest.approx(sk.roc_auc_score(true, scores), abs=1e-12)
    true = np.concatenate([np.arange(4), rng.integers(0, 4, 100)])
    scores = rng.dirichlet(np.ones(4), len(true))
    for average in ("macro", "weighted", None):
        wanted = sk.roc_auc_score(true, scores, multi_class="ovr", average=average)
        np.testing.assert_allclose(metrics.roc_auc(scores, true, average), wanted, atol=1e-12)
    with pytest.raises(ValueError, match="no sample of class 2"):
        metrics.roc_auc(np.ones((2, 3)) / 3, [0, 1])


@pytest.mark.parametrize("shape", [(7,), (7, 3)])
def test_regression(shape):
    rng = np.random.default_rng(2)
    true, predicted = rng.normal(size=shape), rng.normal(size=shape)
    assert metrics.mse(predicted, true) == pytest.approx(sk.mean_squared_error(true, predicted), abs=1e-12)
    assert metrics.mae(predicted, true) == pytest.approx(sk.mean_absolute_error(true, predicted), abs=1e-12)
    assert metrics.r2(predicted, true) == pytest.approx(sk.r2_score(true, predicted), abs=1e-12)
    assert metrics.r2([1.0, 1.0], [1.0, 1.0]) == 1.0
    assert metrics.r2([1.0, 2.0], [1.0, 1.0]) == 0.0


@pytest.mark.parametrize(
    ("function", "prediction", "target", "error", "text"),
    [
        (metrics.accuracy, [0, 1], [0], ValueError, "prediction has 2 samples, but target has 1"),
        (metrics.accuracy, [], [], ValueError, "no samples"),
        (metrics.accuracy, [0.0, np.nan], [0, 1], ValueError, "prediction has 1 values that are not finite"),
        (metrics.accuracy, [0, 1], [0.0, np.nan], ValueError, "target has 1 values that are not finite"),
        (metrics.accuracy, [0.2, 0.9], [0, 1], ValueError, "fractional"),
        (metrics.accuracy, [[0.5, 0.5]], [2], IndexError, "class 2, but prediction has scores for 0..1"),
        (metrics.accuracy, [[0.5, 0.5]], [-1], IndexError, "class -1"),
        (metrics.accuracy, [[0.5, np.nan]], [1], ValueError, "not finite"),
        (metrics.accuracy, np.zeros((1, 2, 3)), [1], ValueError, "shape"),
        (metrics.accuracy, ["a"], [1], TypeError, "cannot be compared"),
        (metrics.accuracy, [None], [1], TypeError, "dtype is object"),
        (metrics.top_k, [0, 1], [0, 1], ValueError, "scores of shape"),
        (metrics.mse, [1.0], [1.0, 2.0], ValueError, "shape"),
        (metrics.mse, [1.0], [np.inf], ValueError, "not finite"),
        (metrics.mse, [1j], [1.0], TypeError, "complex128"),
        (metrics.r2, [1.0], [1.0], ValueError, "at least 2"),
        (metrics.roc_auc, [0.5, 0.5], [1, 1], ValueError, "two classes, but it has 1"),
    ],
)
def test_bad_input(function, prediction, target, error, text):
    with pytest.raises(error, match=text):
        function(prediction, target)


def test_bad_options():
    with pytest.raises(ValueError, match="k must be between 1 and 2"):
        metrics.top_k([[0.5, 0.5]], [0], k=3)
    with pytest.raises(ValueError, match="average must be"):
        metrics.precision([0, 1], [0, 1], average="all")
    with pytest.raises(ValueError, match="different classes"):
        metrics.confusion([0, 1], [0, 1], labels=[1, 1])
