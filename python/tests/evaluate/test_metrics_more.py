"""Further metrics, several labels a sample, and the streaming forms, against scikit-learn on generated data."""

from __future__ import annotations

import io
import warnings
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from hypothesis.extra import numpy as arrays

import spinetail as st
from spinetail.evaluate import metrics

sk = pytest.importorskip("sklearn.metrics")
pytestmark = pytest.mark.filterwarnings("ignore")
QUICK = settings(max_examples=60, deadline=None)


@some.composite
def labelled(draw, least=1):
    """(predicted, true), of up to 5 classes with any numbers."""
    classes = np.array(draw(some.lists(some.integers(-9, 9), min_size=1, max_size=5, unique=True)))
    size = draw(some.integers(least, 40))
    pick = arrays.arrays(np.int64, size, elements=some.integers(0, len(classes) - 1))
    return classes[draw(pick)], classes[draw(pick)]


@some.composite
def scored(draw):
    """(scores, true): rows of probabilities with ties, and every class in the target."""
    classes = draw(some.integers(3, 5))
    size = draw(some.integers(classes, 30))
    raw = draw(arrays.arrays(np.int64, (size, classes), elements=some.integers(1, 6))).astype(np.float64)
    rest = draw(arrays.arrays(np.int64, size - classes, elements=some.integers(0, classes - 1)))
    return raw / raw.sum(axis=1, keepdims=True), np.concatenate([np.arange(classes), rest])


numbers = some.floats(-1e3, 1e3, allow_nan=False, width=32)


