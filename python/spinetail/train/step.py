"""One step of the optimizer, and what follows an epoch."""

from __future__ import annotations

from typing import Any

from ..nn.utils import clip_grad_norm_, clip_grad_value_
from ..optim.lr_scheduler import ReduceLROnPlateau
from .guard import check_finite
from .options import Options
from .precision import bfloat16
from .run import Run


def take_step(run: Run, options: Options, group: list[Any]) -> None:
    """One step of the optimizer, with the mean of the batches' gradients."""
    run.optimizer.zero_grad()
    for batch in group:
        inputs, target = options.unpack(batch)
        with bfloat16(run.model, options.bf16):
            output = run.model(*inputs)
        loss = options.loss(output, target)
        (loss if len(group) == 1 else loss / len(group)).backward()
        run.tracker.update(loss.item(), output, target)
    if options.guard:
        check_finite(run.model, loss, f"[fit] epoch {run.epoch + 1}, batch {run.batch + len(group)}")
    if options.clip_norm is not None:
        clip_grad_norm_(run.model.parameters(), options.clip_norm)
    if options.clip_value is not None:
        clip_grad_value_(run.model.parameters(), options.clip_value)
    run.optimizer.step()
    if run.scheduler is not None and options.scheduler_each == "step":
        run.scheduler.step()
    if run.average is not None:
        run.average.update_parameters(run.model)
    run.batch, run.step = run.batch + len(group), run.step + 1
    run.call("on_step_end")


def end_epoch(run: Run, options: Options, values: dict[str, Any]) -> None:
    """Let the schedule and early stopping see the epoch's values."""
    usual = "val_loss" if "val_loss" in values else "loss"
    if run.scheduler is not None and options.scheduler_each == "epoch":
        if isinstance(run.scheduler, ReduceLROnPlateau):
            run.scheduler.step(values[usual])
        else:
            run.scheduler.step()
    if run.stopping is not None:
        watched = run.stopping.monitor or usual
        if watched not in values:
            raise ValueError(f"[fit] early stopping watches {watched!r}, but there are {', '.join(values)}")
        run.stop = run.stopping.step(values[watched], run.judged) or run.stop
