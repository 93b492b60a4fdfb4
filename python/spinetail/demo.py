"""The main job on real data: train a network, prune it in two ways, compare all three, write the report."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from . import config, evaluate, nn, optim
from .autograd import no_grad, wrap
from .compress import prune
from .functional.generator import manual_seed
from .models import DigitsNet

__all__ = ["Data", "digits", "fit", "run"]

F = nn.functional
SPARSITY = 0.9
RATIO = 0.5


@dataclass
class Data:
    """Images (N, 1, 8, 8) in 0..1 as float32 and their classes, for training and for testing."""

    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray


@dataclass
class Stage:
    """One model of the demo, the loss of each of its epochs, and how long they took."""

    model: Any
    losses: list[float] = field(default_factory=list)
    seconds: float = 0.0


def digits(test: float = 0.25) -> Data:
    """scikit-learn's digits, split by class with a fixed seed: every class gives the same share to the test.

    Raises: ImportError without scikit-learn.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise ImportError("the digits come with scikit-learn: pip install scikit-learn") from None
    found = load_digits()
    images = (found.images[:, None] / 16).astype(np.float32)
    labels = found.target.astype(np.int64)
    rng = np.random.default_rng(0)
    held = np.zeros(len(labels), bool)
    for digit in range(10):
        places = rng.permutation(np.flatnonzero(labels == digit))
        held[places[: round(test * len(places))]] = True
    return Data(images[~held], labels[~held], images[held], labels[held])


def shifted(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each image moved by up to one pixel in each direction."""
    height, width = images.shape[-2:]
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    moves = rng.integers(0, 3, (len(images), 2))
    rows = moves[:, 0, None] + np.arange(height)
    columns = moves[:, 1, None] + np.arange(width)
    every = np.arange(len(images))[:, None, None]
    return np.ascontiguousarray(padded[every, 0, rows[:, :, None], columns[:, None, :]][:, None])


def fit(
    model: Any,
    data: Data,
    epochs: int,
    rate: float,
    rng: np.random.Generator,
    title: str,
    after: Callable[[], Any] | None = None,
    batch: int = 64,
) -> Stage:
    """Train with AdamW, a cosine schedule, shifted images and smoothed labels; `after` is called after each step."""
    steps = -(-len(data.train) // batch)
    optimizer = optim.AdamW(model.parameters(), lr=rate, weight_decay=0.05)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * steps)
    stage = Stage(model)
    start = time.perf_counter()
    model.train()
    with progress(title, epochs) as advance:
        for _ in range(epochs):
            order, total = rng.permutation(len(data.train)), 0.0
            for first in range(0, len(order), batch):
                rows = order[first : first + batch]
                images, labels = wrap(shifted(data.train[rows], rng)), wrap(data.train_labels[rows])
                optimizer.zero_grad()
                loss = F.cross_entropy(model(images), labels, label_smoothing=0.1)
                loss.backward()
                optimizer.step()
                schedule.step()
                if after is not None:
                    after()
                total += loss.item() * len(rows)
            stage.losses.append(total / len(order))
            advance(f"loss {stage.losses[-1]:.3f}")
    model.eval()
    stage.seconds = time.perf_counter() - start
    return stage


@contextmanager
def progress(title: str, total: int) -> Iterator[Callable[[str], None]]:
    """A tqdm bar where there is tqdm, else a line at the end; yields what is called after each step."""
    try:
        from tqdm.auto import tqdm
    except ImportError:
        latest = [""]
        yield lambda text: latest.__setitem__(0, text)
        print(f"{title}: {total} epochs, {latest[0]}", file=sys.stderr)
        return
    bar = tqdm(total=total, desc=f"{title:<24}", unit="epoch", file=sys.stderr, dynamic_ncols=True)
    try:

        def advance(text: str) -> None:
            bar.set_postfix_str(text, refresh=False)
            bar.update()

        yield advance
    finally:
        bar.close()


def accuracy(model: Any, data: Data) -> float:
    """The share of test images that are recognised."""
    model.eval()
    with no_grad():
        return evaluate.metrics.accuracy(model(wrap(data.test)), data.test_labels)


def run(
    folder: str | Path = "report", seed: int = 0, threads: int | None = None, quick: bool = False
) -> evaluate.Comparison:
    """Do all of it, print the table, write the report into `folder`, and return the comparison."""
    begin = time.perf_counter()
    _prepare(folder)
    if threads is not None:
        config.set_num_threads(threads)
    data = digits()
    epochs = (6, 6, 4) if quick else (25, 70, 20)
    manual_seed(seed)
    rng = np.random.default_rng(seed)
    base = DigitsNet()
    size = sum(p.numel() for p in base.parameters())
    print(
        f"Handwritten digits: {len(data.train)} scans to train on, {len(data.test)} to test on.\n"
        f"Network: 2 convolutions, attention over 16 places, {size:,} parameters; seed {seed}, "
        f"{config.get_num_threads()} thread{'s' if config.get_num_threads() != 1 else ''}.\n"
    )
    stages = {"base": fit(base, data, epochs[0], 3e-3, rng, "train")}

    masked = deepcopy(base)
    steps = -(-len(data.train) // 64) * epochs[1]
    schedule = prune.Schedule(masked, SPARSITY, steps=steps // 2, every=2)
    stages["90 % of weights"] = fit(masked, data, epochs[1], 3e-3, rng, "prune 90 % of weights", schedule.step)
    prune.finalize(masked)

    small = prune.channels(base, RATIO, example=wrap(data.train[:2]))
    stages["half the channels"] = fit(small, data, epochs[2], 2e-3, rng, "remove half the channels")

    models = {name: stage.model for name, stage in stages.items()}
    comparison = evaluate.compare(models, (data.test, data.test_labels), batch_size=(1, 64), seconds=1.5)
    notes = (
        f"A network of two convolutions and one attention block reads {len(data.test)} scans of handwritten digits "
        f"that it has not seen. “90 % of weights” has the smallest weights set to 0, which leaves arrays and speed as "
        f"they are; “half the channels” has half of its channels and neurons removed, so it is smaller and faster."
    )
    comparison.environment |= {"seed": seed, "fingerprint": fingerprint(models.values())}
    paths = comparison.save(
        folder,
        title="Pruning a network for handwritten digits",
        notes=notes,
        history={name: stage.losses for name, stage in stages.items()},
    )
    print(f"\n{comparison!r}\n")
    spent = ", ".join(f"{name} {stage.seconds:.1f} s" for name, stage in stages.items())
    print(f"Trained: {spent}; {time.perf_counter() - begin:.1f} s in all.")
    print(
        f"Fingerprint of the three networks: {comparison.environment['fingerprint'][:16]}, the same for the same seed."
    )
    print(f"Report: {paths['html']} (and .md, .json, .png beside it)")
    return comparison


def _prepare(folder: str | Path) -> None:
    """Say before the work, not after it, that the report cannot be drawn or written."""
    if find_spec("matplotlib") is None:
        raise ImportError("the report's plot needs matplotlib: pip install matplotlib")
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise OSError(f"the report cannot be written into {str(folder)!r}: {problem.strerror}") from None


def fingerprint(models: Iterable[Any]) -> str:
    """A hash over all parameters and buffers: equal for runs that repeat each other to the bit."""
    from hashlib import sha256

    digest = sha256()
    for model in models:
        for name, value in model.state_dict().items():
            digest.update(name.encode() + value._array.tobytes())
    return digest.hexdigest()