def agree(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


@QUICK
@given(labelled())
def test_labels(pair):
    predicted, true = pair
    agree(metrics.accuracy(predicted, true), sk.accuracy_score(true, predicted))
    agree(metrics.matthews(predicted, true), sk.matthews_corrcoef(true, predicted))
    agree(metrics.balanced_accuracy(predicted, true), sk.balanced_accuracy_score(true, predicted))
    if len(np.unique(true)) > 1:
        agree(
            metrics.balanced_accuracy(predicted, true, True), sk.balanced_accuracy_score(true, predicted, adjusted=True)
        )
    for weights in (None, "linear", "quadratic"):
        if len(np.union1d(true, predicted)) > 1:
            wanted = sk.cohen_kappa_score(true, predicted, weights=weights)
            agree(metrics.cohen_kappa(predicted, true, weights=weights), wanted)
    for normalize in ("true", "pred", "all", None):
        wanted = sk.confusion_matrix(true, predicted, normalize=normalize)
        agree(metrics.confusion(predicted, true, normalize=normalize), wanted)
    for average in ("micro", "macro", "weighted", None):
        for zero in (0, 1, np.nan):
            wanted = sk.precision_recall_fscore_support(true, predicted, average=average, zero_division=zero)
            for ours, theirs in zip((metrics.precision, metrics.recall, metrics.f1), wanted, strict=False):
                agree(ours(predicted, true, average, zero_division=zero), theirs)


@QUICK
@given(some.data())
def test_several_labels_a_sample(data):
    shape = data.draw(some.tuples(some.integers(1, 12), some.integers(2, 4)))
    elements = some.integers(0, 1)
    predicted, true = (data.draw(arrays.arrays(np.int64, shape, elements=elements)) for _ in range(2))
    for average in ("micro", "macro", "weighted", "samples", None):
        for zero in (0, 1, np.nan):
            wanted = sk.precision_recall_fscore_support(true, predicted, average=average, zero_division=zero)
            for ours, theirs in zip((metrics.precision, metrics.recall, metrics.f1), wanted, strict=False):
                agree(ours(predicted, true, average, zero_division=zero), theirs)


@QUICK
@given(scored())
def test_scores(pair):
    scores, true = pair
    binarized = (true[:, None] == np.arange(scores.shape[1])).astype(int)
    for average in ("macro", "weighted", "micro", None):
        agree(metrics.roc_auc(scores, true, average), sk.roc_auc_score(binarized, scores, average=average))
        wanted = sk.average_precision_score(binarized, scores, average=average)
        agree(metrics.average_precision(scores, true, average), wanted)
    for average in ("macro", "weighted"):
        wanted = sk.roc_auc_score(true, scores, average=average, multi_class="ovo")
        agree(metrics.roc_auc(scores, true, average, "ovo"), wanted)
    agree(metrics.log_loss(scores, true), sk.log_loss(true, scores))
    agree(metrics.average_precision(scores[:, 0], true == 0), sk.average_precision_score(true == 0, scores[:, 0]))
    two = np.clip(scores[:, 0], 0, 1), true == 0
    agree(metrics.log_loss(*two), sk.log_loss(two[1], two[0]))
    agree(
        metrics.top_k(scores + 1e-6 * np.arange(scores.shape[1])[::-1], true, 2),
        np.mean([t in np.lexsort((np.arange(len(row)), -row))[:2] for row, t in zip(scores, true, strict=True)]),
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_certain_probabilities_are_kept_away_from_zero(dtype):
    scores, true = np.array([[1, 0], [1, 0], [0.5, 0.5]], dtype), np.array([0, 1, 1])
    agree(
        metrics.log_loss(scores, true), float(sk.log_loss(true, scores.astype(np.float64)))
    ) if dtype == np.float64 else None
    wanted = -(np.log(1 - np.finfo(dtype).eps) + np.log(np.finfo(dtype).eps) + np.log(0.5)) / 3
    np.testing.assert_allclose(metrics.log_loss(scores, true), wanted, rtol=1e-6)


@QUICK
@given(some.data())
def test_numbers(data):
    shape = data.draw(some.sampled_from([(2,), (7,), (7, 3)]))
    predicted, true = (data.draw(arrays.arrays(np.float64, shape, elements=numbers)) for _ in range(2))
    for ours, theirs in (
        (metrics.mse, sk.mean_squared_error),
        (metrics.rmse, sk.root_mean_squared_error),
        (metrics.mae, sk.mean_absolute_error),
        (metrics.median_ae, sk.median_absolute_error),
        (metrics.mape, sk.mean_absolute_percentage_error),
        (metrics.r2, sk.r2_score),
    ):
        agree(ours(predicted, true), theirs(true, predicted))


def test_perplexity_is_the_cross_entropys():
    rng = np.random.default_rng(0)
    logits, true = 5 * rng.normal(size=(3, 7, 11)), rng.integers(0, 11, (3, 7))
    true[0, :3] = -100
    wanted = st.nn.functional.cross_entropy(st.from_numpy(logits.reshape(-1, 11)), st.from_numpy(true.reshape(-1)))
    agree(metrics.perplexity(logits, true), np.exp(wanted.item()))
    stream = metrics.Perplexity()
    for i in range(3):
        stream.update(st.from_numpy(logits[i]), st.from_numpy(true[i]))
    agree(stream.compute(), np.exp(wanted.item()))


rng = np.random.default_rng(3)
LABELS = rng.integers(0, 4, 60), rng.integers(0, 4, 60)
TEXT = np.array(["a", "bb", "ccc", "d"])[LABELS[0]], np.array(["a", "bb", "ccc", "d"])[LABELS[1]]
SCORES = rng.dirichlet(np.ones(4), 60), LABELS[1]
VALUES = rng.normal(size=60), rng.normal(size=60)
STREAMS = [
    (metrics.Accuracy, metrics.accuracy, LABELS, {}),
    (metrics.Accuracy, metrics.accuracy, SCORES, {}),
    (metrics.TopK, metrics.top_k, SCORES, {"k": 2}),
    (metrics.BalancedAccuracy, metrics.balanced_accuracy, LABELS, {"adjusted": True}),
    (metrics.Confusion, metrics.confusion, TEXT, {"normalize": "pred"}),
    (metrics.Confusion, metrics.confusion, LABELS, {"labels": [3, 1]}),
    (metrics.Precision, metrics.precision, LABELS, {"average": "macro"}),
    (metrics.Recall, metrics.recall, TEXT, {"average": None}),
    (metrics.F1, metrics.f1, SCORES, {"average": "weighted", "labels": [0, 2], "zero_division": 1}),
    (metrics.CohenKappa, metrics.cohen_kappa, LABELS, {"weights": "linear"}),
    (metrics.Matthews, metrics.matthews, LABELS, {}),
    (metrics.RocAuc, metrics.roc_auc, SCORES, {"multi_class": "ovo"}),
    (metrics.AveragePrecision, metrics.average_precision, SCORES, {"average": None}),
    (metrics.LogLoss, metrics.log_loss, SCORES, {}),
    (metrics.Mse, metrics.mse, VALUES, {}),
    (metrics.Rmse, metrics.rmse, VALUES, {}),
    (metrics.Mae, metrics.mae, VALUES, {}),
    (metrics.MedianAe, metrics.median_ae, VALUES, {}),
    (metrics.Mape, metrics.mape, VALUES, {}),
    (metrics.R2, metrics.r2, VALUES, {}),
]


@pytest.mark.parametrize(("kind", "function", "pair", "options"), STREAMS, ids=range(len(STREAMS)))
def test_streams_are_the_functions(kind, function, pair, options):
    stream = kind(**options)
    with pytest.raises(ValueError, match=rf"\[{kind.__name__}\] there are no samples yet"):
        stream.compute()
    cuts = [0, 1, 8, 31, 60]
    for start, end in pairwise(cuts):
        stream.update(pair[0][start:end], pair[1][start:end])
        if start == 8:
            file = io.BytesIO()
            st.save(stream.state_dict(), file)
            file.seek(0)
            stream = kind(**options)
            stream.load_state_dict(st.load(file))
    agree(stream.compute(), function(*pair, **options))
    agree(stream.compute(), function(*pair, **options))
    stream.reset()
    stream.update(pair[0][:20], pair[1][:20])
    agree(stream.compute(), function(pair[0][:20], pair[1][:20], **options))
    assert repr(stream).startswith(kind.__name__ + "(")


def test_every_function_streams():
    functions = {f.__name__ for _, f, _, _ in STREAMS} | {"perplexity", "plot_confusion"}
    assert functions == {name for name in metrics.__all__ if name.islower()}
    kinds = {k.__name__ for k, *_ in STREAMS} | {"Perplexity", "Metric"}
    assert kinds == {name for name in metrics.__all__ if not name.islower()}


def test_the_matrix_is_plotted(tmp_path):
    pytest.importorskip("matplotlib")
    matrix = metrics.confusion(*LABELS)
    figure = metrics.plot_confusion(matrix, "abcd", tmp_path / "matrix.png", title="letters")
    assert (tmp_path / "matrix.png").read_bytes().startswith(b"\x89PNG")
    axis = figure.axes[0]
    assert sorted(t.get_text() for t in axis.texts) == sorted(str(v) for v in matrix.reshape(-1) if v)
    assert [t.get_text() for t in axis.get_xticklabels()] == list("abcd") and axis.get_title() == "letters"
    shares = metrics.plot_confusion(metrics.confusion(*LABELS, normalize="true"))
    assert all("." in t.get_text() for t in shares.axes[0].texts)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: metrics.confusion([0, 1], [0, 1], normalize="rows"), ValueError, "normalize must be 'true'"),
        (lambda: metrics.cohen_kappa([0, 1], [0, 1], weights="no"), ValueError, "weights must be None, 'linear'"),
        (
            lambda: metrics.roc_auc(SCORES[0], LABELS[1], multi_class="all"),
            ValueError,
            "'ovr' or 'ovo', but it is 'all'",
        ),
        (lambda: metrics.roc_auc(*SCORES, None, "ovo"), ValueError, "'macro' or 'weighted' with 'ovo', but it is None"),
        (lambda: metrics.average_precision([0.1, 0.2], [1, 1]), ValueError, r"\[average_precision\] scores of shape"),
        (lambda: metrics.log_loss([[1.5, 0.0]], [0]), ValueError, "must hold probabilities, but goes from 0.0 to 1.5"),
        (lambda: metrics.log_loss([0.5, 0.5], [1, 1]), ValueError, "need two classes, but there are 1"),
        (lambda: metrics.log_loss([[0.5, np.nan]], [0]), ValueError, "not finite"),
        (lambda: metrics.perplexity(np.zeros((2, 3)), [0]), ValueError, r"shape \(2, 3\) do not fit .* \(1,\)"),
        (lambda: metrics.perplexity(np.zeros((1, 3)), [-100]), ValueError, "no samples"),
        (lambda: metrics.perplexity(np.zeros((1, 3)), [3]), IndexError, "class 3, but prediction has scores for 0..2"),
        (lambda: metrics.f1([[0, 1]], [[0, 2]], "macro"), ValueError, "must hold 0 and 1"),
        (lambda: metrics.f1([[0, 1]], [[0, 1]]), ValueError, "one label a sample: choose another"),
        (lambda: metrics.f1([[0, 1]], [[0, 1, 1]], "micro"), ValueError, "shape"),
        (lambda: metrics.f1([0, 1], [0, 1], "samples"), ValueError, "for several labels a sample"),
        (lambda: metrics.plot_confusion(np.zeros((2, 3))), ValueError, r"square, but it has shape \(2, 3\)"),
        (lambda: metrics.plot_confusion(np.zeros((2, 2)), "abc"), ValueError, "3 labels for 2 classes"),
        (lambda: metrics.mape([1.0], ["a"]), TypeError, "must hold numbers"),
        (lambda: metrics.Accuracy().update([0, 1], [0]), ValueError, "2 samples, but target has 1"),
        (lambda: metrics.F1("all").update([0], [0]) or metrics.F1(kind=1), TypeError, "kind"),
    ],
)
def test_bad_input(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_batches_of_words_and_numbers_do_not_mix():
    stream = metrics.Confusion()
    stream.update([0, 1], [0, 1])
    with pytest.raises(TypeError, match="cannot be compared with those before"):
        stream.update(["a"], ["a"])


def test_a_missing_class_warns():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        metrics.balanced_accuracy([0, 1], [0, 0])
    assert "the target lacks" in str(caught[0].message)
