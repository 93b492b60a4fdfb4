"""`fit`: the usual training loop."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from ..averaging import AveragedModel, get_ema_multi_avg_fn
from ..nn import functional as F
from .bar import Bar
from .callback import as_callbacks
from .history import History
from .interrupt import Interrupted, interruptible
from .options import Options, check
from .run import Run
from .step import end_epoch, take_step
from .stopping import EarlyStopping
from .track import Tracker, unpack_pair
from .validation import evaluate


def fit(
    model: Any,
    loader: Iterable[Any],
    optimizer: Any,
    loss: Callable[[Any, Any], Any] = F.cross_entropy,
    *,
    epochs: int = 1,
    validation: Iterable[Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
    scheduler: Any = None,
    scheduler_each: str = "epoch",
    accumulate: int = 1,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    bf16: bool = False,
    guard: bool = True,
    checkpoint: str | os.PathLike | None = None,
    resume: bool = False,
    early_stopping: EarlyStopping | None = None,
    ema: float | AveragedModel | None = None,
    callbacks: Sequence[Any] = (),
    unpack: Callable[[Any], Any] | None = None,
    progress: bool = True,
) -> History:
    """Train `model` on the batches of `loader` for `epochs` epochs; returns the history.

    Batches are (*inputs, target), or what `unpack` makes (inputs, target) of; the loss is `loss(output, target)`.
    `metrics` by name are functions of (output, target), averaged over batches, or objects with update, compute and
    reset, as `evaluate.metrics` has; `validation` batches give the same with "val_" in front. `scheduler` is stepped
    each "epoch" or "step". `accumulate` batches make one step, with the mean of their gradients, clipped by `clip_norm`
    (of all) or `clip_value` (each). `bf16` is `train.bfloat16`. `guard` stops at the first loss or gradient that is not
    finite, and names it. `ema` is a decay or an AveragedModel: weights averaged after each step, which are then those
    that are validated, and `run.average`. `early_stopping` ends the training and brings the best weights back.
    `callbacks` are Callbacks, or functions of the run that are called after each epoch.

    `checkpoint` names a file that is replaced after each epoch, and on Ctrl-C after the step that is under way. With
    `resume` the same call goes on from it, if it is there, to the same bits as without the interruption.

    Raises: ValueError and TypeError for options that do not fit; FloatingPointError from the guard; KeyboardInterrupt.

    >>> import spinetail as st
    >>> _ = st.manual_seed(0)
    >>> x = st.randn(64, 3)
    >>> data = st.utils.data.TensorDataset(x, x.sum(1, keepdim=True))
    >>> model = st.nn.Linear(3, 1)
    >>> loader = st.utils.data.DataLoader(data, batch_size=16, shuffle=True)
    >>> optimizer = st.optim.SGD(model.parameters(), lr=0.1)
    >>> history = st.train.fit(model, loader, optimizer, st.nn.functional.mse_loss, epochs=20, progress=False)
    >>> history["loss"][-1] < 0.01 * history["loss"][0]
    True
    """
    check(model, optimizer, loss, epochs, scheduler, scheduler_each, accumulate, clip_norm, clip_value, early_stopping)
    unpack = unpack or unpack_pair
    options = Options(loss, metrics, unpack, accumulate, clip_norm, clip_value, bf16, guard, scheduler_each)
    run = Run(model, loader, optimizer, Tracker(metrics))
    run.scheduler, run.stopping, run.callbacks = scheduler, early_stopping, as_callbacks(callbacks)
    if ema is not None:
        average = isinstance(ema, AveragedModel)
        run.average = ema if average else AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(ema))
    if checkpoint is not None and resume and os.path.exists(checkpoint):
        run.load(checkpoint)
    run.call("on_fit_begin")
    with interruptible() as interrupted:
        while run.epoch < epochs and not run.stop:
            title = f"epoch {run.epoch + 1}/{epochs}"
            try:
                _epoch(run, options, validation, title, progress, interrupted)
            except Interrupted:
                if checkpoint is not None:
                    run.save(checkpoint)
                raise
            if checkpoint is not None:
                run.save(checkpoint)
            if interrupted():
                raise Interrupted
    if run.stopping is not None:
        run.stopping.restore(run.judged)
    run.call("on_fit_end")
    return run.history


def _epoch(
    run: Run, options: Options, validation: Any, title: str, progress: bool, interrupted: Callable[[], bool]
) -> None:
    start = time.perf_counter()
    run.model.train()
    run.call("on_epoch_begin")
    batches = run.batches()
    bar = Bar(title, len(run.loader) if hasattr(run.loader, "__len__") else None, progress, run.batch)
    values: dict[str, Any] = {}
    try:
        while group := list(islice(batches, options.accumulate)):
            take_step(run, options, group)
            run.trained = len(group) < options.accumulate
            bar.advance(len(group), {"loss": run.tracker.loss.compute()})
            if interrupted():
                raise Interrupted
        run.trained = True
        if run.batch == 0:
            raise ValueError("[fit] the loader gave no batches")
        values = run.tracker.compute()
        if validation is not None:
            found = evaluate(
                run.judged, validation, options.loss, options.metrics, unpack=options.unpack, interrupted=interrupted
            )
            values |= {f"val_{name}": value for name, value in found.items()}
    finally:
        bar.close({name: value for name, value in values.items() if isinstance(value, float)})
    rate = run.optimizer.param_groups[0]["lr"]
    end_epoch(run, options, values)
    run.history.append({"epoch": run.epoch + 1, **values, "lr": rate, "seconds": time.perf_counter() - start})
    run.epoch, run.batch, run.trained = run.epoch + 1, 0, False
    run.tracker.reset()
    run.call("on_epoch_end")
