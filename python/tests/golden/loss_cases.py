"""What the golden values of the losses are made of, for the maker (PyTorch) and the test (spinetail)."""

import numpy as np

_rng = np.random.default_rng(11)
N, C = 5, 7
LOGITS = _rng.standard_normal((N, C)) * 2
IMAGE = _rng.standard_normal((2, C, 3, 2))
LABELS = np.array([3, 0, 6, 2, 3])
IGNORED = np.array([3, -100, 6, 1, 0])
IMAGE_LABELS = _rng.integers(0, C, (2, 3, 2))
IMAGE_LABELS[0, 1, 1] = 2
WEIGHT = np.abs(_rng.standard_normal(C)) + 0.1
PROBABILITIES = np.abs(_rng.standard_normal((N, C)))
PROBABILITIES /= PROBABILITIES.sum(1, keepdims=True)
IMAGE_PROBABILITIES = np.abs(_rng.standard_normal((2, C, 3, 2)))
LOG = LOGITS - np.log(np.exp(LOGITS).sum(1, keepdims=True))
A, B, D = (_rng.standard_normal((N, 4)) for _ in range(3))
SIGNS = np.array([1, -1, 1, 1, -1])
SIGN_MATRIX = np.sign(_rng.standard_normal((N, 4)))
SHARES = 1 / (1 + np.exp(-A))
TARGET_SHARES = 1 / (1 + np.exp(-B))
EDGES = np.array([0.0, 1.0, 0.0, 1.0, 0.3])
EDGE_TARGETS = np.array([0.0, 1.0, 1.0, 0.0, 1.0])
COUNTS = _rng.integers(0, 5, (N, 4)).astype(float)
VARIANCES = np.abs(_rng.standard_normal((N, 4)))
REDUCTIONS = [{"reduction": r} for r in ("mean", "sum", "none")]


def each(function, arrays, *options, gradients=(0,), reductions=REDUCTIONS):
    """One case for every reduction and option: (function, arrays, keyword arguments, arrays that get a gradient)."""
    return [(function, arrays, {**o, **r}, gradients) for o in options or ({},) for r in reductions]


