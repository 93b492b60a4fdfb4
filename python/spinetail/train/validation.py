"""The loss and the metrics of a model, without training it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..autograd import no_grad
from .interrupt import Interrupted
from .track import Tracker, unpack_pair


def evaluate(
    model: Any,
    loader: Iterable[Any],
    loss: Callable[[Any, Any], Any],
    metrics: Mapping[str, Any] | None = None,
    *,
    unpack: Callable[[Any], Any] | None = None,
    interrupted: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    """The mean of `loss(output, target)` over all samples, and the metrics, in evaluation mode and without gradients.

    Batches, `metrics` and `unpack` are those of `fit`. When `interrupted()` is true, it raises KeyboardInterrupt.

    >>> import spinetail as st
    >>> model, data = st.nn.Linear(2, 1), [(st.ones(3, 2), st.zeros(3, 1))]
    >>> _ = st.nn.init.ones_(model.weight), st.nn.init.zeros_(model.bias)
    >>> st.train.evaluate(model, data, st.nn.functional.mse_loss)
    {'loss': 4.0}
    """
    tracker, unpack = Tracker(metrics), unpack or unpack_pair
    before = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with no_grad():
            for batch in loader:
                inputs, target = unpack(batch)
                output = model(*inputs)
                tracker.update(loss(output, target).item(), output, target)
                if interrupted is not None and interrupted():
                    raise Interrupted
    finally:
        for module, training in before:
            module.training = training
    return tracker.compute()