CASES = [
    *each("cross_entropy", (LOGITS, LABELS), {}, {"label_smoothing": 0.2}, {"ignore_index": 3}),
    *each("cross_entropy", (LOGITS, LABELS, WEIGHT), {}, {"label_smoothing": 0.2}),
    *each("cross_entropy", (LOGITS, IGNORED, WEIGHT), {}, {"label_smoothing": 0.3}),
    *each("cross_entropy", (LOGITS[0], np.array(2))),
    *each("cross_entropy", (IMAGE, IMAGE_LABELS), {}, {"label_smoothing": 0.1, "ignore_index": 2}),
    *each("cross_entropy", (IMAGE, IMAGE_LABELS, WEIGHT), {}),
    *each("cross_entropy", (LOGITS, PROBABILITIES), {}, {"label_smoothing": 0.2}, gradients=(0, 1)),
    *each("cross_entropy", (LOGITS, PROBABILITIES, WEIGHT), {}, {"label_smoothing": 0.2}, gradients=(0, 1)),
    *each("cross_entropy", (IMAGE, IMAGE_PROBABILITIES, WEIGHT), {"label_smoothing": 0.2}, gradients=(0, 1)),
    *each("cross_entropy", (LOGITS[0], PROBABILITIES[0]), {}, gradients=(0, 1)),
    *each("cross_entropy", (LOGITS, np.full(N, -100))),
    *each("nll_loss", (LOG, LABELS), {}, {"ignore_index": 3}),
    *each("nll_loss", (LOG, IGNORED, WEIGHT)),
    *each("nll_loss", (IMAGE, IMAGE_LABELS, WEIGHT)),
    *each("nll_loss", (LOG[0], np.array(2))),
    *each("mse_loss", (A, B), {}, gradients=(0, 1)),
    *each("l1_loss", (A, B), {}, gradients=(0, 1)),
    *each("smooth_l1_loss", (A, B), {}, {"beta": 0.3}, {"beta": 0.0}, gradients=(0, 1)),
    *each("huber_loss", (A, B), {}, {"delta": 0.3}, {"delta": 2.0}, gradients=(0, 1)),
    *each("binary_cross_entropy", (SHARES, TARGET_SHARES), {}, gradients=(0, 1)),
    *each("binary_cross_entropy", (EDGES, EDGE_TARGETS)),
    *each("binary_cross_entropy", (SHARES, TARGET_SHARES, VARIANCES)),
    *each("binary_cross_entropy_with_logits", (A * 20, TARGET_SHARES), {}, gradients=(0, 1)),
    *each("binary_cross_entropy_with_logits", (A, TARGET_SHARES, VARIANCES), {"pos_weight": VARIANCES[0]}),
    *each("kl_div", (LOG, PROBABILITIES), {}, gradients=(0, 1)),
    *each("kl_div", (LOG, PROBABILITIES), reductions=[{"reduction": "batchmean"}]),
    *each("kl_div", (LOG, np.log(PROBABILITIES)), {"log_target": True}, gradients=(0, 1)),
    *each("kl_div", (np.log(SHARES[0]), np.array([0.0, 0.5, 0.5, 0.0]))),
    *each("poisson_nll_loss", (A, COUNTS), {}, {"full": True}),
    *each("poisson_nll_loss", (SHARES, COUNTS), {"log_input": False}, {"log_input": False, "full": True}),
    *each("gaussian_nll_loss", (A, B, VARIANCES), {}, {"full": True}, {"eps": 0.5}, gradients=(0, 1, 2)),
    *each("gaussian_nll_loss", (A, B, VARIANCES[:, :1]), {}, gradients=(0, 1, 2)),
    *each("cosine_embedding_loss", (A, B, SIGNS), {}, {"margin": 0.1}, gradients=(0, 1)),
    *each("cosine_embedding_loss", (A[0], B[0], np.array(-1)), {"margin": -0.9}, gradients=(0, 1)),
    *each("margin_ranking_loss", (A, B, SIGN_MATRIX), {}, {"margin": 0.4}, gradients=(0, 1)),
    *each("hinge_embedding_loss", (A, SIGN_MATRIX), {}, {"margin": 0.4}),
    *each("soft_margin_loss", (A * 30, SIGN_MATRIX)),
    *each("triplet_margin_loss", (A, B, D), {}, {"margin": 2.0, "swap": True}, {"p": 1}, {"p": 3}, gradients=(0, 1, 2)),
    *each("triplet_margin_loss", (A[0], B[0], D[0]), {}, gradients=(0, 1, 2)),
    *each("triplet_margin_with_distance_loss", (A, B, D), {}, {"swap": True}, gradients=(0, 1, 2)),
    *each("multi_margin_loss", (LOGITS, LABELS), {}, {"p": 2, "margin": 0.5}, {"weight": WEIGHT}),
    *each("multi_margin_loss", (LOGITS[0], np.array(2)), {}),
    *each("multilabel_soft_margin_loss", (A, COUNTS.clip(0, 1)), {}, {"weight": VARIANCES[0]}),
    *each("normalize", (A,), {}, {"dim": 0, "p": 1.0}, {"p": float("inf")}, {"p": 3.0}, reductions=[{}]),
    *each("cosine_similarity", (A, B), {}, {"dim": 0}, gradients=(0, 1), reductions=[{}]),
    *each("cosine_similarity", (A * 1e-5, B[0]), {"eps": 1e-4}, gradients=(0, 1), reductions=[{}]),
    *each("pairwise_distance", (A, B), {}, {"p": 1.0, "keepdim": True}, gradients=(0, 1), reductions=[{}]),
    *each("pairwise_distance", (A, B), {"p": float("inf")}, {"p": 3.5}, gradients=(0, 1), reductions=[{}]),
]


def incoming(shape: tuple[int, ...]) -> np.ndarray:
    """The gradient that arrives at the result."""
    return np.asarray(np.cos(np.arange(int(np.prod(shape))) * 0.9 + 0.3).reshape(shape))
